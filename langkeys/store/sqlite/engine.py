"""The functions of ``langkeys.store.engines`` for SQLite, whose databases are files."""

from collections.abc import Collection
from pathlib import Path

from langkeys.errors import UnsupportedError
from langkeys.models import User
from langkeys.store.sqlite.store import SqliteStore
from langkeys.targets import Target


def open_store(target: Target, *, writable: bool, cache_kib: int | None) -> SqliteStore:
    """See ``langkeys.store.engines.open_store``."""
    return SqliteStore(_file(target), writable=writable, cache_kib=cache_kib)


def take_alone(target: Target, *, patience: float, ignored: Collection[str]) -> SqliteStore:
    """See ``langkeys.store.engines.take_alone``."""
    if ignored:
        raise UnsupportedError(
            f"{target.location} is a file: it has no sessions that could be ignored",
            hint="leave --ignore-sessions-of out",
        )
    return SqliteStore(_file(target), writable=True, alone=True, busy_timeout=patience)


def create_store(target: Target, superuser: User) -> str | None:
    """See ``langkeys.store.engines.create_store``."""
    from langkeys.store.sqlite.creation import create_database

    return create_database(_file(target), superuser)


def _file(target: Target) -> Path:
    assert target.file is not None
    return target.file
