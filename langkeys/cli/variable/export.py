"""``langkeys variable export``."""

from collections.abc import Iterator
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from langkeys import variables
from langkeys.cli.delivery import warn_of_file
from langkeys.cli.key_rows import UserOption
from langkeys.cli.options import Command, invocation, new_app
from langkeys.cli.variable_rows import opened, variable_session
from langkeys.errors import SecretKeyError, UsageError
from langkeys.files import StagedFile
from langkeys.models import User
from langkeys.session import Access, Session
from langkeys.variable_formats import FORMATS

app = new_app()


class Format(str, Enum):
    """The formats that ``langkeys.variable_formats`` writes."""

    DOTENV = "dotenv"
    JSON = "json"
    SHELL = "shell"
    K8S_SECRET = "k8s-secret"  # noqa: S105 - a format


@app.command(cls=Command)
def export(
    context: typer.Context,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Needed: every value is written out in plain text.")
    ] = False,
    format_: Annotated[
        Format, typer.Option("--format", help="What is to read it.")
    ] = Format.DOTENV,
    write_to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to FILE (0600) instead of stdout."),
    ] = None,
    user: UserOption = None,
) -> None:
    """Write out the names and values of the acting user, or of --user, in plain text.

    Each format reads back as the same values: dotenv by python-dotenv, and so by langkeys and
    Langflow; json is one object; shell is for eval; k8s-secret is a manifest in JSON, which kubectl
    takes like YAML. A name that a format cannot hold is an error. Variables without a value are
    left out, and with a warning those that the secret key does not open.

    \b
    Examples:
      langkeys variable export --reveal --write-to backup.env
      langkeys variable export --reveal --format k8s-secret | kubectl apply -f -
      eval "$(langkeys variable export --reveal --format shell)"
    """
    out = invocation(context).output
    if not reveal:
        raise UsageError(
            "export writes every value out in plain text; nothing was done",
            hint="give --reveal if that is what you want",
        )
    if write_to is None:
        out.require_stdout()
    with ExitStack() as stack:
        staged = None if write_to is None else stack.enter_context(StagedFile(write_to))
        session = stack.enter_context(variable_session(context, access=Access.READ))
        values = _Values(session, session.owner(user))
        lines = FORMATS[format_.value](values)
        if staged is None:
            out.exact_lines(values.checked(lines))
        else:
            for line in values.checked(lines):
                staged.add(f"{line}\n")
            staged.sync()
            staged.publish()
        where = "" if staged is None else f" to {staged.path}"
        out.note(f"wrote {values.written} variables of {session.store.location}{where}")
        warn_of_file(out, staged)
        if values.closed:
            out.warn(
                f"left out, as the secret key from {session.cipher.source} does not open them:"
                f" {', '.join(values.closed)}"
            )


class _Values:
    """The names and values of a user as they are read, and what became of each."""

    def __init__(self, session: Session, owner: User) -> None:
        self._session = session
        self._owner = owner
        self.written = 0
        self.closed: list[str] = []

    def __iter__(self) -> Iterator[tuple[str, str]]:
        found = self._session.store.variables(self._owner.id)
        for variable, value in opened(self._session, variables.read_by_servers(found)):
            if value is None:
                self.closed.append(variable.name)
            elif value:
                self.written += 1
                yield variable.name, value

    def checked(self, lines: Iterator[str]) -> Iterator[str]:
        """Yield the lines; raise SecretKeyError at their end if no value could be opened."""
        yield from lines
        if self.closed and not self.written:
            raise SecretKeyError(
                f"the secret key from {self._session.cipher.source} opens none of the"
                f" {len(self.closed)} variables of {self._owner.username} in"
                f" {self._session.store.location}",
                hint="use the secret key of the server that wrote them",
            )
