"""Get a new password, and show it if it was generated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from langkeys.cli import prompts
from langkeys.cli.output import Output
from langkeys.cli.present.users import show_user
from langkeys.crypto import password_rules
from langkeys.errors import FailedError, LangkeysError, UsageError
from langkeys.models import User
from langkeys.sessions.session import Session
from langkeys.times import now
from langkeys.undo import TRY_AGAIN, undo_on_failure
from langkeys.users import get_summary, undo_undelivered

PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE|-", help="Read the password from FILE or stdin."),
]
Random = Annotated[bool, typer.Option("--random", help="Generate a password and show it once.")]

_HINT = "use --password-file FILE, --password-file - for stdin, or --random"


def given_password(password_file: Path | None, random: bool) -> str | None:
    """Return the password from the options, or None if the user must be asked for it.

    Raises UsageError for a password that is not allowed, or if nobody can be asked.
    """
    if random and password_file is not None:
        raise UsageError("--random and --password-file cannot be used together")
    if random:
        return password_rules.generate_password()
    if password_file is None:
        if not prompts.can_ask():
            raise UsageError("no password given, and no terminal to ask for one", hint=_HINT)
        return None
    if str(password_file) == "-":
        return _checked(prompts.secret_from_stdin("a password"))
    return _checked(prompts.secret_from_file(password_file, "a password"))


def asked_password(username: str) -> str:
    """Ask for a new password, twice."""
    password = _checked(prompts.hidden(f"New password for {username}") or "")
    if prompts.hidden("Repeat the password") != password:
        raise UsageError("the passwords do not match; nothing was done")
    return password


def _checked(password: str) -> str:
    refusal = password_rules.refusal(password)
    if refusal is not None:
        raise UsageError(
            f"the password {refusal}; nothing was done", hint="choose another password"
        )
    return password


def warn_of_length(out: Output, password: str) -> None:
    """Warn that servers ignore the end of a very long password."""
    if len(password.encode()) > password_rules.COUNTED_BYTES:
        out.warn(
            f"the password is longer than {password_rules.COUNTED_BYTES} bytes:"
            " langkeys and Langflow ignore the rest"
        )


def deliver(
    session: Session,
    out: Output,
    new: User,
    old: User | None,
    made_up: str | None,
    additions: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Show a user with a new password; also show the password if it was generated.

    ``additions`` are fields for the end of the JSON object. If a generated password cannot be
    delivered, the old password is restored, or the new user deleted.
    """
    if made_up is None:
        show_user(out, get_summary(session.store, new.id), now(), dict(additions))
        return
    with _undo_on_failure(session, new, old):
        if out.as_json:
            summary = get_summary(session.store, new.id)
            show_user(out, summary, now(), {"password": made_up, **additions})
        elif out.is_terminal:
            out.new_password_panel(made_up, new.username)
        else:
            out.data(f"{made_up}\n")


@contextmanager
def _undo_on_failure(session: Session, new: User, old: User | None) -> Iterator[None]:
    """Undo a new password if the block that delivers it fails or is interrupted."""

    def undo() -> str:
        is_undone = (
            "the new user has been removed again"
            if old is None
            else "the old password is valid again"
        )
        try:
            undo_undelivered(session.store, new, old)
        except LangkeysError as error:
            said = f"the password for {new.username} was not delivered: {error.message}"
            raise FailedError(said, hint=said) from None
        return f"the password could not be delivered, and {is_undone}; {TRY_AGAIN}"

    with undo_on_failure(undo):
        yield
