"""Messages on stderr that several commands use."""

from collections.abc import Iterable, Sequence, Sized
from typing import TYPE_CHECKING

from langkeys.authentication import superuser_at_risk
from langkeys.models import ApiKey, User, dashed
from langkeys.sessions.session import Session
from langkeys.text import counted

if TYPE_CHECKING:
    from langkeys.api_keys.ending import WholeKey


def warn_of_undecryptable(session: Session, noun: str, count: int = 1, total: int = 1) -> None:
    """Warn that ``count`` of the ``total`` objects shown cannot be decrypted.

    Name the secret key, or say that it is missing or malformed.
    """
    if total == 1:
        what = f"this {noun}"
    else:
        what = f"{count if count < total else 'any'} of these {counted(total, noun)}"
    cipher = session.reading_cipher
    if cipher.error is None:
        session.warn(f"the secret key from {cipher.source} cannot decrypt {what}")
    else:
        session.warn(f"{cipher.error.message}. So langkeys cannot decrypt {what}")


def plural_keys(keys: Sized) -> str:
    """Return the number of API keys: ``1 API key``, ``2 API keys``."""
    return counted(len(keys), "API key")


def key_or_count(key: ApiKey, count: int) -> str:
    """Name the only new API key by its id, or return how many there are."""
    return f"API key {dashed(key.id)}" if count == 1 else counted(count, "API key")


def row_named(row: ApiKey) -> str:
    """Return a row's id, name and owner for a message."""
    return f"{dashed(row.id)} ({row.name}, {row.username or 'no owner'})"


def say_other_rows(
    session: Session, keys: Iterable["WholeKey"], done: str, *, deleted: bool = True
) -> None:
    """Name other rows of the same keys that were changed too; ``done`` says how.

    With ``deleted``, unreadable rows were changed, too.
    """
    for key in keys:
        for row in key.others:
            session.warn(
                f"API key {row_named(row)} holds the same key as"
                f" {dashed(key.meant.id)}: {done}, too"
            )
        for stub in key.stubs:
            session.warn(
                f"row {stub.id} of apikey cannot be read, but holds the same key as"
                f" {dashed(key.meant.id)}: {done if deleted else 'it was not changed'}"
            )


def warn_of_unreadable(session: Session) -> None:
    """Warn of rows that cannot be decrypted and may belong to the same keys."""
    if warning := session.endings.unreadable_warning:
        session.warn(warning)


def warn_of_fate(session: Session, user: User) -> None:
    """Warn if servers delete or change an account like this one."""
    if superuser_at_risk(session.settings, session.generation, user) is not None:
        fate = "delete" if session.generation.deletes_default_superuser else "retire"
        session.warn(
            f"with LANGFLOW_AUTO_LOGIN=false Langflow {session.generation.release}"
            f" servers {fate} the superuser {user.username!r} as long as it has never"
            " logged in: choose another name"
        )


def warn_of_overwriting(session: Session, names: Sequence[str]) -> None:
    """Warn if a server of 1.5 to 1.7 would overwrite the variables that have just been set."""
    if (
        names
        and not session.generation.keeps_set_variables
        and session.settings.flag("LANGFLOW_STORE_ENVIRONMENT_VARIABLES")
    ):
        session.warn(
            f"a Langflow {session.generation.release} server overwrites"
            f" {', '.join(names)} when it starts or the user logs in, if its"
            " environment has another value and it imports the name;"
            " LANGFLOW_STORE_ENVIRONMENT_VARIABLES=false prevents that"
        )
