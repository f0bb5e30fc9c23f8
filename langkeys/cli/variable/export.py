"""``langkeys variable export``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from langkeys.cli.completion import complete_variables
from langkeys.cli.delivery import warn_of_file
from langkeys.cli.invocation import refuse_own_file, variable_session
from langkeys.cli.options import Command, UserOption, invocation, new_app
from langkeys.cli.output import Output
from langkeys.cli.present.variables import with_values
from langkeys.errors import NotFoundError, SecretKeyError, UsageError
from langkeys.files.staged import StagedFile
from langkeys.models import User
from langkeys.sessions.session import Access, Session
from langkeys.text import counted
from langkeys.variables import lifecycle as variables
from langkeys.variables.environment_names import is_credential
from langkeys.variables.formats import (
    FOR_ENVIRONMENTS,
    FORMATS,
    SECRET_NAME,
    Pairs,
    check_kubernetes_names,
    is_run_by_shells,
    k8s_secret,
)
from langkeys.variables.run_environment import NOT_CREDENTIAL_LIKE, left_out_message

app = new_app()


class Format(str, Enum):
    """The formats that ``langkeys.variables.formats`` writes."""

    DOTENV = "dotenv"
    JSON = "json"
    SHELL = "shell"
    K8S_SECRET = "k8s-secret"  # noqa: S105 - a format


@app.command(cls=Command)
def export(
    context: typer.Context,
    reveal: Annotated[
        bool,
        typer.Option(
            "--reveal", help="Required: confirms that the values are written in plain text."
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Only this variable; repeatable.",
            autocompletion=complete_variables,
        ),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="The output format.")] = Format.DOTENV,
    secret_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"The Secret's name. Default: {SECRET_NAME}."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(metavar="NS", help="The Secret's namespace.")
    ] = None,
    write_to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to FILE (0600); - is stdout, the default."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace FILE if it exists and is not empty.")
    ] = False,
    user: UserOption = None,
) -> None:
    """Print or write variables with their values, in plain text.

    The variables are those of the acting user, or of --user. Every format preserves the exact
    values: dotenv is read by python-dotenv, and so by langkeys and Langflow; json is one object;
    shell is for eval; k8s-secret is a JSON manifest for kubectl. dotenv quotes only the values that
    need it, because Docker and kubectl keep quotes as part of the value. A name that a format
    cannot hold is an error. Variables without a value are left out.

    A warning lists what else is left out: values that cannot be decrypted and, in dotenv and shell
    without --only, the names that langkeys run leaves out. json and k8s-secret include every name.

    \b
    Examples:
      langkeys variable export --reveal --write-to backup.env
      langkeys variable export --reveal --format k8s-secret | kubectl apply -f -
      eval "$(langkeys variable export --reveal --format shell)"
    """
    out = invocation(context).output
    if not reveal:
        raise UsageError(
            "export writes values in plain text; nothing was done",
            hint="use --reveal to confirm",
        )
    lines_of = _lines_of(format_, secret_name, namespace)
    path = None if write_to is None or str(write_to) == "-" else write_to
    if path is None:
        out.require_stdout()
    refuse_own_file(context, write_to)
    with ExitStack() as stack:
        staged = None if path is None else stack.enter_context(StagedFile(path, replaces=replace))
        session = stack.enter_context(variable_session(context, access=Access.READ))
        values = _Values(session, session.owner(user), only or (), format_)
        lines = values.checked(lines_of(values))
        if staged is None:
            out.exact_lines(lines)
        else:
            for line in lines:
                staged.add(f"{line}\n")
            staged.sync()
            staged.publish()
        where = "" if staged is None else f" to {staged.path}"
        written = counted(values.written, "variable")
        out.note(f"wrote {written} from {session.store.location}{where}")
        warn_of_file(out, staged)
        values.warn(out)


def _lines_of(
    format_: Format, secret_name: str | None, namespace: str | None
) -> Callable[[Pairs], Iterator[str]]:
    if format_ is not Format.K8S_SECRET:
        if secret_name is not None or namespace is not None:
            raise UsageError("--secret-name and --namespace require --format k8s-secret")
        return FORMATS[format_.value]
    name = SECRET_NAME if secret_name is None else secret_name
    check_kubernetes_names(name, namespace)
    return partial(k8s_secret, name=name, namespace=namespace)


class _Values:
    """Reads a user's names and values, and remembers what was omitted."""

    def __init__(self, session: Session, owner: User, only: Sequence[str], format_: Format) -> None:
        self._session = session
        self._owner = owner
        self._only = frozenset(only)
        self._missing = dict.fromkeys(only)
        self._format = format_
        self.written = 0
        self._opened = 0
        self._closed: list[str] = []
        self._left_out: list[str] = []
        self._run_by_shells: list[str] = []

    def __iter__(self) -> Iterator[tuple[str, str]]:
        is_filtered = self._format.value in FOR_ENVIRONMENTS and not self._only
        store = self._session.store
        found = (
            variable
            for variable in variables.read_by_servers(store.variables(self._owner.id))
            if not self._only or variable.name in self._only
        )
        for variable, value in with_values(self._session, found):
            name = variable.name
            if value is None and self._only:
                raise SecretKeyError(
                    f"the secret key from {self._session.cipher.source} cannot decrypt {name} in"
                    f" {store.location}; nothing was written"
                )
            if value is None:
                self._closed.append(name)
            elif value:
                self._opened += 1
                if is_filtered and not is_credential(name):
                    self._left_out.append(name)
                    continue
                if self._format is Format.DOTENV and is_run_by_shells(value):
                    self._run_by_shells.append(name)
                self.written += 1
                self._missing.pop(name, None)
                yield name, value

    def checked(self, lines: Iterator[str]) -> Iterator[str]:
        """Yield the lines; raise at the end if a named one is missing or none can be decrypted."""
        yield from lines
        if self._missing:
            raise NotFoundError(
                f"{self._owner.username} has no variable {', '.join(self._missing)} with a value in"
                f" {self._session.store.location}; nothing was written",
                hint="to see the variables: langkeys variable list",
            )
        if self._closed and not self._opened:
            raise SecretKeyError(
                f"the secret key from {self._session.cipher.source} decrypts none of the"
                f" variables of {self._owner.username} in"
                f" {self._session.store.location}",
                hint="use the secret key of the server that wrote them",
            )

    def warn(self, out: Output) -> None:
        """Warn of omitted variables, and of values that a shell should not read."""
        if self._left_out:
            out.warn(left_out_message(NOT_CREDENTIAL_LIKE, self._left_out))
        if self._closed:
            out.warn(
                f"left out, because the secret key from {self._session.cipher.source}"
                f" cannot decrypt them: {', '.join(self._closed)}"
            )
        if self._run_by_shells:
            out.warn(
                "do not source this file in a shell: it would run part of the value"
                f" of {', '.join(self._run_by_shells)}. Use --format shell for shells"
            )
