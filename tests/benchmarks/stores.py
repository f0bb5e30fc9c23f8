"""Big databases: made by ``langkeys init``, filled behind its back, and copied where a part writes.

Everything about key number N follows from N, so that nothing has to be remembered of a million keys
to ask for any of them.
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
"""Keys and all are made from 60 days ago on, one a second: old for ``prune --older-than 30d``, and
not unused for 90 days."""

_DEFAULT_NAME_EVERY = 10
"""So many keys have one that is named as ``api-key create`` names it by default."""

_CHUNK = 5_000


def key_name(number: int) -> str:
    """Return what a key is named, alone or as many others are."""
    return f"service-{number}" if has_name_of_its_own(number) else "CLI"


def has_name_of_its_own(number: int) -> bool:
    """Tell whether a name is enough to name the key."""
    return number % _DEFAULT_NAME_EVERY != 0


def key_id(number: int) -> str:
    """Return the id of a key's row as 32 digits, in no order."""
    return _id("key", number)


def plaintext(number: int) -> str:
    """Return the whole key; of a number that the store does not go up to, an unknown one."""
    digest = hashlib.sha256(f"plaintext {number}".encode()).digest()
    return "sk-" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True)
class Store:
    """A database in a folder of its own, with the config folder of the commands that use it."""

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
        """Settings by which the administrator acts, without a password."""
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
        """Copy the database, which nobody may have open, to a store in a new folder."""
        copy = Store(folder, self.keys)
        copy.config.mkdir(parents=True)
        shutil.copyfile(self.path, copy.path)
        _sync(copy.path)
        return copy

    def remove(self) -> None:
        """Remove the folder, and what is in it."""
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
    """Make a store of Langflow 1.13's tables; ``users`` counts the administrator.

    Of so many keys one is the administrator's; the others go round the other users. Each user has
    so many variables.
    """
    store = Store(folder, keys)
    store.config.mkdir(parents=True)
    run([*LANGKEYS, "init"], store.environment, folder)
    # Written by init: with it, python-dotenv would be measured, too.
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
                    # Every other key is in use: --unused-for means nothing where none is.
                    None if number % 2 else _stored(began + number + 3600),
                    0 if number % 2 else 3,
                )
                for number, token, hashed in _encrypted(keys, began)
            ),
        )
        _add_variables(connection, {administrator, *others}, variables, began)
    return store


def create_1_8_store(folder: Path, keys: int) -> Store:
    """Make a database of Langflow 1.8, which keeps no hash of a key, with one user."""
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
    """Import a module of the tests, which `python tests/benchmarks` does not look for by itself."""
    checkout = str(Path(__file__).parents[2])
    if checkout not in sys.path:
        # First: a folder with the name `tests` is what many packages install by mistake.
        sys.path.insert(0, checkout)
    return import_module(f"tests.{name}")


@contextmanager
def _filling(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a fast connection to fill a database by: indexes of keys are made after it, in WAL mode.

    Where this fails, the database is good for nothing.
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
    # What the disk still has to do would slow down the first commands that wait for it.
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
    """Yield each key's number, Fernet token and hash, in order; two processes make them."""
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
