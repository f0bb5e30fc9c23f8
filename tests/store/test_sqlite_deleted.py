"""Deleted values cannot be recovered from SQLite's files, whatever its build options are."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langkeys.store import sqlite
from langkeys.store.protocol import KeyFilter, Store
from langkeys.store.sqlite.store import SqliteStore

from ..support import stores
from ..support.databases import Database
from .conftest import NOW, OWNER, add_keys, api_key, user

MARK = "carved"
_connect = sqlite3.connect


@pytest.fixture(autouse=True)
def _overwrites_nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = _connect(*arguments, **named)
        # Skip an empty file, which the PRAGMA would turn into a database.
        if Path(str(arguments[0]).removeprefix("file:").partition("?")[0]).stat().st_size:
            connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)


def carved(database: Path) -> dict[str, int]:
    """Count the deleted values that remain in each of a database's files."""
    found = {
        path.name: content.count(MARK.encode()) + content.count(MARK.encode("utf-16-le"))
        for path in database.parent.glob(f"{database.name}*")
        for content in [path.read_bytes()]
    }
    return {name: count for name, count in found.items() if count}


def filled(store: Store) -> list[str]:
    return [
        key.id
        for key in add_keys(store, *(api_key(stored=f"sk-{MARK}-{n:040}") for n in range(200)))
    ]


def by_id(store: Store, ids: list[str]) -> None:
    with store.transaction():
        store.delete_api_keys(ids)


def by_batch(store: Store, _: list[str]) -> None:
    with store.key_batch() as batch:
        batch.add_matching(KeyFilter(now=NOW))
        with store.transaction():
            batch.delete()


def by_replacement(store: Store, _: list[str]) -> None:
    keys = list(store.api_keys(KeyFilter(now=NOW)))
    with store.transaction():
        store.replace_stored([(key, key._replace(stored=f"gAAAAA{key.id}")) for key in keys])


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("delete", [by_id, by_batch, by_replacement])
def test_deleted_values_are_gone_when_the_store_closes(
    made: Database, wal: bool, delete: Callable[[Store, list[str]], None]
) -> None:
    if wal:
        made.use_wal()
    with closing(_connect(made.path)) as server:
        server.execute("SELECT * FROM apikey").fetchall()  # keeps the log from being removed
        with stores.opened(made, writable=True) as store:
            ids = filled(store)
        assert carved(made.path)
        with stores.opened(made, writable=True) as store:
            delete(store, ids)
        assert carved(made.path) == {}
        assert made.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_replaced_variable_and_a_replaced_password_are_gone(made: Database) -> None:
    made.use_wal()
    made.rows("UPDATE user SET password = ?", (MARK * 9,))
    made.add_variable(OWNER, "TOKEN", MARK * 99)
    made.add_variable(OWNER, "OTHER", MARK * 999)
    with closing(_connect(made.path)) as server:
        server.execute("SELECT * FROM apikey").fetchall()
        with stores.opened(made, writable=True) as store, store.transaction():
            first, second = store.variables()
            store.update_user(user())
            store.update_variables([first._replace(stored="new")])
            store.delete_variables([second.id])
        assert carved(made.path) == {}


def test_a_log_that_another_process_reads_is_a_note_and_costs_no_time(made: Database) -> None:
    made.use_wal()
    notes: list[str] = []
    with stores.opened(made, writable=True) as store:
        ids = filled(store)
    with closing(_connect(made.path, isolation_level=None)) as server:
        server.execute("BEGIN")
        server.execute("SELECT * FROM apikey").fetchall()
        store = SqliteStore(made.path, writable=True)
        store.listen(note=notes.append, warn=pytest.fail)
        by_id(store, ids)
        began = time.monotonic()
        store.close()
        store.close()
        assert time.monotonic() - began < 1
        assert len(notes) == 1
        assert notes[0].startswith(f"another process is reading {made.path}: deleted and replaced")
        assert f"remain in {made.path}-wal or" in notes[0]
        assert carved(made.path)
        server.execute("COMMIT")
        with stores.opened(made, writable=True) as store:
            add_keys(store, api_key())
        assert carved(made.path) == {}


@pytest.mark.parametrize("writable", [False, True])
def test_a_store_that_wrote_nothing_leaves_a_servers_log_as_it_is(
    made: Database, writable: bool
) -> None:
    made.use_wal()
    with closing(_connect(made.path)) as server:
        server.execute("UPDATE user SET profile_image = 'new'")
        server.commit()
        log = made.path.with_name(f"{made.path.name}-wal")
        before = log.read_bytes()
        with stores.opened(made, writable=writable) as store:
            assert list(store.users())
        assert before
        assert log.read_bytes() == before


@pytest.mark.parametrize("deletes", [False, True])
def test_only_a_deletion_causes_the_note(made: Database, deletes: bool) -> None:
    made.use_wal()
    notes: list[str] = []
    with closing(_connect(made.path, isolation_level=None)) as server:
        server.execute("BEGIN")
        server.execute("SELECT * FROM apikey").fetchall()
        with stores.opened(made, writable=True) as store:
            store.listen(note=notes.append, warn=pytest.fail)
            key = add_keys(store, api_key())[0]
            if deletes:
                by_id(store, [key.id])
    assert len(notes) == int(deletes)


# Copies


def with_free_pages(database: Database) -> None:
    """Delete rows like a SQLite that does not overwrite deleted content."""
    with closing(_connect(database.path)) as connection, connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE gone (text TEXT)")
        connection.executemany("INSERT INTO gone VALUES (?)", [(MARK * 99,)] * 99)
        connection.commit()
        connection.execute("DELETE FROM gone WHERE rowid > 1")
        connection.execute("UPDATE gone SET text = 'here'")
        connection.commit()
    assert carved(database.path)


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_a_copy_contains_no_deleted_values(tmp_path: Path, wal: bool, encoding: str) -> None:
    path = tmp_path / "langflow.db"
    schema = (Path(sqlite.__file__).parent / "schema.sql").read_text(encoding="utf-8")
    with closing(_connect(path)) as connection:
        connection.executescript(
            f"PRAGMA encoding = '{encoding}'; PRAGMA page_size = 8192; {schema};"
            "PRAGMA user_version = 7; PRAGMA application_id = 9;"
        )
    database = Database(path)
    database.add_user("administrator")
    if wal:
        database.use_wal()
    with_free_pages(database)
    with stores.opened(database) as store:
        store.copy_to(tmp_path / "copy.db", lambda *_: None)
        with pytest.raises(Exception, match="readonly"), store.transaction():
            store.insert_api_keys([api_key()])
    copy = Database(tmp_path / "copy.db")
    assert carved(copy.path) == {}
    assert copy.content() == database.content()
    assert copy.schema() == database.schema()
    for what in ("encoding", "page_size", "user_version", "application_id", "journal_mode"):
        assert copy.rows(f"PRAGMA {what}") == database.rows(f"PRAGMA {what}"), what
    assert copy.path.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.db"]


def test_a_copy_keeps_rowids(made: Database, tmp_path: Path) -> None:
    for number in (9, -4, 77):
        made.rows(
            "INSERT INTO variable (rowid, id, name, value, user_id) VALUES (?, ?, 'A', 'v', ?)",
            (number, f"{number:032d}", OWNER),
        )
    with stores.opened(made) as store:
        store.copy_to(tmp_path / "copy.db", lambda *_: None)
    rows = "SELECT rowid, id FROM variable ORDER BY rowid"
    assert Database(tmp_path / "copy.db").rows(rows) == made.rows(rows)


def test_a_copy_reports_progress_and_may_be_interrupted(made: Database, tmp_path: Path) -> None:
    made.rows("CREATE TABLE large (id INTEGER PRIMARY KEY, text TEXT)")
    made.rows(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
        " INSERT INTO large SELECT i, hex(randomblob(100)) FROM n"
    )
    progress: list[tuple[int, int]] = []
    with stores.opened(made) as store:
        store.copy_to(tmp_path / "copy.db", lambda done, total: progress.append((done, total)))
        assert len(progress) > 2
        assert progress == sorted(progress)
        assert progress[-1][0] == progress[-1][1]

        def interrupt(*_: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.copy_to(tmp_path / "second.db", interrupt)
    assert list(tmp_path.glob("*second*")) == []


def test_tables_that_cannot_be_rewritten_are_copied_with_a_warning(
    made: Database, tmp_path: Path
) -> None:
    with closing(_connect(made.path)) as connection, connection:
        connection.create_function("theirs", 1, lambda value: value, deterministic=True)
        connection.execute("CREATE INDEX of_theirs ON variable (theirs(name))")
    warnings: list[str] = []
    with stores.opened(made) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        store.copy_to(tmp_path / "copy.db", lambda *_: None, with_indexes=False)
    assert len(warnings) == 1
    assert "free pages" in warnings[0]
    assert Database(tmp_path / "copy.db").schema() == made.schema()


# Free pages


@pytest.mark.parametrize("wal", [False, True])
def test_free_pages_are_cleaned_in_a_database_held_alone(made: Database, wal: bool) -> None:
    if wal:
        made.use_wal()
    with_free_pages(made)
    before = made.content()
    store = SqliteStore(made.path, writable=True, alone=True)
    store.listen(note=pytest.fail, warn=pytest.fail)
    store.clean_free_pages(["/nowhere", "/tmp"])
    store.close()
    assert carved(made.path) == {}
    assert made.content() == before
    assert [path.name for path in made.path.parent.glob("langflow.db*")] == ["langflow.db"]


def test_free_pages_that_cannot_be_cleaned_are_a_warning(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free_pages(made)
    warnings: list[str] = []
    with closing(SqliteStore(made.path, writable=True, alone=True)) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4096))
        store.clean_free_pages([])
        monkeypatch.undo()
        monkeypatch.setenv("LANGKEYS_FAILPOINT", "before-cleaning=error")
        store.clean_free_pages([])
        with store.transaction():
            monkeypatch.setenv("LANGKEYS_FAILPOINT", "")
            store.clean_free_pages([])
    assert [str(made.path) in text and "VACUUM" in text for text in warnings] == [True] * 3
    assert "bytes free" in warnings[0]


@pytest.mark.parametrize(("missing", "is_cleaned"), [(0, True), (1, False)])
def test_cleaning_needs_space_for_a_copy_and_a_journal(
    made: Database, monkeypatch: pytest.MonkeyPatch, missing: int, is_cleaned: bool
) -> None:
    with_free_pages(made)
    needed = 2 * made.path.stat().st_size
    free = SimpleNamespace(free=needed - missing)
    warnings: list[str] = []
    with closing(SqliteStore(made.path, writable=True, alone=True)) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        monkeypatch.setattr("shutil.disk_usage", lambda _: free)
        store.clean_free_pages([str(made.path.parent)])
    assert (carved(made.path) == {}) is is_cleaned
    assert (warnings == []) is is_cleaned
    assert is_cleaned or f"has {free.free} bytes free, and {needed} are needed" in warnings[0]
