"""Big databases: created by ``langkeys init``, filled with SQL, and copied for parts that write.

Everything about key number N is derived from N, so that a benchmark can use any of a million keys
without keeping them in memory.
"""

import base64
import hashlib
import multiprocessing
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from types import ModuleType

from cryptography.fernet import Fernet
from processes import LANGKEYS, clean_environment, run

SECRET_KEY = "S" * 43
FERNET_KEY = SECRET_KEY + "="
ADMINISTRATOR = "administrator"

_AGE = 60 * 24 * 60 * 60
"""Rows are created from 60 days ago on, one per second: old enough for ``prune --older-than 30d``,
but not unused for 90 days."""

_DEFAULT_NAME_EVERY = 10
"""One of so many keys has the default name of ``api-key create``."""

_CHUNK = 5_000


def key_name(number: int) -> str:
    """Return the name of a key, which is unique or the default name."""
    return f"service-{number}" if has_name_of_its_own(number) else "CLI"


def has_name_of_its_own(number: int) -> bool:
    """Return whether no other key has the same name."""
    return number % _DEFAULT_NAME_EVERY != 0


def key_id(number: int) -> str:
    """Return the id of a key's row as 32 hex digits, not in the order of the numbers."""
    return _id("key", number)


def plaintext(number: int) -> str:
    """Return the whole key; for a number beyond the store's keys, an unknown key."""
    digest = hashlib.sha256(f"plaintext {number}".encode()).digest()
    return "sk-" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True)
class Store:
    """A database in its own folder, and the config folder for commands on it."""

    folder: Path
    keys: int

    @property
    def path(self) -> Path:
        return self.folder / "langflow.db"

    @property
    def url(self) -> str:
        """The database's URL."""
        return f"sqlite:///{self.path}"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def environment(self) -> dict[str, str]:
        """Settings with which the administrator acts without a password."""
        return clean_environment(
            self.folder,
            LANGFLOW_DATABASE_URL=self.url,
            LANGFLOW_CONFIG_DIR=str(self.config),
            LANGFLOW_SECRET_KEY=SECRET_KEY,
            LANGFLOW_AUTO_LOGIN="true",
            LANGFLOW_SUPERUSER=ADMINISTRATOR,
            LANGFLOW_SUPERUSER_PASSWORD="benchmark-password",
            DO_NOT_TRACK="true",
        )

    def copied(self, folder: Path) -> "Store":
        """Copy the database to a store in a new folder; no process may have it open."""
        copy = Store(folder, self.keys)
        copy.config.mkdir(parents=True)
        shutil.copyfile(self.path, copy.path)
        _sync(copy.path)
        return copy

    def remove(self) -> None:
        """Remove the folder and its content."""
        shutil.rmtree(self.folder)

    def column(self, sql: str) -> list[str]:
        """Return the one column of a query."""
        with closing(sqlite3.connect(self.path)) as connection:
            return [value for (value,) in connection.execute(sql)]


def create_store(
    folder: Path,
    *,
    keys: int = 0,
    users: int = 1,
    administrator_every: int = 101,
    variables: int = 2,
) -> Store:
    """Create a store with Langflow 1.13's tables; ``users`` includes the administrator.

    ``administrator_every``: one of so many keys is the administrator's; the other users get the
    others in turn. ``variables``: how many each user has.
    """
    store = Store(folder, keys)
    store.config.mkdir(parents=True)
    run([*LANGKEYS, "init"], store.environment, folder)
    # init has written .env: with it, the benchmarks would also measure python-dotenv.
    (folder / ".env").unlink(missing_ok=True)
    began = int(time.time()) - _AGE
    with _filling(store.path) as connection:
        (administrator,) = connection.execute("SELECT id FROM user").fetchone()
        others = [_id("user", number) for number in range(1, users)] or [administrator]
        connection.executemany(
            "INSERT INTO user (id, username, password, is_active, is_superuser, create_at,"
            " updated_at, optins) VALUES (?, ?, 'x', 1, 0, ?, ?, '{}')",
            (
                (other, f"user-{number}", _stored(began), _stored(began))
                for number, other in enumerate(others[: users - 1], 1)
            ),
        )
        connection.executemany(
            "INSERT INTO apikey (id, name, user_id, api_key, api_key_hash, created_at,"
            " last_used_at, total_uses, is_active) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
            (
                (
                    key_id(number),
                    key_name(number),
                    others[number % len(others)] if number % administrator_every else administrator,
                    token,
                    hashed,
                    _stored(began + number),
                    # Every other key has been used: without any use, --unused-for is meaningless.
                    None if number % 2 else _stored(began + number + 3600),
                    0 if number % 2 else 3,
                )
                for number, token, hashed in _encrypted(keys, began)
            ),
        )
        _add_variables(connection, {administrator, *others}, variables, began)
    return store


def create_1_8_store(folder: Path, keys: int) -> Store:
    """Create a database of Langflow 1.8, which stores no hashes of keys, with one user."""
    databases = tests_module("support.databases")
    store = Store(folder, keys)
    store.config.mkdir(parents=True)
    owner = databases.create(store.path, databases.SHAPES["1.8"]).add_user(ADMINISTRATOR)
    began = int(time.time()) - _AGE
    with _filling(store.path) as connection:
        connection.executemany(
            "INSERT INTO apikey (id, name, user_id, api_key, created_at, total_uses, is_active)"
            " VALUES (?, ?, ?, ?, ?, 0, 1)",
            (
                (key_id(number), key_name(number), owner, token, _stored(began + number))
                for number, token, _ in _encrypted(keys, began)
            ),
        )
    return store


def tests_module(name: str) -> ModuleType:
    """Import a module of the tests, which `python tests/benchmarks` does not find by itself."""
    checkout = str(Path(__file__).parents[2])
    if checkout not in sys.path:
        # First, because many packages install a folder `tests` by mistake.
        sys.path.insert(0, checkout)
    return import_module(f"tests.{name}")


@contextmanager
def _filling(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a fast connection to fill a database; then recreate the keys' indexes and set WAL mode.

    If this fails, the database is unusable.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in (
            "journal_mode = OFF", "synchronous = OFF",
            "temp_store = MEMORY", "cache_size = -400000",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master"
            " WHERE type = 'index' AND tbl_name = 'apikey' AND sql NOTNULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _sync(path)


def _sync(path: Path) -> None:
    # Pending writes would slow down the first commands that wait for the disk.
    with path.open("rb") as file:
        os.fsync(file)


def _add_variables(connection: sqlite3.Connection, owners: set[str], each: int, began: int) -> None:
    fernet = Fernet(FERNET_KEY)
    connection.executemany(
        "INSERT INTO variable (id, name, value, type, default_fields, created_at, updated_at,"
        " is_environment_managed, user_id) VALUES (?, ?, ?, 'Credential', '[]', ?, ?, 0, ?)",
        (
            (
                _id("variable", place * each + number),
                f"CREDENTIAL_{number}_KEY",
                fernet.encrypt_at_time(f"value {number} of {owner}".encode(), began).decode(),
                _stored(began),
                _stored(began),
                owner,
            )
            for place, owner in enumerate(sorted(owners))
            for number in range(each)
        ),
    )


def _encrypted(keys: int, began: int) -> Iterator[tuple[int, str, str]]:
    """Yield each key's number, Fernet token and hash, in order; two processes compute them."""
    parts = [(start, min(start + _CHUNK, keys), began) for start in range(0, keys, _CHUNK)]
    if len(parts) < 2:
        for part in parts:
            yield from _encrypted_part(part)
        return
    with multiprocessing.Pool(2) as pool:
        for rows in pool.imap(_encrypted_part, parts):
            yield from rows


def _encrypted_part(part: Sequence[int]) -> list[tuple[int, str, str]]:
    start, stop, began = part
    fernet = Fernet(FERNET_KEY)
    return [
        (
            number,
            fernet.encrypt_at_time(key, began + number).decode(),
            hashlib.sha256(key).hexdigest(),
        )
        for number in range(start, stop)
        for key in (plaintext(number).encode(),)
    ]


def _id(kind: str, number: int) -> str:
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()[:32]


def _stored(moment: int) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
