"""SQLite's query plans: the cost of a lookup must not grow with the number of API keys.

The databases have no statistics, like Langflow's. So a plan is the same for a hundred keys and for
a million.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langkeys.models import ApiKey
from langkeys.store.protocol import KeyFilter
from langkeys.store.sqlite.store import SqliteStore

from ..support import databases
from ..support.databases import SHAPES
from .conftest import NOW, OWNER, api_key, user

ID = "0" * 32


def scans(path: Path, query: Callable[[SqliteStore], Any]) -> list[str]:
    """Return the steps of a query's plan that read all of apikey, or sort it."""
    store = SqliteStore(path, writable=True)
    with contextlib.closing(store):
        statements: list[str] = []
        store._connection.set_trace_callback(statements.append)
        result = query(store)
        if hasattr(result, "__next__"):
            list(result)
        store._connection.set_trace_callback(None)
        steps = [
            step[3]
            for sql in statements
            if sql.startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))
            for step in store._connection.execute(f"EXPLAIN QUERY PLAN {sql}")
        ]
    assert steps, "no statement was run"
    # A search with rowid > X reads the rest of the table, although SQLite calls it a search.
    return [
        step
        for step in steps
        if step.startswith(("SCAN k", "SCAN apikey", "SCAN u", "USE TEMP B-TREE"))
        or "INTEGER PRIMARY KEY (rowid>?)" in step
    ]


def limited(**conditions: Any) -> Callable[[SqliteStore], list[ApiKey]]:
    wanted = KeyFilter(now=NOW, **conditions)
    return lambda store: list(store.api_keys(wanted, limit=50))


QUERIES: dict[str, Callable[[SqliteStore], Any]] = {
    "by id": lambda store: store.find_api_key(ID),
    "by the start of the id": lambda store: store.api_keys_by_id_start("0000", 11),
    "by name": lambda store: store.api_keys_named("ci", 11),
    "by hash, else as it is stored": lambda store: [
        *store.owned_by_hash("h"),
        *store.owned_stored_as("sk-"),
    ],
    "all rows of a key": lambda store: store.rows_of_key("h", ["sk-", "gAAAAA"]),
    "as it is stored": lambda store: store.owned_stored_as("gAAAAA"),
    "plaintext by its start": lambda store: store.api_keys_stored_from("sk-", 11),
    "a user's, one page": limited(user_id=OWNER),
    "a user's active ones": limited(user_id=OWNER, status="active"),
    "of one name": limited(name="ci", status="active"),
    "of one user and name": limited(user_id=OWNER, name="ci"),
    "a use": lambda store: store.count_use(ID, NOW),
    "a user by name": lambda store: store.find_user_named("administrator"),
    "a deletion": lambda store: store.delete_api_keys([ID]),
}


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.9", "1.13"])
@pytest.mark.parametrize("what", QUERIES)
def test_lookups_of_few_keys_use_an_index(tmp_path: Path, release: str, what: str) -> None:
    path = tmp_path / "langflow.db"
    databases.create(path, SHAPES[release])
    with contextlib.closing(SqliteStore(path, writable=True)) as store, store.transaction():
        store.insert_user(user())
        store.insert_api_keys(api_key("ci", hashed=None) for _ in range(3))
    assert scans(path, QUERIES[what]) == []


@pytest.mark.parametrize("release", ["1.9", "1.13"])
def test_if_all_keys_have_a_hash_no_row_is_read_to_find_one_without(
    tmp_path: Path, release: str
) -> None:
    path = tmp_path / "langflow.db"
    databases.create(path, SHAPES[release])
    assert scans(path, lambda store: store.key_tokens(unhashed_only=True)) == []
    assert scans(path, lambda store: store.unhashed_plaintexts()) == []


def test_a_query_that_reads_every_row_is_detected(tmp_path: Path) -> None:
    # Langflow has no index for this condition. This test shows that those above can fail.
    path = tmp_path / "langflow.db"
    databases.create(path)
    assert scans(path, limited(status="expired"))


def plan_of(path: Path, wanted: KeyFilter) -> str:
    store = SqliteStore(path)
    with contextlib.closing(store):
        where, parameters = store._conditions(wanted)
        rows = store._rows(f"EXPLAIN QUERY PLAN {store._key_select} WHERE {where}", parameters)
    return " ".join(row[3] for row in rows)


@pytest.mark.parametrize(
    ("many", "index"), [("name", "ix_apikey_user_id"), ("user", "ix_apikey_name")]
)
def test_the_index_with_fewer_matches_is_used(tmp_path: Path, many: str, index: str) -> None:
    path = tmp_path / "langflow.db"
    databases.create(path)
    with contextlib.closing(SqliteStore(path, writable=True)) as store, store.transaction():
        store.insert_user(user())
        store.insert_user(user("alice", "b" * 32))
        store.insert_api_keys(
            api_key("CLI", user_id="b" * 32) if many == "name" else api_key(f"key {n}")
            for n in range(1000)
        )
        store.insert_api_keys([api_key("CLI")])
    assert index in plan_of(path, KeyFilter(now=NOW, user_id=OWNER, name="CLI"))
