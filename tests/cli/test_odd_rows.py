"""Commands on a database with rows that no program should have written."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .. import odd_rows
from ..databases import Database
from ..sites import Result

Call = Callable[..., Result]

ODD = {"created_at": "'9999-12-31T23:59:59-05:00'"}


@pytest.fixture
def good(database: Database, superuser: str) -> str:
    """Rows that cannot be read in every table, and the id of a key that can."""
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
