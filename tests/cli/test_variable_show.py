from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support import variable_rows
from ..support.databases import Database
from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal
from ..support.variable_rows import FIELDS, add_one_of_each

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]


@pytest.mark.only_sqlite("its rows were not added in the order of their creation times")
def test_show_prints_a_variable_as_list_does(
    call: Call, database: Database, superuser: str
) -> None:
    add_one_of_each(database, superuser)
    listed = call("variable", "list").done().lines
    assert call("variable", "show", "TOKEN").done().lines == listed[:1]
    assert call("variable", "show", listed[1].split("\t")[0]).done().lines == listed[1:2]
    described = call("variable", "show", "URL", "--json").done().json()
    assert list(described) == FIELDS
    assert described["value"] == "http://localhost"


def test_a_card_at_a_terminal_hides_a_credential(site: Site) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    add_one_of_each(site.database, owner)
    assert "(hidden)" in run_at_terminal(site, "variable", "show", "TOKEN").text
    assert "http://localhost" in run_at_terminal(site, "variable", "show", "URL").text


@pytest.mark.parametrize("value", ["x", "two\nlines", "tab\t\\", "é€", " x ", "a\r\nb"])
def test_reveal_prints_the_bare_value_and_a_newline(
    call: Call, database: Database, superuser: str, value: str
) -> None:
    variable_rows.add(database, superuser, "TOKEN", value)
    result = call("variable", "show", "TOKEN", "--reveal").done()
    assert result.stdout == f"{value}\n"
    assert result.stderr == ""
    described = call("variable", "show", "TOKEN", "--reveal", "--json").done().json()
    assert described["value"] == value


def test_reveal_at_a_terminal_shows_control_characters_instead_of_obeying_them(
    site: Site,
) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    variable_rows.add(site.database, owner, "TOKEN", "a\x1b[31mb")
    assert "a\\x1b[31mb" in run_at_terminal(site, "variable", "show", "TOKEN", "--reveal").screen


def test_a_revealed_value_is_never_changed_by_the_locale(
    run: Call, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, "TOKEN", "é")
    for command in (("show", "TOKEN", "--reveal"), ("export", "--reveal")):
        run("variable", *command, PYTHONIOENCODING="ascii").failed(1, "ascii", "PYTHONIOENCODING")


def test_what_does_not_open_cannot_be_revealed(
    call: Call, database: Database, superuser: str
) -> None:
    add_one_of_each(database, superuser)
    call("variable", "show", "CLOSED", "--reveal").failed(7, "CLOSED", str(database.path))
    assert call("variable", "show", "CLOSED").done().rows[0][-1] == "false"


def test_a_name_that_is_there_twice_is_ambiguous_with_candidates(
    call: Call, database: Database, superuser: str
) -> None:
    for kind in ("Generic", "Credential"):
        variable_rows.add(database, superuser, "FLOW_ID", "", kind)
    result = call("variable", "show", "FLOW_ID").failed(3)
    ids = [line.split()[0] for line in result.stderr.splitlines() if line.startswith("  ")]
    assert [call("variable", "show", name).done().rows[0][0] for name in ids] == ids
    call("variable", "delete", "FLOW_ID", "--yes").failed(3)
    assert len(variable_rows.rows(database)) == 2
