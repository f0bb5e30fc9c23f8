"""SQLite's database file, the files beside it, and files that are not databases."""

from __future__ import annotations

import os
import re
import stat
from contextlib import closing
from pathlib import Path

import pytest

from langkeys.errors import ConflictError, StoreError
from langkeys.store.protocol import KeyFilter
from langkeys.store.sqlite.creation import create_database
from langkeys.store.sqlite.store import SqliteStore

from ..support import databases, stores
from ..support.databases import Database
from .conftest import NOW, add_keys, api_key, user

ALL = KeyFilter(now=NOW)


def error_on_opening(path: Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        SqliteStore(path).close()
    assert caught.value.exit_code == 6
    assert str(path) in caught.value.message
    return caught.value


# The database file and the files beside it


def test_a_new_database_is_langflows_and_readable_by_the_owner_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        create_database(tmp_path / "langflow.db", user())
    finally:
        os.umask(umask)
    assert [path.name for path in tmp_path.iterdir()] == ["langflow.db"]
    assert stat.S_IMODE((tmp_path / "langflow.db").stat().st_mode) == 0o600
    made = Database(tmp_path / "langflow.db")
    assert made.rows("PRAGMA integrity_check") == [("ok",)]
    tables = {name for kind, name, *_ in made.schema() if kind == "table"}
    assert tables == {"user", "apikey", "variable"}


def test_an_existing_file_is_never_replaced_by_a_new_database(tmp_path: Path) -> None:
    path = tmp_path / "langflow.db"
    path.write_text("precious")
    with pytest.raises(ConflictError, match=re.escape(str(path))):
        create_database(path, user())
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["langflow.db"]


def test_a_file_left_by_a_killed_process_with_the_same_pid_does_no_harm(tmp_path: Path) -> None:
    # In a container, the entry point may have the same process id at every start.
    path = tmp_path / "langflow.db"
    (tmp_path / f".langflow.db.{os.getpid()}.new").write_bytes(b"half a database")
    create_database(path, user())
    with closing(SqliteStore(path)) as store:
        assert store.find_user_named("administrator") is not None


def test_a_missing_folder_is_an_error_that_names_the_database(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "langflow.db"
    with pytest.raises(StoreError, match=re.escape(str(path))):
        create_database(path, user())


@pytest.mark.parametrize("wal", [False, True])
def test_the_schema_and_the_journal_mode_stay(made: Database, wal: bool) -> None:
    if wal:
        made.use_wal()
    before = (made.schema(), made.journal_mode())
    with stores.opened(made, writable=True) as store:
        keys = add_keys(store, api_key(), api_key())
        with store.transaction():
            store.delete_api_keys([keys[0].id])
        with store.reopened() as fresh:
            assert [key.id for key in fresh.api_keys(ALL)] == [keys[1].id]
    assert (made.schema(), made.journal_mode()) == before
    assert before[1] == ("wal" if wal else "delete")
    assert made.rows("PRAGMA integrity_check") == [("ok",)]


def test_reading_leaves_every_byte_as_it_was(made: Database) -> None:
    owner = made.rows("SELECT id FROM user")[0][0]
    made.add_key(owner)
    before = made.digest()
    with stores.opened(made) as store:
        assert len(list(store.api_keys(ALL))) == 1
        assert len(list(store.sample_of_encrypted_values())) >= 1
    assert made.digest() == before
    assert [path.name for path in made.path.parent.iterdir()] == ["langflow.db"]


@pytest.mark.parametrize("name", ["with space", "a?b", "a#b", "a%41b", "ünï🚀", "it's"])
def test_a_database_with_any_name_is_opened(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    database = databases.create(folder / f"{name}.db")
    with stores.opened(database, writable=True) as store:
        add_keys(store, api_key())
    assert len(database.key_ids()) == 1
    assert [path.name for path in folder.iterdir()] == [f"{name}.db"]


def test_a_database_is_opened_through_a_symbolic_link(made: Database, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(made.path)
    with closing(SqliteStore(link, writable=True)) as store:
        add_keys(store, api_key())
    assert len(made.key_ids()) == 1


# Files that are not databases


def test_a_missing_database_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    error = error_on_opening(tmp_path / "langflow.db")
    assert "init" in str(error.hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"LANGFLOW_SUPERUSER=ops\n" * 99, b"\0" * 9999, b"SQLite format 3\0" + b"x" * 99],
)
def test_a_file_that_is_not_a_database_is_an_error_and_stays(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "langflow.db"
    path.write_bytes(content)
    error = error_on_opening(path)
    assert error.hint
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["langflow.db"]


def test_a_folder_is_not_a_database(tmp_path: Path) -> None:
    assert "not a file" in error_on_opening(tmp_path).message


def test_a_pipe_is_not_a_database(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    error_on_opening(tmp_path / "pipe")


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_database_is_an_error_wherever_it_ends(made: Database, part: float) -> None:
    owner = made.rows("SELECT id FROM user")[0][0]
    for _ in range(50):
        made.add_key(owner)
    size = made.path.stat().st_size
    os.truncate(made.path, int(size * part))

    def used() -> None:
        with stores.opened(made, writable=True) as store:
            list(store.api_keys(ALL))
            list(store.sample_of_encrypted_values())
            add_keys(store, api_key())

    with pytest.raises(StoreError) as caught:
        used()
    assert str(made.path) in caught.value.message
    assert "corrupt" in caught.value.message
    assert made.path.stat().st_size == int(size * part)


def test_a_corrupt_page_is_an_error(made: Database) -> None:
    owner = made.rows("SELECT id FROM user")[0][0]
    for _ in range(50):
        made.add_key(owner)
    with made.path.open("r+b") as file:
        for page in range(1, made.path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 100)
    with pytest.raises(StoreError, match="corrupt"), stores.opened(made) as store:
        list(store.api_keys(ALL))
