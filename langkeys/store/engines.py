"""The engines: the only module that names them. Each is imported when a database of its is used."""

from collections.abc import Collection
from typing import Protocol

from langkeys.errors import UnsupportedError
from langkeys.models import User
from langkeys.store.protocol import Store
from langkeys.targets import Target


class Engine(Protocol):
    """What the module ``engine`` of an engine's package has."""

    def open_store(self, target: Target, *, writable: bool, cache_kib: int | None) -> Store:
        """Open a database that exists."""
        ...

    def take_alone(self, target: Target, *, patience: float, ignored: Collection[str]) -> Store:
        """Open a database for writing, and lock everybody else out until it is closed."""
        ...

    def create_store(self, target: Target, superuser: User) -> str | None:
        """Make a database with one user; all of it or nothing."""
        ...


def _engine(target: Target) -> Engine:
    if target.scheme == "sqlite":
        from langkeys.store.sqlite import engine

        return engine
    if target.scheme == "postgresql":
        from langkeys.store.postgresql import engine as postgresql

        return postgresql
    raise UnsupportedError(f"langkeys has no engine for {target.scheme} databases")


def open_store(target: Target, *, writable: bool = False, cache_kib: int | None = None) -> Store:
    """Open a Langflow database that exists; StoreError where it cannot be opened.

    ``cache_kib`` is how much of it may be kept in memory, if not the engine's own default.
    """
    return _engine(target).open_store(target, writable=writable, cache_kib=cache_kib)


def take_alone(target: Target, *, patience: float, ignored: Collection[str] = ()) -> Store:
    """Open a database for writing that nobody else has open, and keep others out until the close.

    Raises StoreError where others still have it open after ``patience`` seconds. Sessions of the
    roles ``ignored`` do not count, where there are roles.
    """
    return _engine(target).take_alone(target, patience=patience, ignored=ignored)


def create_store(target: Target, superuser: User) -> str | None:
    """Make a database with the tables of Langflow 1.13 and one user; all of it or nothing.

    Returns what is to be warned of. Raises ConflictError where there is one already, StoreError
    where it cannot be made, UnsupportedError where the engine leaves that to a server.
    """
    return _engine(target).create_store(target, superuser)
