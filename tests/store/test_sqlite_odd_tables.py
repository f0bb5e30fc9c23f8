"""Tables and encodings that no server creates."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from langkeys.errors import StoreError
from langkeys.store.protocol import KeyFilter

from ..support import databases, odd_rows, stores
from ..support.databases import Database
from ..support.samples import hash_of
from .conftest import NOW, OWNER, api_key

ALL = KeyFilter(now=NOW)


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_database_in_another_encoding_reads_the_same(tmp_path: Path, encoding: str) -> None:
    warnings: list[str] = []
    path = tmp_path / "utf16.db"
    schema = [row[3] for row in databases.create(tmp_path / "source.db").schema() if row[3]]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        for sql in sorted(schema, key=lambda sql: "INDEX" in sql):
            connection.execute(sql)
    database = Database(path)
    database.rows("INSERT INTO alembic_version VALUES (?)", (database.shape.revision,))
    assert database.rows("PRAGMA encoding") == [(encoding,)]
    owner = database.add_user("administrätor")
    key = database.add_key(owner, "schlüssel 🚀")
    database.add_variable(owner, "TOKEN", "gAAAAAtoken")
    odd_rows.add_key(database, owner, "odd", created_at="'soon'")
    odd_rows.add_key(database, owner, "zulu", created_at="'2026-01-01T00:00:00Z'")
    with stores.opened(database, writable=True) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        assert [k.name for k in store.api_keys(ALL)] == ["schlüssel 🚀", "zulu"]
        old = KeyFilter(now=NOW, created_before=NOW - timedelta(days=100))
        assert [k.name for k in store.api_keys(old)] == ["zulu"]
        assert store.api_keys_by_id_start(key.id[:8], 5)[0].id == key.id
        assert [o.key.id for o in store.owned_by_hash(hash_of(key.plaintext))] == [key.id]
        cells = [cell for page in store.cells(lambda _: None) for cell in page]
        assert ("variable", "value") in [(cell.table, cell.column) for cell in cells]
        with store.transaction():
            store.replace_cells([(cell, cell.text[::-1]) for cell in cells])
        assert [store.find_text(cell) for cell in cells] == [cell.text[::-1] for cell in cells]
        assert len(warnings) == 1


@pytest.mark.parametrize("names", [("rowid",), ("rowid", "_rowid_"), ("OID", "rowid")])
@pytest.mark.parametrize("table", ["apikey", "user", "variable"])
def test_columns_may_have_the_names_of_the_rowid(
    made: Database, names: tuple[str, ...], table: str
) -> None:
    for name in names:
        made.rows(f'ALTER TABLE "{table}" ADD COLUMN {name} TEXT')
    made.rows(f"UPDATE \"{table}\" SET {names[0]} = 'x'")
    keys = [made.add_key(OWNER, f"key {number}") for number in range(3)]
    made.add_variable(OWNER, "TOKEN", "gAAAAAtoken")
    made.rows(f"UPDATE \"{table}\" SET {names[0]} = 'gAAAAA' || hex(randomblob(9))")
    with stores.opened(made, writable=True) as store:
        assert [key.id for key in store.api_keys(ALL)] == [key.id for key in keys]
        assert [found.user.username for found in store.users()] == ["administrator"]
        assert [row.name for row in store.variables()] == ["TOKEN"]
        assert len(list(store.encrypted_values())) == 4
        assert store.rows_to_pass() >= 5
        cells = [cell for page in store.cells(lambda _: None) for cell in page]
        assert {(cell.table, cell.column) for cell in cells} >= {
            ("apikey", "api_key"), ("variable", "value"), (table, names[0]),
        }  # fmt: skip
        with store.key_batch() as batch:
            batch.add([api_key("new")])
            with store.transaction():
                batch.insert()
            assert batch.find_unwritten() is None
        with store.transaction():
            assert store.delete_api_keys([keys[0].id]) == 1
    assert len(made.key_ids()) == 3


def test_rows_that_cannot_be_identified_are_an_error(made: Database) -> None:
    for name in ("rowid", "_rowid_", "oid"):
        made.rows(f"ALTER TABLE apikey ADD COLUMN {name} TEXT")
    with stores.opened(made) as store, pytest.raises(StoreError, match="oid"):
        list(store.api_keys(ALL))


def test_a_table_without_rowid_is_an_error(made: Database) -> None:
    made.rows("ALTER TABLE apikey RENAME TO old")
    made.rows(
        "CREATE TABLE apikey (id CHAR(32) PRIMARY KEY, name VARCHAR, user_id CHAR(32), api_key"
        " VARCHAR, api_key_hash VARCHAR, created_at DATETIME, last_used_at DATETIME, total_uses"
        " INTEGER, is_active BOOLEAN, expires_at DATETIME) WITHOUT ROWID"
    )
    with stores.opened(made) as store:
        with pytest.raises(StoreError, match="WITHOUT ROWID"):
            list(store.api_keys(ALL))
        list(store.cells(lambda _: None))


def test_names_that_are_not_utf_8_stop_only_a_read_of_every_table(made: Database) -> None:
    made.rows("CREATE TABLE theirs (a TEXT)")
    made.add_key(OWNER)
    made.path.write_bytes(made.path.read_bytes().replace(b"theirs", b"th\xffirs"))
    with stores.opened(made) as store:
        assert len(list(store.api_keys(ALL))) == 1
        with pytest.raises(StoreError, match="UTF-8"):
            list(store.cells(lambda _: None))
        store.copy_to(made.path.with_name("copy.db"), lambda *_: None)
