"""PostgreSQL's query plans: the queries of every command that writes must not sort all keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langkeys.store.postgresql import cells
from langkeys.store.postgresql.store import PostgresStore

from ..support import stores
from ..support.databases import Database


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


def plans(store: PostgresStore, ask: Callable[[PostgresStore], Any]) -> list[str]:
    """Return the plan steps of statements on API keys, with indexes used wherever possible."""
    statements: list[tuple[str, Any]] = []
    fetch = store._fetched

    def fetch_and_keep(sql: str, parameters: Any = ()) -> list[Any]:
        statements.append((sql, parameters))
        return fetch(sql, parameters)

    store._fetched = fetch_and_keep  # type: ignore[method-assign]
    list(ask(store))
    found = [(sql, given) for sql, given in statements if "FROM" in sql and "apikey" in sql]
    assert found, "no statement on API keys was run"
    steps = []
    for sql, given in found:
        select = sql[sql.index("SELECT ") :]
        fetch("SET enable_seqscan = off; SET enable_sort = off", ())
        steps += [row[0] for row in fetch(f"EXPLAIN {select}", given)]
    return steps


@pytest.mark.parametrize(
    "ask",
    [
        PostgresStore.sample_of_encrypted_values,
        PostgresStore.encrypted_values,
        lambda store: store.cells(lambda _: None),
    ],
)
def test_encrypted_values_are_read_by_an_index(
    database: Database, superuser: str, ask: Callable[[PostgresStore], Any]
) -> None:
    for number in range(3):
        database.add_key(superuser, f"key {number}")
    with stores.opened(database) as store:
        assert isinstance(store, PostgresStore)
        steps = plans(store, ask)
    assert [step for step in steps if "Sort" in step or "Seq Scan on apikey" in step] == []
    assert any("Index" in step for step in steps)


def test_rows_with_numbers_for_ids_are_all_found(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "PAGE_CELLS", 2)
    database.rows("CREATE TABLE numbered (id integer PRIMARY KEY, secret text)")
    database.rows("INSERT INTO numbered SELECT n, 'gAAAAA' || n FROM generate_series(1, 12) n")
    with stores.opened(database) as store:
        pages = list(store.cells(lambda _: None))
    found = [cell.text for page in pages for cell in page if cell.table == "numbered"]
    assert found == [f"gAAAAA{number}".encode() for number in range(1, 13)]
