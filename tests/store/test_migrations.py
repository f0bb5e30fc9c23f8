"""Databases with an unfinished migration of Langflow, and databases from before 1.5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from langkeys.errors import StoreError

from ..support import databases, stores
from ..support.databases import SHAPES, Database
from ..support.sites import Result


def problems_of(database: Database) -> list[str]:
    warnings: list[str] = []
    with stores.opened(database) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        messages = [p for p in store.schema_problems if p != store.generation.note]
        assert warnings == [f"{store.location}: {problem}" for problem in messages]
        return list(store.schema_problems)


@pytest.mark.parametrize("release", SHAPES)
def test_an_intact_database_has_no_problem(tmp_path: Path, release: str) -> None:
    assert problems_of(databases.create(tmp_path / "langflow.db", SHAPES[release])) == []


def test_a_temporary_table_of_a_migration_allows_reads_and_prevents_writes(tmp_path: Path) -> None:
    database = databases.create(tmp_path / "langflow.db")
    database.rows("CREATE TABLE _alembic_tmp_apikey (id CHAR(32))")
    (problem,) = problems_of(database)
    assert "_alembic_tmp_apikey" in problem
    with pytest.raises(StoreError, match="_alembic_tmp_apikey") as caught:
        stores.opened(database, writable=True).__enter__()
    assert caught.value.exit_code == 6
    assert caught.value.hint


def test_a_table_that_a_migration_has_removed_is_reported(tmp_path: Path) -> None:
    database = databases.create(tmp_path / "langflow.db")
    database.rows("ALTER TABLE apikey RENAME TO _alembic_tmp_apikey")
    with pytest.raises(StoreError, match=r"apikey, and _alembic_tmp_apikey"):
        stores.opened(database).__enter__()


@pytest.mark.parametrize("revisions", [[], ["e5a7c9b1d3f2", "386662af02e9"]])
def test_other_than_one_revision_is_a_problem(tmp_path: Path, revisions: list[str]) -> None:
    database = databases.create(tmp_path / "langflow.db")
    database.rows("DELETE FROM alembic_version")
    for revision in revisions:
        database.rows("INSERT INTO alembic_version VALUES (?)", (revision,))
    (problem,) = problems_of(database)
    assert f"{len(revisions)} rows" in problem
    assert all(revision in problem for revision in revisions)
    with stores.opened(database, writable=True) as store:
        assert store.generation.release == "1.13"


@pytest.mark.parametrize(
    ("columns", "revision", "release"),
    [("1.12.8", "1.13", "1.12.1"), ("1.9", "1.11", "1.9"), ("1.13", "1.9", "1.13")],
)
def test_a_known_revision_with_other_columns_is_a_problem(
    tmp_path: Path, columns: str, revision: str, release: str
) -> None:
    known = SHAPES[revision].revision
    database = databases.create(tmp_path / "langflow.db", SHAPES[columns], revision=known)
    (problem,) = problems_of(database)
    assert str(known) in problem
    assert f"Langflow {revision}" in problem
    with stores.opened(database) as store:
        assert store.generation.release == release
        assert store.generation.note == problem


def test_commands_read_with_a_warning_and_do_not_write(
    call: Callable[..., Result], database: Database, superuser: str
) -> None:
    key = database.add_key(superuser)
    database.rows("CREATE TABLE _alembic_tmp_apikey (id CHAR(32))")
    listed = call("api-key", "list").done()
    assert len(listed.rows) == 1
    assert "_alembic_tmp_apikey" in listed.stderr
    call("api-key", "revoke", key.dashed, "--yes").failed(6, "_alembic_tmp_apikey")
    report = call("doctor", "--json")
    assert report.code == 1
    problems = [f["message"] for f in report.json()["findings"] if f["level"] == "problem"]
    assert any("_alembic_tmp_apikey" in message for message in problems)
    assert database.key_ids() == [key.id]
