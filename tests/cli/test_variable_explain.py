from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support import variable_rows
from ..support.databases import Database
from ..support.samples import CREDENTIAL, OTHER_SECRET_KEY, encrypted
from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal
from ..support.variable_rows import FIELDS

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]

KEY = "OPENAI_API_KEY"
EXPLAIN = ("variable", "explain", KEY)


@pytest.fixture
def stored(database: Database, superuser: str) -> Database:
    fields = '["Password", "API Key"]'
    variable_rows.add(
        database,
        superuser,
        KEY,
        CREDENTIAL,
        fields=fields,
        updated_at="2026-01-02 00:00:00.000000",
        managed=False,
    )
    return database


def test_sentences_say_what_wins_and_what_it_hides(site: Site, stored: Database) -> None:
    text = run_at_terminal(site, *EXPLAIN, **{KEY: "environment-value"}).text
    for words in (
        f"{KEY}: the stored variable of administrator in {site.database.location} wins.",
        "It hides the server's environment (this environment).",
        "has type Credential",
        "the fields Password, API Key",
        "The secret key decrypts it.",
        "keeps it when it starts",
        f"Without it, a server would use its environment: {KEY} is set in this environment.",
    ):
        assert words in text
    assert "environment-value" not in text


def test_one_piped_line_has_fixed_columns(call: Call, stored: Database) -> None:
    in_environment = {KEY: "x"}
    (row,) = call(*EXPLAIN, **in_environment).done().rows
    assert row == [
        KEY, "stored", "environment", "Credential", "Password,API Key", "true", "true", "true",
    ]  # fmt: skip
    (row,) = call(*EXPLAIN, "--tweak", **in_environment).done().rows
    assert row[:3] == [KEY, "tweak", "stored,environment"]
    (row,) = call("variable", "explain", "NOWHERE").done().rows
    assert row == ["NOWHERE", "none", "", "", "", "", "", "true"]


def test_json_has_everything_but_a_value(call: Call, stored: Database, superuser: str) -> None:
    found = call(*EXPLAIN, "--json", **{KEY: "x"}).done().json()
    assert list(found) == [
        "name", "user_id", "username", "wins", "hides", "stored", "rows", "kept_at_restart",
        "falls_back", "environment", "reasons",
    ]  # fmt: skip
    assert (found["wins"], found["hides"], found["rows"]) == ("stored", ["environment"], 1)
    assert found["user_id"].replace("-", "") == superuser
    assert list(found["stored"]) == FIELDS
    assert (found["stored"]["value"], found["stored"]["opens"]) == (None, True)
    assert (found["kept_at_restart"], found["falls_back"]) == (True, True)
    nowhere = call("variable", "explain", "NOWHERE", "--json").done().json()
    assert (nowhere["wins"], nowhere["stored"], nowhere["environment"]) == ("none", None, None)


def reasons(site: Site, *arguments: str, **settings: str | None) -> str:
    found: dict[str, Any] = site.call(*EXPLAIN, "--json", *arguments, **settings).done().json()
    return " ".join(found["reasons"])


def test_the_environment_wins_where_nothing_is_stored(site: Site) -> None:
    path = site.write_env(f"{KEY}={CREDENTIAL}\n")
    said = reasons(site)
    assert f"the server's environment ({path}) wins" in said
    assert CREDENTIAL not in said
    assert "stores it as a Credential" in said
    off = {"LANGFLOW_STORE_ENVIRONMENT_VARIABLES": "false"}
    assert "stores it" not in reasons(site, **off)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"LANGFLOW_FALLBACK_TO_ENV_VAR": "false"}, "LANGFLOW_FALLBACK_TO_ENV_VAR is false"),
        ({}, "no value that a server could use"),
    ],
)
def test_nothing_may_win(site: Site, settings: dict[str, str], words: str) -> None:
    if settings:
        settings = {**settings, KEY: "x"}
    assert words in reasons(site, **settings)


def test_what_came_from_the_environment_is_said_to_be_overwritten(site: Site) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    created = "2026-01-01 00:00:00.000000"
    variable_rows.add(
        site.database, owner, KEY, "x", created_at=created, updated_at=created, managed=True
    )
    said = reasons(site)
    assert "overwrites it when it starts or the user logs in" in said
    assert "To keep it, use langkeys variable set" in said
    site.call("variable", "set", KEY, "--value-file", "-", stdin="y").done()
    assert "keeps it when it starts" in reasons(site)


def test_a_generation_that_always_overwrites_says_so(site_of: Callable[[str], Site]) -> None:
    site = site_of("1.6")
    site.call("variable", "set", KEY, "--value-file", "-", stdin="y").done()
    assert "servers of that generation always do" in reasons(site)


@pytest.mark.parametrize(("release", "is_a_name"), [("1.6", True), ("1.8", False)])
def test_a_tweak_of_an_old_generation_comes_with_advice(
    site_of: Callable[[str], Site], release: str, is_a_name: bool
) -> None:
    said = reasons(site_of(release), "--tweak")
    assert "the tweak wins" in said
    assert ("load_from_db" in said) is is_a_name


def test_what_does_not_open_is_said(site_of: Callable[[str], Site]) -> None:
    site = site_of("1.8")
    (owner,) = site.database.rows("SELECT id FROM user WHERE username = 'langflow'")
    token = encrypted("x", OTHER_SECRET_KEY)
    variable_rows.add(site.database, owner[0], KEY, token, is_encrypted=False)
    said = reasons(site, **{KEY: "environment"})
    assert "It cannot be decrypted" in said
    assert "empty value" in said
    assert "no value that a server could use" in said


def test_rows_that_a_server_made_twice_are_no_error(
    call: Call, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, "FLOW_ID", "", "Generic")
    variable_rows.add(database, superuser, "FLOW_ID", "x", "Credential")
    found = call("variable", "explain", "FLOW_ID", "--json").done().json()
    assert (found["rows"], found["wins"], found["stored"]["type"]) == (2, "none", "Generic")


def test_it_is_about_one_user(call: Call, stored: Database) -> None:
    stored.add_user("alice")
    assert call(*EXPLAIN, "--user", "alice").done().rows[0][1] == "none"
    call(*EXPLAIN, "--user", "nobody").failed(3)


def test_who_may_not_act_learns_nothing(site: Site, stored: Database) -> None:
    site.database.rows("UPDATE user SET is_superuser = 0")
    site.call(*EXPLAIN).failed(4)
