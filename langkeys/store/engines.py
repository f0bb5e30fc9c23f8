"""The only module that names the engines; it imports an engine when a database needs it."""

from collections.abc import Collection
from typing import Protocol

from langkeys.errors import UnsupportedError
from langkeys.models import User
from langkeys.store.protocol import Store
from langkeys.targets import Target


class Engine(Protocol):
    """The interface of the module ``engine`` in each engine's package."""

    def open_store(self, target: Target, *, writable: bool, cache_kib: int | None) -> Store:
        """Open an existing database."""
        ...

    def take_alone(self, target: Target, *, patience: float, ignored: Collection[str]) -> Store:
        """Open a database for writing, and keep other users out until it is closed."""
        ...

    def create_store(self, target: Target, superuser: User) -> str | None:
        """Create a database with one user, completely or not at all."""
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
    """Open an existing Langflow database; raise StoreError if it cannot be opened.

    ``cache_kib`` is the size of the page cache in KiB; None selects the engine's default.
    """
    return _engine(target).open_store(target, writable=writable, cache_kib=cache_kib)


def take_alone(target: Target, *, patience: float, ignored: Collection[str] = ()) -> Store:
    """Open a database for exclusive use; it stays exclusive until it is closed.

    Raises StoreError if others still have the database open after ``patience`` seconds. Sessions of
    the roles in ``ignored`` do not count; an engine without roles raises UnsupportedError for them.
    """
    return _engine(target).take_alone(target, patience=patience, ignored=ignored)


def create_store(target: Target, superuser: User) -> str | None:
    """Create a database with Langflow 1.13's tables and one user, completely or not at all.

    Returns a warning, or None. Raises ConflictError if the database exists, StoreError if it cannot
    be created, and UnsupportedError if the engine leaves creating the tables to servers.
    """
    return _engine(target).create_store(target, superuser)
