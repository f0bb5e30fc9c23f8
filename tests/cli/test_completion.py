"""Completion offers names of keys, users and variables, and is read-only and silent."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer

from langkeys.cli import app
from langkeys.cli.groups import Group, context_of
from langkeys.cli.options import Invocation
from langkeys.cli.output import Output
from langkeys.models import dashed

from ..support.commands import paths
from ..support.databases import Database
from ..support.samples import OTHER_SECRET_KEY, encrypted
from ..support.sites import Site

HOSTILE = (
    "a;touch pwned", "a$(touch pwned)", "a`touch pwned`", "a\\$(touch pwned)", "a'$(touch pwned)'",
    'a"$(touch pwned)"', "a b", "a=b", "a|b", "a\u200bb", "-a", "a\nb", "a*", "~a",
    "a\u3164",
)  # fmt: skip


def completed(site: Site, line: str, **settings: str | None) -> list[str]:
    """Return the completions of a line in bash; assert that nothing else is printed or changed."""
    result = site.run(
        _LANGKEYS_COMPLETE="complete_bash",
        COMP_WORDS=line.replace(" ", "\n"),
        COMP_CWORD=str(line.count(" ")),
        **settings,
    )
    assert result.code == 0
    assert result.stderr == ""
    return result.lines if result.stdout.strip() else []


def offered(site: Site, path: str, name: str, typed: str = "") -> list[str]:
    """Return the completions of a command's parameter, determined in this process."""
    command: Any = typer.main.get_command(app)
    context = context_of(None, command, "langkeys")
    context.obj = Invocation(Output(as_json=False))
    for word in path.split():
        assert isinstance(command, Group)
        command = command.get_command(context, word)
        context = context_of(context, command, word)
    (parameter,) = [one for one in command.params if one.name == name]
    with mock.patch.dict(os.environ, site.environment(), clear=True):
        return [item.value for item in parameter.shell_complete(context, typed)]


@pytest.fixture
def stocked(site: Site, superuser: str) -> Site:
    """A site with keys, users and variables."""
    database = site.database
    for name in ("ci", "laptop", "twice", "twice"):
        database.add_key(superuser, name)
    database.add_user("alice", is_superuser=False)
    database.add_user("bob@example.org", is_superuser=False)
    database.add_variable(superuser, "OPENAI_API_KEY", encrypted("x"))
    database.add_variable(superuser, "OTHER_TOKEN", encrypted("x", OTHER_SECRET_KEY))
    # Completion needs no acting user and no secret key.
    site.settings.update(LANGFLOW_AUTO_LOGIN="false", LANGFLOW_SECRET_KEY="")
    return site


def id_starts(database: Database, name: str) -> list[str]:
    rows = database.rows("SELECT id FROM apikey WHERE name = ?", (name,))
    return [str(row[0])[:8] for row in rows]


# All parameters


def _parameters() -> list[tuple[str, str, str]]:
    """Return the parameters of all commands that name a key or a user."""
    found = []
    root: Any = typer.main.get_command(app)
    for path in paths():
        command: Any = root
        for word in path.split():
            command = command.get_command(context_of(None, command, "langkeys"), word)
        for parameter in command.params:
            kind = (parameter.metavar or "").strip("[].")
            if kind in ("REF", "USER"):
                found.append((path, str(parameter.name), kind))
    return found


@pytest.mark.parametrize(("path", "name", "kind"), _parameters())
def test_what_names_a_key_or_a_user_is_completed(
    stocked: Site, path: str, name: str, kind: str
) -> None:
    values = offered(stocked, path, name)
    assert ("laptop" if kind == "REF" else "alice") in values


def test_the_walk_finds_them() -> None:
    assert len(_parameters()) >= 25


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("variable show", "name"),
        ("variable set", "name"),
        ("variable explain", "name"),
        ("variable delete", "names"),
        ("variable export", "only"),
        ("run", "only"),
    ],
)
def test_what_names_a_variable_is_completed(stocked: Site, path: str, name: str) -> None:
    assert offered(stocked, path, name) == ["OPENAI_API_KEY", "OTHER_TOKEN"]
    assert offered(stocked, path, name, "OT") == ["OTHER_TOKEN"]


# Completed lines


def test_names_are_offered_and_ids_of_keys_that_share_a_name(stocked: Site) -> None:
    values = completed(stocked, "langkeys api-key show ")
    assert values[:2] == ["ci", "laptop"]
    assert sorted(values[2:]) == sorted(id_starts(stocked.database, "twice"))
    assert completed(stocked, "langkeys api-key show tw") == ["twice"]


def test_the_start_of_an_id_is_completed(stocked: Site) -> None:
    (key_id,) = (
        str(row[0]) for row in stocked.database.rows("SELECT id FROM apikey WHERE name = 'laptop'")
    )
    assert completed(stocked, f"langkeys api-key revoke {key_id[:6]}") == [key_id[:8]]
    assert completed(stocked, f"langkeys api-key revoke {key_id[:12]}") == [key_id]
    start = dashed(key_id)[:12]
    assert completed(stocked, f"langkeys api-key revoke {start}") == [dashed(key_id)]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("langkeys api-key rotate ci la", ["laptop"]),
        ("langkeys api-key list --user al", ["alice"]),
        ("langkeys api-key --user al", ["alice"]),
        ("langkeys api-key -q rot", ["rotate"]),
        ("langkeys api-key --names", ["--namespace"]),
        ("langkeys user show bob", ["bob@example.org"]),
        ("langkeys variable show OT", ["OTHER_TOKEN"]),
        ("langkeys variable list --user al", ["alice"]),
        ("langkeys variable show --user alice O", []),
        ("langkeys help set", ["settings"]),
        ("langkeys help api-key pr", ["prune"]),
        ("langkeys help doctor ", []),
        ("langkeys api-key show nothing", []),
    ],
)
def test_a_line_is_completed(stocked: Site, line: str, values: list[str]) -> None:
    assert completed(stocked, line) == values


def test_the_database_of_the_line_is_looked_at(stocked: Site) -> None:
    line = f"langkeys api-key show --database {stocked.folder / stocked.path} la"
    assert completed(stocked, line, LANGFLOW_DATABASE_URL="sqlite:////nowhere") == ["laptop"]


# Nothing is offered or printed if the lookup fails


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("langkeys api-key show ", {"LANGFLOW_DATABASE_URL": "sqlite:////nowhere/x.db"}),
        ("langkeys api-key show ", {"LANGFLOW_DATABASE_URL": "nonsense://"}),
        ("langkeys api-key show ", {"LANGFLOW_AUTO_LOGIN": "perhaps"}),
        ("langkeys api-key show ", {"LANGKEYS_ENV_FILE": "missing.env"}),
        ("langkeys api-key show --env-file missing.env ", {}),
        ("langkeys api-key show --database . ", {}),
        ("langkeys api-key show --url http://127.0.0.1:9 ", {}),
        ("langkeys api-key revoke --remote ", {"LANGFLOW_URL": "http://127.0.0.1:9"}),
        ("langkeys nonsense ", {}),
        ("langkeys api-key show --nonsense ", {}),
        ("langkeys variable show --user nobody ", {}),
    ],
)
def test_where_it_cannot_there_is_nothing(
    stocked: Site, line: str, settings: dict[str, str | None]
) -> None:
    if "nonsense" in line:
        completed(stocked, line, **settings)
    else:
        assert completed(stocked, line, **settings) == []


def test_a_database_that_is_none_offers_nothing(empty_site: Site) -> None:
    (empty_site.folder / "langflow.db").write_bytes(b"no database" * 1000)
    assert completed(empty_site, "langkeys api-key show --database langflow.db ") == []


def test_a_locked_database_is_not_waited_for(stocked: Site) -> None:
    holder = sqlite3.connect(stocked.folder / stocked.path, isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    assert completed(stocked, "langkeys api-key show ") == []
    assert time.monotonic() - started < 15
    holder.close()


def test_nothing_is_written(stocked: Site) -> None:
    def state() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in stocked.folder.rglob("*") if path.is_file()}

    before = state()
    for line in ("langkeys api-key show ", "langkeys user show ", "langkeys variable show "):
        assert completed(stocked, line)
    assert state() == before


def test_what_a_shell_would_take_for_code_is_not_offered(stocked: Site, superuser: str) -> None:
    for name in HOSTILE:
        stocked.database.add_key(superuser, name)
        stocked.database.add_user(name, is_superuser=False)
        stocked.database.add_variable(superuser, name, encrypted("x"))
    for path, name in (("api-key show", "ref"), ("user show", "user"), ("variable show", "name")):
        for value in offered(stocked, path, name):
            assert re.fullmatch(r"[\w][\w.@+-]*", value), value
            assert value not in HOSTILE
    # Such a key is still offered by its id.
    assert {*id_starts(stocked.database, HOSTILE[0])} <= {*offered(stocked, "api-key show", "ref")}
