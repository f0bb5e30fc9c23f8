from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support import variable_rows
from ..support.databases import Database
from ..support.sites import Result, Site
from ..support.terminals import Terminal
from ..support.variable_rows import add_one_of_each

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]


def test_variables_are_deleted_all_or_none_and_shown(
    call: Call, database: Database, superuser: str
) -> None:
    add_one_of_each(database, superuser)
    call("variable", "delete", "TOKEN", "MISSING", "--yes").failed(3, "MISSING")
    result = call("variable", "delete", "TOKEN", "URL", "TOKEN", "--yes").done()
    assert [row[1] for row in result.rows] == ["TOKEN", "URL"]
    assert "2 variables of administrator" in result.stderr
    assert str(database.path) in result.stderr
    assert [row.name for row in variable_rows.rows(database)] == ["CLOSED"]


def test_deleting_asks_first_and_a_dry_run_does_nothing(site: Site) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    add_one_of_each(site.database, owner)
    delete = ("variable", "delete", "TOKEN")
    site.call(*delete).failed(2, "--yes")
    result = site.call(*delete, "--dry-run").done()
    assert "nothing was done" in result.stderr
    assert [row[1] for row in result.rows] == ["TOKEN"]

    for typed, code in (("n\n", 1), ("y\n", 0)):
        assert len(variable_rows.rows(site.database)) == 3
        with Terminal(site, *delete) as terminal:
            terminal.expect(f"Delete TOKEN of administrator in {site.database.location}? [y/N] ")
            terminal.send(typed)
            terminal.finish(code)
    assert len(variable_rows.rows(site.database)) == 2


def test_another_users_variable_is_deleted_only_by_naming_them(
    call: Call, database: Database
) -> None:
    variable_rows.add(database, database.add_user("alice"), "HERS", "x")
    call("variable", "delete", "HERS", "--yes").failed(3)
    call("variable", "delete", "HERS", "--yes", "--user", "alice").done()
    assert variable_rows.rows(database) == []


def test_a_name_that_servers_import_is_said_to_come_back(
    call: Call, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, "OPENAI_API_KEY", "x")
    variable_rows.add(database, superuser, "MY_TOKEN", "x")
    result = call("variable", "delete", "OPENAI_API_KEY", "MY_TOKEN", "--yes").done()
    assert "creates OPENAI_API_KEY again" in result.stderr
