"""Tests only reuse a database on PostgreSQL if nothing but its rows was changed."""

from __future__ import annotations

import pytest

from .support import postgresql, server_databases
from .support.databases import SHAPES
from .support.server_databases import ServerDatabase


def made(user: str = "langflow") -> ServerDatabase:
    return server_databases.create(postgresql.cluster(), SHAPES["1.13"], user=user)


def dropped(database: ServerDatabase) -> bool:
    """Give a database back; return whether it was dropped."""
    database.give_back()
    exists = "SELECT 1 FROM pg_database WHERE datname = %s"
    return database.cluster.rows(exists, (database.name,)) == []


@pytest.mark.parametrize("user", ["langflow", "traveller"])
def test_a_database_with_rows_is_emptied_and_taken_again(user: str) -> None:
    first = made(user)
    owner = first.add_user("somebody")
    first.add_key(owner)
    first.add_variable(owner, "NAME", "value")
    first.rows("INSERT INTO message (id) VALUES (gen_random_uuid())")
    assert not dropped(first)
    second = made(user)
    assert second.name == first.name
    assert second.content() == []
    assert second.rows("SELECT count(*) FROM message") == [(0,)]
    assert second.rows("SELECT count(*) FROM alembic_version") == [(1,)]
    second.give_back()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE apikey ADD COLUMN more text",
        "ALTER TABLE variable ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE apikey DROP CONSTRAINT apikey_user_id_fkey",
        "ALTER TABLE apikey ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE _alembic_tmp_user (id integer)",
        "DROP TABLE message",
        "DROP INDEX ix_apikey_name",
        "CREATE SCHEMA other",
        "GRANT SELECT ON apikey TO clerk",
        "UPDATE alembic_version SET version_num = 'unknown'",
        "DELETE FROM alembic_version",
    ],
)
def test_a_database_of_another_shape_is_dropped(change: str) -> None:
    database = made()
    database.rows(change)
    assert dropped(database)


def test_settings_of_a_database_count_too() -> None:
    database = made()
    database.cluster.rows(f"ALTER DATABASE {database.name} SET timezone = 'Asia/Tokyo'")
    assert dropped(database)


def test_a_database_that_somebody_is_still_connected_to_is_dropped() -> None:
    database = made()
    connection = database.cluster.connect("langflow", database.name)
    assert dropped(database)
    connection.close()
