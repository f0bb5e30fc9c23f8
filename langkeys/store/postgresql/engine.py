"""The functions of ``langkeys.store.engines`` for PostgreSQL, whose databases are on a server."""

from collections.abc import Collection

from langkeys.errors import UnsupportedError
from langkeys.models import User
from langkeys.store.postgresql.database import PATIENCE
from langkeys.store.postgresql.store import PostgresStore
from langkeys.targets import Target


def open_store(target: Target, *, writable: bool, cache_kib: int | None) -> PostgresStore:
    """See ``langkeys.store.engines.open_store``; ignores ``cache_kib``: the server caches."""
    del cache_kib
    return PostgresStore(target, writable=writable, patience=PATIENCE)


def take_alone(target: Target, *, patience: float, ignored: Collection[str]) -> PostgresStore:
    """See ``langkeys.store.engines.take_alone``."""
    store = PostgresStore(target, writable=True, patience=patience)
    try:
        store.take_alone(patience, ignored)
    except BaseException:
        store.close()
        raise
    return store


def create_store(target: Target, superuser: User) -> str | None:
    """See ``langkeys.store.engines.create_store``; always raises: servers create the tables."""
    del superuser
    raise UnsupportedError(
        f"langkeys makes no tables in {target.location}: a Langflow server does",
        hint="start the Langflow server once with this database",
    )
