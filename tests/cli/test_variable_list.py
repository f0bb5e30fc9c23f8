from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support import variable_rows
from ..support.databases import SHAPES, Database
from ..support.samples import CREDENTIAL
from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal
from ..support.variable_rows import FIELDS, add_one_of_each

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]

LIST = ("variable", "list")


@pytest.mark.only_sqlite("its rows were not added in the order of their creation times")
def test_json_has_langflows_fields_in_order_and_no_credentials_value(
    call: Call, database: Database, superuser: str
) -> None:
    add_one_of_each(database, superuser)
    found = call(*LIST, "--json").done().json()
    assert [list(variable) for variable in found] == [FIELDS] * 3
    assert [variable["name"] for variable in found] == ["TOKEN", "URL", "CLOSED"]
    assert [variable["value"] for variable in found] == [None, "http://localhost", None]
    assert [variable["opens"] for variable in found] == [True, True, False]
    token = found[0]
    assert (token["type"], token["default_fields"]) == ("Credential", ["Password", "API Key"])
    assert token["user_id"].replace("-", "") == superuser
    assert (token["username"], token["created_at"], token["updated_at"]) == (
        "administrator",
        "2026-01-01T00:00:00Z",
        None,
    )


@pytest.mark.only_sqlite("its rows were not added in the order of their creation times")
def test_a_piped_list_is_a_line_a_row_in_fixed_columns(
    call: Call, database: Database, superuser: str
) -> None:
    add_one_of_each(database, superuser)
    result = call(*LIST).done()
    assert [row[1:] for row in result.rows] == [
        ["TOKEN", "Credential", "", "Password,API Key", "administrator", "2026-01-01T00:00:00Z",
         "", "true"],
        ["URL", "Generic", "http://localhost", "", "administrator", "2026-01-01T00:00:00Z", "",
         "true"],
        ["CLOSED", "Credential", "", "", "administrator", "", "", "false"],
    ]  # fmt: skip
    assert all(len(row[0]) == 36 for row in result.rows)


def test_what_does_not_open_is_counted_in_a_warning(
    call: Call, database: Database, superuser: str
) -> None:
    add_one_of_each(database, superuser)
    assert "cannot decrypt 1 of these 3 variables\n" in call(*LIST).done().stderr
    malformed = {"LANGFLOW_SECRET_KEY": "x" * 40}
    said = call(*LIST, **malformed).done().stderr
    assert "has 40 characters. So langkeys cannot decrypt 2 of these 3 variables\n" in said
    database.rows("DELETE FROM variable WHERE name = 'URL'")
    assert "cannot decrypt any of these 2 variables\n" in call(*LIST, **malformed).done().stderr
    database.rows("DELETE FROM variable WHERE name = 'CLOSED'")
    assert call(*LIST).done().stderr == ""


def test_a_list_at_a_terminal_is_a_table_that_hides_credentials(site: Site) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    add_one_of_each(site.database, owner)
    variable_rows.add(site.database, owner, "FLOW_ID", "", "Generic")
    text = run_at_terminal(site, *LIST).text
    for word in ("NAME", "TOKEN", "(hidden)", "http://localhost", "(cannot decrypt)", "(none)"):
        assert word in text
    site.database.rows("DELETE FROM variable")
    assert "no variables" in run_at_terminal(site, *LIST).text


def test_a_user_sees_their_own_and_all_users_all(call: Call, database: Database) -> None:
    for name in ("alice", "bob"):
        variable_rows.add(database, database.add_user(name), f"OF_{name}", "x")
    assert call(*LIST).done().stdout == ""
    assert call(*LIST, "--json").done().json() == []
    assert [row[1] for row in call(*LIST, "--user", "bob").done().rows] == ["OF_bob"]
    assert [row[5] for row in call(*LIST, "--all-users").done().rows] == ["alice", "bob"]
    call(*LIST, "--user", "bob", "--all-users").failed(2)
    call(*LIST, "--user", "nobody").failed(3)


@pytest.mark.parametrize("release", SHAPES)
def test_every_generation_is_listed_and_no_stored_text_shows(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    for name in ("langflow", "administrator"):
        (owner,) = site.database.rows("SELECT id FROM user WHERE username = ?", (name,))
        variable_rows.add(site.database, owner[0], "T", CREDENTIAL)
        variable_rows.add(site.database, owner[0], "G", "plain", "Generic")
    for arguments in (LIST, (*LIST, "--json"), ("variable", "show", "T"), (*LIST, "--all-users")):
        result = site.call(*arguments).done()
        assert CREDENTIAL not in result.stdout
        assert "gAAAAA" not in result.stdout
    assert [v["value"] for v in site.call(*LIST, "--json").done().json()] == [None, "plain"]


def test_variables_that_are_elsewhere_are_an_error(site: Site) -> None:
    elsewhere = {"LANGFLOW_VARIABLE_STORE": "kubernetes"}
    for arguments in (
        LIST,
        ("variable", "show", "X"),
        ("variable", "set", "X", "--value-file", "-"),
        ("variable", "delete", "X", "--yes"),
        ("variable", "import", "missing.env"),
        ("variable", "export", "--reveal"),
        ("variable", "explain", "X"),
        ("run", "--", "true"),
    ):
        site.call(*arguments, stdin="x", **elsewhere).failed(2, "kubernetes", "database")
    error = site.call(*LIST, "--json", **elsewhere).failed(2).error
    assert error["code"] == "config"
