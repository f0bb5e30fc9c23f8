"""Commands on a database with rows that no program should have written."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ..support import odd_rows
from ..support.databases import Database
from ..support.samples import hash_of, new_api_key
from ..support.sites import Result

Call = Callable[..., Result]

ODD = {"created_at": "'9999-12-31T23:59:59-05:00'"}


@pytest.fixture
def good(database: Database, superuser: str) -> str:
    """Add an unreadable row to every table; return the id of a key that can be read."""
    odd_rows.add_key(database, superuser, "odd", **ODD)
    odd_rows.add_key(database, superuser, "old", id="x'" + "0f" * 16 + "'")
    odd_rows.add_user(database, "strange", create_at="'soon'")
    odd_rows.add_variable(database, superuser, "ODD", default_fields="'['")
    key = database.add_key(superuser, "good")
    database.add_variable(superuser, "GOOD", "x", "Generic")
    return key.dashed


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_list_has_the_other_keys_and_a_warning_for_each_row(
    call: Call, good: str, more: tuple[str, ...]
) -> None:
    listed = call("api-key", "list", "--all-users", *more).done()
    ids = [row["id"] for row in listed.json()] if more else [row[0] for row in listed.rows]
    assert ids == [good]
    assert listed.stderr.count("cannot be read") == 2
    assert "created_at" in listed.stderr
    assert "0f" * 16 in listed.stderr


def test_users_and_variables_are_listed_without_them(call: Call, good: str) -> None:
    users = call("user", "list").done()
    assert [row[1] for row in users.rows] == ["administrator"]
    assert "create_at" in users.stderr
    variables = call("variable", "list").done()
    assert [row[1] for row in variables.rows] == ["GOOD"]
    assert "default_fields" in variables.stderr


def test_who_asks_for_one_is_told_that_it_is_there(call: Call, good: str) -> None:
    call("api-key", "show", "odd").failed(6, "created_at", "apikey")
    call("user", "show", "strange").failed(6, "create_at", "user")
    call("variable", "show", "ODD").failed(6, "default_fields", "variable")
    call("api-key", "show", good).done()


def test_doctor_reads_every_row(call: Call, good: str) -> None:
    report = call("doctor", "--json")
    assert report.code == 1
    found = [f for f in report.json()["findings"] if f["section"] == "rows"]
    assert [f["level"] for f in found] == ["problem"] * 4
    for word in ("create_at", "created_at", "id", "default_fields"):
        assert any(f"its {word} is" in f["message"] for f in found), word
    assert report.json()["counts"]["API keys"] == 3
    assert json.dumps(report.json())


def test_a_sound_database_has_no_such_finding(call: Call, superuser: str) -> None:
    report = call("doctor", "--json")
    assert [f for f in report.json()["findings"] if f["section"] == "rows"] == []


def test_prune_sees_times_that_other_tools_have_written(
    call: Call, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "good")
    for name, moment in (("past", "2026-01-01T00:00:00Z"), ("future", "2999-01-01T00:00:00Z")):
        odd_rows.add_key(database, superuser, name, expires_at=f"'{moment}'")
    odd_rows.add_key(database, superuser, "odd", expires_at="'soon'")
    done = call("api-key", "prune", "--expired", "--yes").done()
    assert [row[1] for row in done.rows] == ["past"]
    left = database.rows("SELECT name FROM apikey ORDER BY name")
    assert [name for (name,) in left] == ["future", "good", "odd"]


def test_a_user_whose_is_active_is_not_1_does_not_act(
    call: Call, database: Database, superuser: str
) -> None:
    database.rows("UPDATE user SET is_active = 't'")
    call("api-key", "list").failed(4)


# Such rows can be revoked


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_row_that_cannot_be_read_is_revoked(
    call: Call, database: Database, good: str, by: str
) -> None:
    ((row_id,),) = database.rows("SELECT id FROM apikey WHERE name = 'odd'")
    result = call("api-key", "revoke", row_id if by == "id" else "odd", "--yes").done()
    assert "created_at" in result.stderr
    assert "may hold" in result.stderr
    left = [name for (name,) in database.rows("SELECT name FROM apikey")]
    assert sorted(left) == ["good", "old"]
    call("api-key", "revoke", "0f" * 16, "--yes").done()
    assert database.rows("SELECT name FROM apikey") == [("good",)]


def test_a_row_that_cannot_be_read_is_revoked_by_an_id_like_a_short_start(
    call: Call, database: Database, superuser: str
) -> None:
    odd_rows.add_key(database, superuser, "odd", id="'sk-odd'")
    call("api-key", "show", "sk-odd").failed(2)
    call("api-key", "revoke", "sk-odd", "--yes").done()
    assert database.key_ids() == []


def test_a_name_in_another_case_is_unknown_where_its_row_cannot_be_read(
    call: Call, good: str
) -> None:
    stderr = call("api-key", "show", "ODD").failed(3).stderr
    assert "hint: there is 'odd'; to see ids and names: " in stderr


def test_a_row_of_a_key_that_cannot_be_read_goes_with_the_others(
    call: Call, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "good")
    hashed = f"'{hash_of(key.plaintext)}'"
    odd_rows.add_key(database, superuser, "odd", api_key_hash=hashed, **ODD)
    result = call("api-key", "revoke", "good", "--yes").done()
    assert "cannot be read, but holds the same key" in result.stderr
    assert database.key_ids() == []


@pytest.mark.parametrize("hashed", [True, False])
def test_a_whole_key_finds_a_row_that_cannot_be_read(
    call: Call, database: Database, superuser: str, hashed: bool
) -> None:
    value = new_api_key()
    cells = {"api_key_hash": f"'{hash_of(value)}'"} if hashed else {"api_key": f"'{value}'"}
    odd_rows.add_key(database, superuser, "odd", **cells, **ODD)
    call("api-key", "revoke", "-", "--yes", stdin=value).done()
    assert database.key_ids() == []


def test_a_name_of_two_rows_is_ambiguous_where_one_cannot_be_read(
    call: Call, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "odd")
    odd_rows.add_key(database, superuser, "odd", **ODD)
    call("api-key", "revoke", "odd", "--yes").failed(3)
    assert len(database.key_ids()) == 2


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_variable_that_cannot_be_read_is_deleted(
    call: Call, database: Database, good: str, superuser: str, by: str
) -> None:
    ((row_id,),) = database.rows("SELECT id FROM variable WHERE name = 'ODD'")
    ref = row_id if by == "id" else "ODD"
    before = database.rows("SELECT name FROM variable ORDER BY name")
    assert "1 variable of" in call("variable", "delete", ref, "--dry-run").done().stderr
    assert database.rows("SELECT name FROM variable ORDER BY name") == before
    result = call("variable", "delete", ref, "GOOD", "--yes").done()
    assert "2 variables of administrator" in result.stderr
    assert "default_fields" in result.stderr
    assert [row[1] for row in result.rows] == ["GOOD"]
    assert database.rows("SELECT name FROM variable") == []


def test_a_variable_of_two_rows_is_ambiguous_where_one_cannot_be_read(
    call: Call, database: Database, good: str, superuser: str
) -> None:
    database.add_variable(superuser, "ODD", "x", "Generic")
    ((row_id,),) = database.rows("SELECT id FROM variable WHERE default_fields = '['")
    call("variable", "delete", "ODD", "--yes").failed(3)
    assert len(database.rows("SELECT 1 FROM variable")) == 3
    call("variable", "delete", row_id, "--yes").done()
    assert database.rows("SELECT default_fields FROM variable WHERE name = 'ODD'") != [("[",)]
    assert len(database.rows("SELECT 1 FROM variable")) == 2


def test_a_variable_of_another_user_is_not_deleted_because_it_cannot_be_read(
    call: Call, database: Database, superuser: str
) -> None:
    alice = database.add_user("alice", is_superuser=False)
    odd_rows.add_variable(database, alice, "ODD", default_fields="'['")
    call("variable", "delete", "ODD", "--yes").failed(3)
    assert len(database.rows("SELECT 1 FROM variable")) == 1
    call("variable", "delete", "ODD", "--user", "alice", "--yes").done()
    assert database.rows("SELECT 1 FROM variable") == []
