"""The default isolation level of a role changes nothing."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from langkeys.store.protocol import KeyFilter

from ..support import stores
from ..support.databases import Database
from ..support.server_databases import ServerDatabase
from .conftest import NOW


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def server(database: Database) -> ServerDatabase:
    assert isinstance(database, ServerDatabase)
    database.rows(
        f"ALTER DATABASE {database.name} SET default_transaction_isolation = serializable"
    )
    return database


def test_a_use_beside_another_one_is_counted(server: ServerDatabase, superuser: str) -> None:
    key = server.add_key(superuser, "busy")
    use = "UPDATE apikey SET total_uses = total_uses + 1"
    with (
        stores.opened(server, writable=True) as store,
        closing(server.cluster.connect(server.user, server.name)) as other,
    ):
        other.autocommit = False
        other.cursor().execute(use)

        def commit_once_it_waits() -> None:
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
            while not server.rows(waiting):
                time.sleep(0.01)
            other.commit()

        thread = threading.Thread(target=commit_once_it_waits)
        thread.start()
        assert store.count_use(key.id, NOW)
        thread.join()
    assert server.rows("SELECT total_uses FROM apikey") == [(2,)]


def test_a_long_list_is_read_without_predicate_locks(
    server: ServerDatabase, superuser: str
) -> None:
    server.add_key(superuser, "one")
    levels = []
    with stores.opened(server) as store:
        fetch = store._fetched  # type: ignore[attr-defined]

        def fetch_and_look(sql: str, parameters: object) -> object:
            rows = fetch(sql, parameters)
            if sql.startswith("DECLARE"):
                levels.extend(fetch("SHOW transaction_isolation", ()))
            return rows

        store._fetched = fetch_and_look  # type: ignore[attr-defined]
        assert len(list(store.api_keys(KeyFilter(now=NOW)))) == 1
    assert levels == [("read committed",)]
