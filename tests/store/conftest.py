"""The engines that the contract is tested with; each creates an empty store and opens it."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

import pytest

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.models import ApiKey, User
from langkeys.store import engines
from langkeys.store.postgresql.store import PostgresStore
from langkeys.store.protocol import Change, Store
from langkeys.store.sqlite.creation import create_database
from langkeys.store.sqlite.store import SqliteStore
from langkeys.targets import Target

from ..support import postgresql, server_databases
from ..support.databases import Database
from ..support.server_databases import ServerDatabase

NOW = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
OWNER = "a" * 32


_MOMENTS = map(timedelta, itertools.repeat(0), itertools.repeat(0), itertools.count())
"""Each is a microsecond later, because keys are listed in the order of their creation."""


def user(username: str = "administrator", user_id: str = OWNER) -> User:
    return User(
        id=user_id,
        username=username,
        password_hash="$2b$04$nothing",
        is_active=True,
        is_superuser=True,
        created_at=NOW,
        updated_at=NOW,
        optins={"github_starred": False},
    )


def api_key(
    name: str | None = "sample",
    *,
    key_id: str | None = None,
    user_id: str = OWNER,
    stored: str | None = None,
    hashed: str | None = "hash",
    created_at: datetime | None = None,
    last_used_at: datetime | None = None,
    is_active: bool = True,
    expires_at: datetime | None = None,
) -> ApiKey:
    key_id = key_id or uuid.uuid4().hex
    return ApiKey(
        id=key_id,
        name=name,
        user_id=user_id,
        stored=stored or f"gAAAAA{key_id}",
        hash=hashed,
        created_at=created_at or NOW + next(_MOMENTS),
        last_used_at=last_used_at,
        total_uses=0,
        is_active=is_active,
        expires_at=expires_at,
    )


class Engine(Protocol):
    """What tests need from an engine in addition to its store."""

    def opened(self, *, writable: bool = False) -> AbstractContextManager[Store]:
        """Open another connection to the engine's store."""
        ...

    def take_alone(self) -> AbstractContextManager[Store]:
        """Open the store, and keep others out."""
        ...

    @property
    def enforces_owners(self) -> bool:
        """Whether API keys and variables must have an owner that exists."""
        ...

    @property
    def detects_changes(self) -> bool:
        """Whether ``version`` stays the same as long as nobody commits."""
        ...


@dataclass
class SqliteEngine:
    """SQLite, with a file for each test."""

    path: Path
    enforces_owners = False
    detects_changes = True

    def __post_init__(self) -> None:
        create_database(self.path, user())

    def opened(self, *, writable: bool = False) -> AbstractContextManager[Store]:
        return closing(SqliteStore(self.path, writable=writable, busy_timeout=0.05))

    def take_alone(self) -> AbstractContextManager[Store]:
        return closing(engines.take_alone(Target("sqlite", file=self.path), patience=0.05))


@dataclass
class PostgresEngine:
    """PostgreSQL, with a database for each test."""

    database: ServerDatabase
    enforces_owners = True
    detects_changes = False

    def __post_init__(self) -> None:
        with self.opened(writable=True) as store, store.transaction():
            store.insert_user(user())

    @property
    def target(self) -> Target:
        settings = Settings(environ={"LANGFLOW_DATABASE_URL": self.database.url})
        return locations.database(settings).target

    def opened(self, *, writable: bool = False) -> AbstractContextManager[Store]:
        return closing(PostgresStore(self.target, writable=writable, patience=0.05))

    def take_alone(self) -> AbstractContextManager[Store]:
        return closing(engines.take_alone(self.target, patience=0.05))


SERVERS = {
    # The tables of 1.13, and those up to 1.8, whose times have no zone. Stored times must not
    # depend on the session's zone, so the second role has another zone, and another schema.
    "postgresql": {"zoned": True, "user": "langflow"},
    "postgresql-naive": {"zoned": False, "user": "traveller"},
}


@pytest.fixture(params=["sqlite", *SERVERS])
def engine(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """An engine with a store that contains one superuser."""
    if request.param == "sqlite":
        yield SqliteEngine(tmp_path / "langflow.db")
        return
    cluster = postgresql.cluster()
    monkeypatch.setenv("PATH", str(cluster.binaries), prepend=os.pathsep)
    database = server_databases.create(cluster, **SERVERS[request.param])
    try:
        yield PostgresEngine(database)
    finally:
        database.give_back()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Store]:
    """The store, open for writing."""
    with engine.opened(writable=True) as store:
        yield store


@pytest.fixture
def reader(engine: Engine) -> Iterator[Store]:
    """The store, open for reading through another connection."""
    with engine.opened() as store:
        yield store


def add_keys(store: Store, *keys: ApiKey) -> list[ApiKey]:
    """Add API keys in one transaction, and return them as a list."""
    with store.transaction():
        store.insert_api_keys(keys)
    return list(keys)


def record_changes(store: Store) -> list[Change]:
    """Return a list that receives the changes of all commits of a store."""
    changes: list[Change] = []

    @contextmanager
    def commit_context(noted: Iterable[Change]) -> Iterator[None]:
        changes.extend(noted)
        yield

    store.commit_context = commit_context
    return changes


@pytest.fixture
def made(tmp_path: Path) -> Database:
    """A database from ``create_database``, with one user."""
    path = tmp_path / "langflow.db"
    create_database(path, user())
    return Database(path)
