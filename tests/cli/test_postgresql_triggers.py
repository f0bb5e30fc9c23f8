"""Foreign triggers and columns on PostgreSQL: langkeys only reports changes that were made."""

from __future__ import annotations

import pytest

from ..support.server_databases import ServerDatabase
from ..support.sites import Site


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def server(server: ServerDatabase, superuser: str) -> ServerDatabase:
    server.add_key(superuser, "ci")
    server.add_variable(superuser, "OLD", "x")
    server.add_user("bob")
    return server


def add_trigger(server: ServerDatabase, when: str, body: str, *tables: str) -> None:
    server.rows(
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$"
    )
    for table in tables:
        server.rows(
            f"CREATE TRIGGER meddles BEFORE {when} ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION meddle()"
        )


@pytest.mark.parametrize(
    ("when", "line"),
    [
        ("UPDATE", ("api-key", "update", "ci", "--name", "other")),
        ("UPDATE", ("api-key", "deactivate", "ci")),
        ("DELETE", ("api-key", "revoke", "ci", "--yes")),
        ("DELETE", ("variable", "delete", "OLD", "--yes")),
        ("INSERT", ("variable", "set", "NEW", "--value-file", "-")),
        ("UPDATE", ("variable", "set", "OLD", "--value-file", "-")),
    ],
)
def test_a_change_that_a_trigger_suppresses_is_not_said_to_be_anothers(
    site: Site, server: ServerDatabase, when: str, line: tuple[str, ...]
) -> None:
    add_trigger(server, when, "RETURN NULL;", "apikey", "variable")
    before = server.digest()
    site.call(*line, stdin="value").failed(1, "trigger", server.location)
    assert server.digest() == before


@pytest.mark.parametrize("count", ["1", "3"])
@pytest.mark.parametrize(
    "change",
    [
        "user_id = (SELECT id FROM \"user\" WHERE username = 'bob')",
        "name = 'other'",
        "expires_at = now() + interval '1 minute'",
        "created_at = now() - interval '1 day'",
    ],
)
def test_a_new_key_that_a_trigger_changes_is_taken_back(
    site: Site, server: ServerDatabase, change: str, count: str
) -> None:
    before = server.digest()
    assign = change.replace(" = ", " := ", 1)
    add_trigger(server, "INSERT", f"NEW.{assign}; RETURN NEW;", "apikey")
    result = site.call("api-key", "create", "--name", "new", "--count", count)
    result.failed(1, "not stored as written")
    assert server.digest() == before


def test_a_rotation_that_a_trigger_suppresses_says_what_to_look_at(
    site: Site, server: ServerDatabase
) -> None:
    add_trigger(server, "UPDATE", "RETURN NULL;", "apikey")
    before = server.digest()
    result = site.call("secret-key", "rotate", "--yes", "--new-key-file", "new")
    result.failed(6, "rows of apikey cannot be changed", "trigger")
    assert server.digest() == before


def test_what_a_trigger_refuses_is_said_without_its_words(
    site: Site, server: ServerDatabase
) -> None:
    add_trigger(server, "INSERT", "RAISE EXCEPTION 'not %', NEW.api_key;", "apikey")
    result = site.call("api-key", "create")
    result.failed(6, "a trigger or a function", "server's log")
    assert "gAAAAA" not in result.stderr


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("apikey", ("api-key", "create")),
        ("variable", ("variable", "set", "NEW", "--value-file", "-")),
        ("user", ("user", "create", "carol", "--random")),
    ],
)
def test_a_column_that_must_have_a_value_is_named(
    site: Site, server: ServerDatabase, table: str, line: tuple[str, ...]
) -> None:
    server.rows(f"ALTER TABLE {table} ADD COLUMN tenant integer NOT NULL DEFAULT 1")
    server.rows(f"ALTER TABLE {table} ALTER COLUMN tenant DROP DEFAULT")
    before = server.digest()
    site.call(*line, stdin="value").failed(6, f"{table}.tenant must have a value")
    assert server.digest() == before
