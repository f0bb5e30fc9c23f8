"""Write new API keys to files in a chosen format: one file for all keys, or one for each."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol, TypeVar

import typer

from langkeys.api_keys.lifecycle import ROWS_AT_ONCE
from langkeys.batches import in_batches
from langkeys.cli.output import Output
from langkeys.errors import UsageError
from langkeys.files.staged import StagedFile
from langkeys.models import ApiKey

SECRET_NAME, SECRET_KEY = "langflow-api-key", "api-key"
MAX_FILE_NAME_BYTES = 200
"""The maximum length in bytes; the name of the staged file is longer and must be valid, too."""

_NOT_IN_FILE_NAMES = re.compile("[/\x00-\x1f\x7f-\x9f]")


class NewKey(Protocol):
    """A new key, created in a database or by a server."""

    @property
    def row(self) -> ApiKey:
        """The key's row."""

    @property
    def plaintext(self) -> str:
        """The key itself."""


AnyKey = TypeVar("AnyKey", bound=NewKey)


class Format(str, Enum):
    """The formats in which a new key can be written."""

    KEY = "key"
    K8S_SECRET = "k8s-secret"  # noqa: S105 - a format


FormatOption = Annotated[
    Format,
    typer.Option("--format", help="Print the bare key, or a Kubernetes Secret that holds it."),
]
SecretNameOption = Annotated[
    str | None, typer.Option(metavar="NAME", help=f"The Secret's name. Default: {SECRET_NAME}.")
]
SecretKeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="The name of the API key's entry in the Secret's data, not LANGFLOW_SECRET_KEY."
        f" Default: {SECRET_KEY}.",
    ),
]
NamespaceOption = Annotated[str | None, typer.Option(metavar="NS", help="The Secret's namespace.")]


class Form(NamedTuple):
    """The form of a new key: the bare key, or a Kubernetes Secret, which holds a single key."""

    is_bare: bool = True
    secret_name: str = SECRET_NAME
    secret_key: str = SECRET_KEY
    namespace: str | None = None

    def lines(self, api_key: str) -> Iterator[str]:
        """Yield the lines of one key in this form."""
        if self.is_bare:
            yield api_key
            return
        from langkeys.variables.formats import k8s_secret

        yield from k8s_secret([(self.secret_key, api_key)], self.secret_name, self.namespace)

    def check_count(self, count: int) -> None:
        """Raise UsageError if this form cannot hold so many keys."""
        if count > 1 and not self.is_bare:
            raise UsageError(
                f"--format k8s-secret takes one API key, not {count}; nothing was done",
                hint="run one command for each key, each with its own --secret-name",
            )


def form_of(
    format_: Format,
    *,
    secret_name: str | None,
    secret_key: str | None,
    namespace: str | None,
    is_shown: bool,
) -> Form:
    """Return the form that the options select; UsageError if they contradict each other.

    ``is_shown``: the form is written to stdout, without --json.
    """
    if format_ is Format.KEY:
        if (secret_name, secret_key, namespace) != (None, None, None):
            raise UsageError(
                "--secret-name, --secret-key and --namespace require --format k8s-secret"
            )
        return Form()
    if not is_shown:
        raise UsageError(
            "--json and --format k8s-secret cannot both print to stdout",
            hint="omit --json, as the manifest is JSON already, or use --write-to FILE",
        )
    from langkeys.variables.formats import check_kubernetes_key, check_kubernetes_names

    form = Form(False, secret_name or SECRET_NAME, secret_key or SECRET_KEY, namespace)
    check_kubernetes_names(form.secret_name, namespace)
    check_kubernetes_key(form.secret_key)
    return form


def is_file(path: Path | None) -> bool:
    """Tell whether ``--write-to`` names a file; ``-`` means stdout."""
    return path is not None and str(path) != "-"


class Destination:
    """Staged files for new keys: one for all keys, or one for each."""

    def __init__(self, files: Sequence[StagedFile], form: Form, *, is_shared: bool) -> None:
        self.files = files
        self.form = form
        self.published = 0
        self._is_shared = is_shared

    def path_of(self, number: int) -> Path:
        """Return the path for a key; ``number`` counts the keys from 0."""
        return self.files[0 if self._is_shared else number].path

    def shown_path_of(self, number: int) -> str:
        """Return the path for a key, relative to the working folder if it is inside that folder."""
        path, here = self.path_of(number), Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)

    def fill(self, keys: Iterator[AnyKey]) -> Iterator[AnyKey]:
        """Write keys into the staged files, and yield them."""
        if not self._is_shared:
            for staged, key in zip(self.files, keys, strict=True):
                staged.write(self._text(key))
                yield key
            return
        (staged,) = self.files
        count = 0
        for some in in_batches(keys, ROWS_AT_ONCE):
            # A single key has no trailing newline, like mounted secrets; each of several keys has
            # one.
            before = "\n" if count == 1 and self.form.is_bare else ""
            after = "\n" if count + len(some) > 1 and self.form.is_bare else ""
            staged.add(before + "\n".join(map(self._text, some)) + after)
            count += len(some)
            yield from some
        staged.sync()

    def _text(self, key: NewKey) -> str:
        text = "\n".join(self.form.lines(key.plaintext))
        return text if self.form.is_bare else f"{text}\n"

    def publish(self) -> None:
        """Publish the files; ``published`` counts them."""
        for staged in self.files:
            staged.publish()
            self.published += 1

    @property
    def is_split(self) -> bool:
        """Whether some files were published and others were not."""
        return not self._is_shared and 0 < self.published < len(self.files)

    def warn(self, out: Output) -> None:
        """Warn of changes to the owner or mode of replaced files."""
        for staged in self.files:
            for warning in staged.warnings:
                out.warn(warning)

    def __str__(self) -> str:
        if len(self.files) == 1:
            return str(self.files[0].path)
        return f"{len(self.files)} files in {self.files[0].path.parent}"


def one_file(stack: ExitStack, path: Path, form: Form, *, replace: bool) -> Destination:
    """Stage one file for all keys."""
    staged = stack.enter_context(StagedFile(path, what="an API key", replaces=replace))
    return Destination([staged], form, is_shared=True)


def file_for_each(
    stack: ExitStack,
    folder: Path,
    keys: Sequence[ApiKey],
    form: Form,
    refuse: Callable[[Path], None],
) -> Destination:
    """Stage a file for each key in a folder; it is named after the key and may replace a file.

    ``refuse`` raises an error for a path that must not be replaced.
    """
    files = [
        stack.enter_context(StagedFile(folder / name, what="an API key"))
        for name in file_names(keys)
    ]
    for staged in files:
        refuse(staged.path)
    return Destination(files, form, is_shared=False)


def try_file_for_each(
    folder: Path, keys: Sequence[ApiKey], form: Form, refuse: Callable[[Path], None]
) -> None:
    """Raise any error that ``file_for_each`` would raise; leave no file behind."""
    with ExitStack() as trial:
        file_for_each(trial, folder, keys, form, refuse)


def file_names(keys: Sequence[ApiKey]) -> list[str]:
    """Return file names for keys: a key's name, with the start of its id if names are equal.

    Characters that file names cannot contain become ``_``, so that no name leads out of the folder.
    """
    names = [_file_name(key.name or "") for key in keys]
    # Some file systems ignore the case of names.
    alike = Counter(map(_folded, names))
    taken = {_folded(name) for name in names if alike[_folded(name)] == 1}
    for number, key in enumerate(keys):
        if alike[_folded(names[number])] == 1:
            continue
        chosen = next(
            name
            for digits in range(8, 33)
            if _folded(name := f"{names[number]}-{key.id[:digits]}") not in taken or digits == 32
        )
        taken.add(_folded(chosen))
        names[number] = chosen
    return names


def _file_name(name: str) -> str:
    name = _NOT_IN_FILE_NAMES.sub("_", name).encode("utf-8", "replace").decode()
    while len(name.encode()) > MAX_FILE_NAME_BYTES:
        name = name[:-1]
    return re.sub(r"\A\.{1,2}\Z|\A\Z", lambda found: "_" * max(1, len(found[0])), name)


def _folded(name: str) -> str:
    import unicodedata

    return unicodedata.normalize("NFC", name).casefold()
