"""PostgreSQL accepts times beyond the calendar: such rows hide no others, and can be deleted."""

from __future__ import annotations

import json

import pytest

from langkeys.errors import UnreadableRowError
from langkeys.models import dashed
from langkeys.store.protocol import KeyFilter

from ..support import stores
from ..support.databases import Database
from ..support.sites import Site
from .conftest import NOW

ALL = KeyFilter(now=NOW)


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.mark.parametrize("moment", ["infinity", "0044-03-15 00:00:00+00 BC"])
@pytest.mark.parametrize("column", ["created_at", "last_used_at", "expires_at"])
def test_a_key_whose_time_cannot_be_read_hides_no_other(
    database: Database, superuser: str, column: str, moment: str
) -> None:
    good, odd = database.add_key(superuser, "good"), database.add_key(superuser, "odd")
    database.rows(f"UPDATE apikey SET {column} = '{moment}' WHERE name = 'odd'")
    warnings: list[str] = []
    with stores.opened(database, writable=True) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        assert [key.id for key in store.api_keys(ALL)] == [good.id]
        assert len(warnings) == 1
        assert f"its {column} is malformed" in warnings[0]
        with pytest.raises(UnreadableRowError, match=column):
            store.api_keys_named("odd", 10)
        (stub,) = store.unreadable_rows()
        assert (stub.table, stub.id, stub.problem) == ("apikey", odd.id, column)
        with store.transaction():
            assert store.delete_stubs([stub]) == 1
    assert [row[0] for row in database.rows("SELECT name FROM apikey")] == ["good"]


@pytest.mark.parametrize("column", ["create_at", "updated_at", "last_login_at"])
def test_a_user_whose_time_cannot_be_read_hides_no_other(database: Database, column: str) -> None:
    database.add_user("odd")
    database.rows(f"UPDATE user SET {column} = 'infinity' WHERE username = 'odd'")
    warnings: list[str] = []
    with stores.opened(database) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        assert [found.user.username for found in store.users()] == ["administrator"]
        assert len(warnings) == 1
        assert f"its {column} is malformed" in warnings[0]
        with pytest.raises(UnreadableRowError, match=column):
            store.find_user_named("odd")


@pytest.mark.parametrize("column", ["created_at", "updated_at"])
def test_a_variable_whose_time_cannot_be_read_hides_no_other(
    database: Database, superuser: str, column: str
) -> None:
    for name in ("GOOD", "ODD"):
        database.add_variable(superuser, name, "x")
    database.rows(f"UPDATE variable SET {column} = 'infinity' WHERE name = 'ODD'")
    warnings: list[str] = []
    with stores.opened(database, writable=True) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        assert [row.name for row in store.variables()] == ["GOOD"]
        assert len(warnings) == 1
        assert f"its {column} is malformed" in warnings[0]
        (stub,) = store.variable_stubs(superuser, name="ODD")
        assert stub.problem == column
        with store.transaction():
            assert store.delete_stubs([stub]) == 1
    assert [row[0] for row in database.rows("SELECT name FROM variable")] == ["GOOD"]


def test_a_key_whose_time_cannot_be_read_is_revoked_and_the_audit_log_names_it(
    site: Site, database: Database, superuser: str
) -> None:
    odd = database.add_key(superuser, "odd")
    database.rows("UPDATE apikey SET created_at = 'infinity'")
    log = site.folder / "audit.jsonl"
    site.call("api-key", "revoke", "odd", "--yes", LANGKEYS_AUDIT_LOG=str(log)).done()
    assert database.rows("SELECT name FROM apikey") == []
    changes = [
        change
        for line in log.read_text().splitlines()
        for change in json.loads(line).get("changes", ())
    ]
    assert changes
    assert all(change["id"] == dashed(odd.id) for change in changes)
    assert all(change["username"] == "administrator" for change in changes)
