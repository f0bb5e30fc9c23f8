"""Databases in the form of every Langflow generation, created and read without langkeys."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from langkeys.store.protocol import Store
from langkeys.store.sqlite.store import SqliteStore

from .samples import SECRET_KEY, encrypted, hash_of, new_api_key, password_hash


@dataclass(frozen=True)
class Shape:
    """The columns of one generation, and the tables that distinguish it from its neighbours."""

    release: str
    revision: str | None
    encrypts_keys: bool = True
    key_hash: bool = True
    key_expiry: bool = True
    environment_managed: bool = False
    retired: bool = False
    tables: tuple[str, ...] = ()


_1_8_TABLES = ("job", "span", "trace", "sso_config", "sso_user_profile")
_1_9_TABLES = (*_1_8_TABLES, "deployment", "flow_version")
_1_10_TABLES = (*_1_9_TABLES, "authz_role")
_1_11_TABLES = (
    *_1_10_TABLES, "a2a_tasks", "a2a_checkpoints", "job_events", "job_checkpoints",
    "execution_signals", "mcp_server",
)  # fmt: skip


def _old(release: str, revision: str) -> Shape:
    return Shape(release, revision, encrypts_keys=False, key_hash=False, key_expiry=False)


def _new(release: str, revision: str, *, retired: bool = False) -> Shape:
    return Shape(
        release, revision, environment_managed=True, retired=retired, tables=_1_11_TABLES
    )  # fmt: skip


SHAPES = {
    shape.release: shape
    for shape in (
        _old("1.5", "d9a6ea21edcd"),
        _old("1.6", "d37bc4322900"),
        _old("1.7", "182e5471b900"),
        Shape("1.8", "59a272d6669a", key_hash=False, key_expiry=False, tables=_1_8_TABLES),
        Shape("1.9", "d306e5c17c41", key_expiry=False, tables=_1_9_TABLES),
        Shape("1.10.0", "b7c4d8e9f012", tables=_1_10_TABLES),
        Shape("1.10", "d49cbced8696", tables=_1_10_TABLES),
        Shape("1.11", "d19e7b3c5a42", tables=_1_11_TABLES),
        Shape("1.12", "c6d8e0f2a4b7", tables=_1_11_TABLES),
        _new("1.12.8", "386662af02e9"),
        _new("1.13", "e5a7c9b1d3f2", retired=True),
    )
}
NEWEST = SHAPES["1.13"]
ADOPTED_BY_1_13 = Shape("1.13", None, environment_managed=True, retired=True)
"""The form that ``langkeys init`` creates, before a server has used it."""


def stored(moment: datetime) -> str:
    """Format a time as Langflow stores it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")


def ago(**span: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(**span)


def ahead(**span: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(**span)


@dataclass(frozen=True)
class SampleKey:
    """An API key in a database: the id of its row as 32 hex digits, the whole key, and its name."""

    id: str
    plaintext: str
    name: str | None

    @property
    def dashed(self) -> str:
        return str(uuid.UUID(self.id))


class Database:
    """A Langflow database file, written and read without langkeys."""

    def __init__(self, path: Path, shape: Shape = NEWEST) -> None:
        self.path = path
        self.shape = shape

    def opened(self, *, writable: bool, patience: float) -> Store:
        """Open langkeys' store of this database."""
        return SqliteStore(self.path, writable=writable, busy_timeout=patience)

    @property
    def url(self) -> str:
        """The LANGFLOW_DATABASE_URL of this database."""
        return f"sqlite:///{self.path}"

    @property
    def location(self) -> str:
        """The database's name in langkeys' messages."""
        return str(self.path)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(sql, parameters).fetchall()

    def _insert(self, table: str, **values: Any) -> None:
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        self.rows(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(values.values()))

    def new_id(self) -> str:
        """Return an id for a row that comes after all others, as 32 hex digits."""
        return uuid.uuid4().hex

    def add_user(
        self,
        username: str,
        *,
        is_active: bool = True,
        is_superuser: bool = True,
        hashed: str | None = None,
        last_login_at: datetime | None = None,
        optins: str | None = None,
    ) -> str:
        """Add a user, by default with the samples' PASSWORD, and return the id."""
        user_id = self.new_id()
        self._insert(
            "user",
            id=user_id,
            username=username,
            password=password_hash() if hashed is None else hashed,
            is_active=int(is_active),
            is_superuser=int(is_superuser),
            create_at="2026-01-01 00:00:00.000000",
            updated_at="2026-01-02 00:00:00.000000",
            last_login_at=None if last_login_at is None else stored(last_login_at),
            optins=optins,
        )
        return user_id

    def add_key(
        self,
        owner: str,
        name: str | None = "sample",
        *,
        plaintext: str | None = None,
        key_id: str | None = None,
        at_rest: str | None = None,
        secret_key: str = SECRET_KEY,
        hashed: bool = True,
        is_active: bool = True,
        expires_at: datetime | None = None,
        created_at: datetime | None = None,
        last_used_at: datetime | None = None,
        total_uses: int = 0,
    ) -> SampleKey:
        """Add an API key of the user with the id ``owner``, by default as this generation does."""
        plaintext = plaintext or new_api_key()
        key_id = key_id or self.new_id()
        fernet = self.shape.encrypts_keys if at_rest is None else at_rest == "fernet"
        values: dict[str, Any] = {
            "id": key_id,
            "name": name,
            "user_id": owner,
            "api_key": encrypted(plaintext, secret_key) if fernet else plaintext,
            "created_at": stored(created_at or ago(days=1)),
            "last_used_at": None if last_used_at is None else stored(last_used_at),
            "total_uses": total_uses,
            "is_active": int(is_active),
        }
        if self.shape.key_hash:
            values["api_key_hash"] = hash_of(plaintext) if hashed else None
        if self.shape.key_expiry:
            values["expires_at"] = None if expires_at is None else stored(expires_at)
        self._insert("apikey", **values)
        return SampleKey(key_id, plaintext, name)

    def add_variable(self, owner: str, name: str, value: str, kind: str = "Credential") -> None:
        self._insert("variable", id=self.new_id(), name=name, value=value, type=kind, user_id=owner)

    def key_ids(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT id FROM apikey ORDER BY rowid")]

    def schema(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")

    def journal_mode(self) -> str:
        return str(self.rows("PRAGMA journal_mode")[0][0])

    def use_wal(self) -> None:
        assert self.rows("PRAGMA journal_mode = WAL") == [("wal",)]

    def digest(self) -> str:
        """Return a hash of the file's bytes, without changes that are still in the WAL."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def content(self) -> list[str]:
        """Return the whole content of the database as SQL, including what is in the WAL."""
        with closing(sqlite3.connect(self.path)) as connection:
            return list(connection.iterdump())


def create(path: Path, shape: Shape = NEWEST, *, revision: str | None = None) -> Database:
    """Create a database in a generation's form; ``revision`` replaces the generation's own."""
    retired = "retired_at DATETIME," if shape.retired else ""
    managed = "is_environment_managed BOOLEAN," if shape.environment_managed else ""
    expiry = "expires_at DATETIME," if shape.key_expiry else ""
    key_hash = "api_key_hash VARCHAR," if shape.key_hash else ""
    script = f"""
        CREATE TABLE user (
            id CHAR(32) NOT NULL, username VARCHAR NOT NULL, password VARCHAR NOT NULL,
            profile_image VARCHAR, is_active BOOLEAN NOT NULL, is_superuser BOOLEAN NOT NULL,
            create_at DATETIME NOT NULL, updated_at DATETIME NOT NULL, last_login_at DATETIME,
            {retired} store_api_key VARCHAR, optins JSON, PRIMARY KEY (id), UNIQUE (id));
        CREATE UNIQUE INDEX ix_user_username ON user (username);
        CREATE TABLE "apikey" (
            name VARCHAR, last_used_at DATETIME, total_uses INTEGER NOT NULL,
            is_active BOOLEAN NOT NULL, {expiry} id CHAR(32) NOT NULL,
            created_at DATETIME DEFAULT (CURRENT_TIMESTAMP) NOT NULL, api_key VARCHAR NOT NULL,
            {key_hash} user_id CHAR(32) NOT NULL, PRIMARY KEY (id),
            FOREIGN KEY(user_id) REFERENCES user (id), UNIQUE (id));
        CREATE UNIQUE INDEX ix_apikey_api_key ON apikey (api_key);
        CREATE INDEX ix_apikey_user_id ON apikey (user_id);
        CREATE INDEX ix_apikey_name ON apikey (name);
        CREATE TABLE variable (
            name VARCHAR NOT NULL, value VARCHAR NOT NULL, type VARCHAR, id CHAR(32) NOT NULL,
            created_at DATETIME DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME, {managed}
            default_fields JSON, user_id CHAR(32) NOT NULL, PRIMARY KEY (id),
            FOREIGN KEY(user_id) REFERENCES user (id));
    """
    if shape.key_hash:
        script += "CREATE INDEX ix_apikey_api_key_hash ON apikey (api_key_hash);"
    if shape.retired:
        script += "CREATE UNIQUE INDEX ix_user_username_lower ON user (lower(username));"
    for table in shape.tables:
        script += f"CREATE TABLE {table} (id CHAR(32) NOT NULL, PRIMARY KEY (id));"
    if revision or shape.revision:
        script += (
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);"
            f"INSERT INTO alembic_version VALUES ('{revision or shape.revision}');"
        )
    with closing(sqlite3.connect(path)) as connection:
        # The database does not outlive the test, so do not wait for the disk.
        connection.executescript("PRAGMA synchronous = OFF;" + script)
    return Database(path, shape)
