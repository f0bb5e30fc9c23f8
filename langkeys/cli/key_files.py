"""Where new API keys go instead of stdout, and in which form: a file for all, or one for each."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

import typer

from langkeys.api_keys.lifecycle import ROWS_AT_ONCE
from langkeys.batches import in_batches
from langkeys.cli.output import Output
from langkeys.errors import UsageError
from langkeys.files.staged import StagedFile
from langkeys.models import ApiKey

SECRET_NAME, SECRET_KEY = "langflow-api-key", "api-key"
MAX_FILE_NAME_BYTES = 200
"""In bytes: less than file systems take, as the staged file's name is longer."""

_NOT_IN_FILE_NAMES = re.compile("[/\x00-\x1f\x7f-\x9f]")


class NewKey(Protocol):
    """A key that has just been made, in a database or by a server."""

    @property
    def row(self) -> ApiKey:
        """The key's row."""

    @property
    def plaintext(self) -> str:
        """The key itself."""


AnyKey = TypeVar("AnyKey", bound=NewKey)


class Format(str, Enum):
    """The forms that a new key can be delivered in."""

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
        metavar="KEY", help=f"The Secret's data key for the API key. Default: {SECRET_KEY}."
    ),
]
NamespaceOption = Annotated[str | None, typer.Option(metavar="NS", help="The Secret's namespace.")]


@dataclass(frozen=True)
class Form:
    """How a new key is written: bare, or as a Kubernetes Secret, which holds one key."""

    is_bare: bool = True
    secret_name: str = SECRET_NAME
    secret_key: str = SECRET_KEY
    namespace: str | None = None

    def lines(self, api_key: str) -> Iterator[str]:
        """Yield the lines that hold a key."""
        if self.is_bare:
            yield api_key
            return
        from langkeys.variables.formats import k8s_secret

        yield from k8s_secret([(self.secret_key, api_key)], self.secret_name, self.namespace)

    def check_count(self, count: int) -> None:
        """Raise UsageError where the form cannot hold so many keys."""
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
    """Return the form that the options ask for; UsageError where they do not go together.

    ``is_shown``: in that form on stdout, and not in JSON of our own.
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
    """Tell whether ``--write-to`` names a file: ``-`` is stdout."""
    return path is not None and str(path) != "-"


class Destination:
    """Files that new keys go into: one for all of them, or one for each, staged from the start."""

    def __init__(self, files: Sequence[StagedFile], form: Form, *, is_shared: bool) -> None:
        self.files = files
        self.form = form
        self.published = 0
        self._is_shared = is_shared

    def path_of(self, number: int) -> Path:
        """Return the place of a key, by its number from 0."""
        return self.files[0 if self._is_shared else number].path

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
            # One key has no newline at its end, as mounted secrets have none; of several each has.
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
        """Put the files in their places; ``published`` counts them as they arrive."""
        for staged in self.files:
            staged.publish()
            self.published += 1

    @property
    def is_split(self) -> bool:
        """Whether some of the keys have arrived and others have not."""
        return not self._is_shared and 0 < self.published < len(self.files)

    def warn(self, out: Output) -> None:
        """Say what became of the owners and modes of files that have been replaced."""
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
    stack: ExitStack, folder: Path, keys: Sequence[ApiKey], form: Form
) -> Destination:
    """Stage a file for each key in a folder, named after the key; what is there is replaced."""
    files = [
        stack.enter_context(StagedFile(folder / name, what="an API key"))
        for name in file_names(keys)
    ]
    return Destination(files, form, is_shared=False)


def file_names(keys: Sequence[ApiKey]) -> list[str]:
    """Return names for the keys' files: the key's own, and the start of its id if two are alike.

    What a file name cannot hold becomes ``_``, so that no name leads out of the folder.
    """
    names = [_file_name(key.name or "") for key in keys]
    # Some file systems take names for the same that differ in case alone.
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
    return unicodedata.normalize("NFC", name).casefold()
