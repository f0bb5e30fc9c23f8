"""langkeys stores rows in SQLite in Langflow's own form, in every generation."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from langkeys.errors import StoreError
from langkeys.store.protocol import KeyFilter

from ..support import databases, stores
from ..support.databases import SHAPES, Database
from .conftest import NOW, add_keys, api_key, user

ALL = KeyFilter(now=NOW)


def test_a_stored_key_has_langflows_form(made: Database) -> None:
    key = api_key(
        key_id="3f2a9c41" + "0" * 24,
        created_at=NOW.replace(microsecond=0),
        last_used_at=NOW.astimezone(timezone(timedelta(hours=9))),
        expires_at=NOW + timedelta(days=1),
        is_active=False,
    )
    with stores.opened(made, writable=True) as store:
        add_keys(store, key)
    columns = "id, name, user_id, api_key, api_key_hash, created_at, last_used_at, expires_at"
    assert made.rows(f"SELECT {columns} FROM apikey") == [
        (
            "3f2a9c41" + "0" * 24,
            "sample",
            "a" * 32,
            key.stored,
            "hash",
            "2026-06-01 12:00:00.000000",
            "2026-06-01 12:00:00.123456",
            "2026-06-02 12:00:00.123456",
        )
    ]
    kinds = "typeof(total_uses), total_uses, typeof(is_active), is_active, typeof(created_at)"
    assert made.rows(f"SELECT {kinds} FROM apikey") == [("integer", 0, "integer", 0, "text")]


def test_a_stored_user_has_langflows_form(made: Database) -> None:
    with stores.opened(made, writable=True) as store, store.transaction():
        store.insert_user(user("alice", "b" * 32)._replace(is_active=False))
    columns = "id, is_active, is_superuser, create_at, updated_at, last_login_at, retired_at"
    rows = made.rows(f"SELECT {columns}, store_api_key, optins FROM user ORDER BY id")
    moment = "2026-06-01 12:00:00.123456"
    optins = '{"github_starred": false}'
    assert rows == [
        ("a" * 32, 1, 1, moment, moment, None, None, None, optins),
        ("b" * 32, 0, 1, moment, moment, None, None, None, optins),
    ]


@pytest.mark.parametrize("text", ["2026-06-01 12:00:00", "2026-06-01 12:00:00.000000"])
def test_a_time_that_sqlite_or_langflow_wrote_is_read_as_utc(made: Database, text: str) -> None:
    owner = made.rows("SELECT id FROM user")[0][0]
    key = made.add_key(owner)
    made.rows("UPDATE apikey SET created_at = ?", (text,))
    with stores.opened(made) as store:
        found = store.find_api_key(key.id)
    assert found is not None
    assert found.created_at == datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("release", SHAPES)
def test_a_key_is_written_and_read_in_every_generations_columns(
    tmp_path: Path, release: str
) -> None:
    database = databases.create(tmp_path / "langflow.db", SHAPES[release])
    owner = database.add_user("administrator")
    key = api_key(user_id=owner, hashed=None)
    with stores.opened(database, writable=True) as store:
        add_keys(store, key)
        assert store.find_api_key(key.id) == key._replace(username="administrator")
        assert list(store.api_keys(ALL)) == [key._replace(username="administrator")]


def test_the_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    database = databases.create(tmp_path / "langflow.db")
    for column in ("expires_at", "api_key_hash", "total_uses"):
        if column == "api_key_hash":
            database.rows("DROP INDEX ix_apikey_api_key_hash")
        kind = database.rows("SELECT type FROM pragma_table_info('apikey') WHERE name=?", (column,))
        database.rows(f"ALTER TABLE apikey DROP COLUMN {column}")
        default = " NOT NULL DEFAULT 0" if column == "total_uses" else ""
        database.rows(f"ALTER TABLE apikey ADD COLUMN {column} {kind[0][0]}{default}")
    owner = database.add_user("administrator")
    key = api_key(user_id=owner, expires_at=NOW)
    with stores.opened(database, writable=True) as store:
        add_keys(store, key)
        assert store.find_api_key(key.id) == key._replace(username="administrator")


def test_an_invalid_time_is_an_error_that_names_the_row(made: Database) -> None:
    owner = made.rows("SELECT id FROM user")[0][0]
    key = made.add_key(owner)
    made.rows("UPDATE apikey SET created_at = 'soon'")
    with stores.opened(made) as store, pytest.raises(StoreError, match=key.id):
        store.find_api_key(key.id)
