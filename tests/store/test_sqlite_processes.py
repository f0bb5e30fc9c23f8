"""SQLite with concurrent processes, and with restrictive file modes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import langkeys
from langkeys.errors import StoreError
from langkeys.store.protocol import KeyFilter

from ..support import databases, stores, unprivileged
from ..support.databases import Database
from ..support.sites import Site
from .conftest import NOW, add_keys, api_key

ALL = KeyFilter(now=NOW)


@pytest.mark.parametrize("wal", [False, True])
def test_a_permanent_lock_is_an_error_that_names_the_database(made: Database, wal: bool) -> None:
    if wal:
        made.use_wal()
    with closing(sqlite3.connect(made.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with stores.opened(made, writable=True, busy_timeout=0.05) as store:
            with pytest.raises(StoreError, match="locked") as caught:
                add_keys(store, api_key())
            assert str(made.path) in caught.value.message
            # Reading is still possible.
            assert list(store.api_keys(ALL)) == []
        other.execute("ROLLBACK")
    with stores.opened(made, writable=True) as store:
        add_keys(store, api_key())


def test_an_exclusive_lock_is_an_error_on_opening(made: Database) -> None:
    with closing(sqlite3.connect(made.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(StoreError, match="locked"),
            stores.opened(made, busy_timeout=0.05) as store,
        ):
            list(store.api_keys(ALL))


_WRITES = """
import sys, uuid
from datetime import datetime, timezone
from pathlib import Path
from langkeys.models import ApiKey
from langkeys.store.sqlite.store import SqliteStore
store = SqliteStore(Path(sys.argv[1]), writable=True)
for number in range(50):
    key_id = uuid.uuid4().hex
    key = ApiKey(
        id=key_id, name=sys.argv[2], user_id="a" * 32, stored="gAAAAA" + key_id, hash=key_id,
        created_at=datetime.now(timezone.utc), last_used_at=None, total_uses=0, is_active=True,
        expires_at=None,
    )
    with store.transaction():
        store.insert_api_keys([key])
store.close()
"""


@pytest.mark.parametrize("wal", [False, True])
def test_eight_processes_of_fifty_writes_lose_none(made: Database, wal: bool) -> None:
    if wal:
        made.use_wal()
    checkout = str(Path(langkeys.__file__).parents[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITES, str(made.path), f"writer {number}"],
            env={"PYTHONPATH": checkout},
            stderr=subprocess.PIPE,
        )
        for number in range(8)
    ]
    errors = [process.communicate()[1].decode() for process in processes]
    assert errors == [""] * 8
    rows = made.rows("SELECT name, count(*) FROM apikey GROUP BY name ORDER BY name")
    assert rows == [(f"writer {number}", 50) for number in range(8)]
    assert made.rows("PRAGMA integrity_check") == [("ok",)]


# File modes


@pytest.fixture
def bound_site() -> Iterator[Site]:
    """A site on which file modes can be tested, without an API key or a variable."""
    with unprivileged.reachable_folder() as folder:
        database = databases.create(folder / "langflow.db")
        database.add_user("administrator")
        yield Site(
            folder,
            {
                "LANGFLOW_DATABASE_URL": f"sqlite:///{database.path}",
                "LANGFLOW_SECRET_KEY": "short",
                "LANGFLOW_AUTO_LOGIN": "true",
                "LANGFLOW_SUPERUSER": "administrator",
            },
        )


def test_a_read_only_file_is_listed_and_not_written(bound_site: Site) -> None:
    path = bound_site.database.path
    path.chmod(0o400)
    before = bound_site.database.digest()
    bound_site.run("api-key", "list", command=unprivileged.COMMAND).done()
    result = bound_site.run("api-key", "create", command=unprivileged.COMMAND)
    result.failed(6, str(path), "written")
    assert bound_site.database.digest() == before


def test_a_read_only_folder_is_listed_and_not_written(bound_site: Site) -> None:
    path = bound_site.database.path
    bound_site.folder.chmod(0o555)
    before = bound_site.database.digest()
    bound_site.run("api-key", "list", command=unprivileged.COMMAND).done()
    bound_site.run("api-key", "create", command=unprivileged.COMMAND).failed(6, str(path))
    assert bound_site.database.digest() == before


def test_a_wal_database_in_a_read_only_folder_cannot_be_written(bound_site: Site) -> None:
    bound_site.database.use_wal()
    bound_site.folder.chmod(0o555)
    result = bound_site.run("api-key", "create", command=unprivileged.COMMAND)
    result.failed(6, str(bound_site.database.path), "WAL", "folder")


def test_an_unreadable_file_is_an_error(bound_site: Site) -> None:
    bound_site.database.path.chmod(0)
    result = bound_site.run("api-key", "list", command=unprivileged.COMMAND)
    result.failed(6, str(bound_site.database.path))


def test_an_inaccessible_folder_is_an_error(bound_site: Site) -> None:
    inner = bound_site.folder / "inner"
    inner.mkdir(0)
    result = bound_site.run(
        "api-key", "list", "--database", str(inner / "langflow.db"), command=unprivileged.COMMAND
    )
    result.failed(6, str(inner / "langflow.db"))
