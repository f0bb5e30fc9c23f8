from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from ..support import variable_rows
from ..support.databases import Database
from ..support.samples import CREDENTIAL, OTHER_SECRET_KEY, encrypted
from ..support.sites import Result, Site
from ..support.terminals import Terminal, run_at_terminal
from ..support.variable_rows import get_row

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]

IMPORT = ("variable", "import")

ENV = f"""\
# What a server of ours needs
export OPENAI_API_KEY="{CREDENTIAL}"   # ours
ANTHROPIC_API_KEY='it\\'s # not a comment'
GOOGLE_API_KEY=
MY_TOKEN='first
second'
BASED_ON=${{OPENAI_API_KEY}}-and-more
LANGFLOW_URL=http://localhost:7860
NO_VALUE
"""


def values(database: Database) -> dict[str, str]:
    return {row.name: row.plaintext for row in variable_rows.rows(database)}


def test_what_servers_import_is_stored_from_the_env_file_in_force(site: Site) -> None:
    path = site.write_env(ENV)
    result = site.call(*IMPORT).done()
    assert values(site.database) == {
        "OPENAI_API_KEY": CREDENTIAL,
        "ANTHROPIC_API_KEY": "it's # not a comment",
    }
    assert {row.type for row in variable_rows.rows(site.database)} == {"Credential"}
    assert result.rows == [
        ["added", "OPENAI_API_KEY", "administrator"],
        ["added", "ANTHROPIC_API_KEY", "administrator"],
    ]
    for word in (str(path), str(site.database.path), ": 2 variables added, 0 changed, 0 kept"):
        assert word in result.stderr
    left_out = "3 names in .* that Langflow does not import by itself were left out; to import one,"
    assert re.search(left_out, result.stderr)


def test_another_file_is_named_or_comes_from_stdin(site: Site) -> None:
    site.write_env("OPENAI_API_KEY=not-this-one\n")
    (site.folder / "prod.env").write_text(ENV)
    site.call(*IMPORT, "prod.env").done()
    assert get_row(site.database, "OPENAI_API_KEY").plaintext == CREDENTIAL
    site.call(*IMPORT, "-", "--only", "X", stdin="X='a\nb'\n").done()
    assert get_row(site.database, "X").plaintext == "a\nb"


def test_a_setting_adds_names(site: Site) -> None:
    site.write_env(ENV)
    names = {"LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT": "MY_TOKEN, BASED_ON"}
    site.call(*IMPORT, **names).done()
    found = values(site.database)
    assert found["MY_TOKEN"] == "first\nsecond"
    assert found["BASED_ON"] == f"{CREDENTIAL}-and-more"


def test_only_takes_what_it_names_whatever_it_is(site: Site) -> None:
    site.write_env(ENV)
    result = site.call(*IMPORT, "--only", "MY_TOKEN", "--only", "LANGFLOW_URL").done()
    assert sorted(values(site.database)) == ["LANGFLOW_URL", "MY_TOKEN"]
    assert "left out" not in result.stderr


@pytest.mark.parametrize("name", ["GOOGLE_API_KEY", "NO_VALUE", "MISSING", "my_token"])
def test_a_name_without_a_value_is_an_error_and_nothing_is_written(site: Site, name: str) -> None:
    site.write_env(ENV)
    site.call(*IMPORT, "--only", "MY_TOKEN", "--only", name).failed(3, name)
    assert values(site.database) == {}


def test_policies(site: Site) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    variable_rows.add(site.database, owner, "OPENAI_API_KEY", "old", managed=True)
    before = variable_rows.rows(site.database)
    site.write_env(ENV)
    result = site.call(*IMPORT, "--policy", "fail").failed(5, "OPENAI_API_KEY")
    assert "ANTHROPIC_API_KEY" not in result.stderr
    assert variable_rows.rows(site.database) == before

    result = site.call(*IMPORT).done()
    assert [row[0] for row in result.rows] == ["kept", "added"]
    assert variable_rows.rows(site.database)[:1] == before

    result = site.call(*IMPORT, "--policy", "overwrite").done()
    assert [row[0] for row in result.rows] == ["changed", "changed"]
    row = get_row(site.database, "OPENAI_API_KEY")
    assert (row.plaintext, row.managed, row.id) == (CREDENTIAL, 0, before[0].id)
    assert row.updated_at is not None
    assert row.created_at is not None
    assert row.updated_at > row.created_at


def test_a_dry_run_shows_the_plan_by_name_and_writes_nothing(site: Site) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    variable_rows.add(site.database, owner, "OPENAI_API_KEY", "old")
    site.write_env(ENV)
    digest = site.database.digest()
    for policy, actions in (("keep", ["kept", "added"]), ("overwrite", ["changed", "added"])):
        result = site.call(*IMPORT, "--policy", policy, "--dry-run").done()
        assert [row[0] for row in result.rows] == actions
        assert "nothing was done" in result.stderr
    site.call(*IMPORT, "--policy", "fail", "--dry-run").failed(5)
    assert site.database.digest() == digest


def test_everybody_gets_what_they_lack(site: Site) -> None:
    alice = site.database.add_user("alice")
    variable_rows.add(site.database, alice, "OPENAI_API_KEY", "hers")
    site.write_env(ENV)
    plan = site.call(*IMPORT, "--all-users", "--json").done().json()
    assert [list(one) for one in plan] == [["name", "user_id", "username", "action"]] * 4
    assert [(one["username"], one["name"], one["action"]) for one in plan] == [
        ("administrator", "OPENAI_API_KEY", "added"),
        ("administrator", "ANTHROPIC_API_KEY", "added"),
        ("alice", "OPENAI_API_KEY", "kept"),
        ("alice", "ANTHROPIC_API_KEY", "added"),
    ]
    assert plan[2]["user_id"].replace("-", "") == alice
    site.call(*IMPORT, "--all-users", "--user", "alice").failed(2)


def test_one_user_may_be_named(site: Site) -> None:
    alice = site.database.add_user("alice")
    site.write_env(ENV)
    site.call(*IMPORT, "--user", "alice").done()
    assert {row.user_id for row in variable_rows.rows(site.database)} == {alice}


def test_no_value_shows_anywhere(site: Site) -> None:
    site.write_env(ENV)
    texts = [run_at_terminal(site, *IMPORT, "--dry-run").text]
    for more in (["--dry-run", "--json"], [], ["--policy", "overwrite"], ["--policy", "fail"]):
        result = site.call(*IMPORT, "--only", "MY_TOKEN", "--only", "OPENAI_API_KEY", *more)
        texts.append(result.stdout + result.stderr)
    for text in texts:
        assert CREDENTIAL not in text
        assert "second" not in text


@pytest.mark.only_sqlite("its trigger is in SQLite's SQL")
def test_all_is_stored_or_nothing(site: Site) -> None:
    site.database.rows(
        "CREATE TRIGGER refuse BEFORE INSERT ON variable WHEN new.name = 'ANTHROPIC_API_KEY'"
        " BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    site.write_env(ENV)
    site.call(*IMPORT).failed(5)
    assert values(site.database) == {}


def test_nothing_to_import_is_no_error(site: Site) -> None:
    site.write_env("MY_TOKEN=x\n")
    result = site.call(*IMPORT).done()
    assert result.stdout == ""
    assert "0 variables added" in result.stderr
    assert json.loads(site.call(*IMPORT, "--json").done().stdout) == []


def test_a_file_that_is_no_env_file_is_named_without_its_values(site: Site) -> None:
    path = site.folder / "broken.env"
    path.write_text("A=x\nOPENAI_API_KEY='no end\n")
    result = site.call(*IMPORT, "broken.env").failed(2, f"line 2 of {path}")
    assert "no end" not in result.stderr


def test_there_must_be_a_file(site: Site) -> None:
    site.call(*IMPORT).failed(2, ".env")
    site.call(*IMPORT, "missing.env").failed(2, "missing.env")
    with Terminal(site, *IMPORT, "-") as terminal:
        terminal.finish(2)
    (site.folder / "bytes.env").write_bytes(b"OPENAI_API_KEY=\xff\n")
    site.call(*IMPORT, "bytes.env").failed(2, "UTF-8")


def test_a_secret_key_that_opens_nothing_writes_nothing(site: Site) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    token = encrypted("x", OTHER_SECRET_KEY)
    variable_rows.add(site.database, owner, "OLD", token, is_encrypted=False)
    site.write_env(ENV)
    site.call(*IMPORT).failed(7)
    assert len(variable_rows.rows(site.database)) == 1


@pytest.mark.parametrize("release", ["1.6", "1.13"])
def test_a_generation_that_overwrites_them_is_warned_about(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    site.write_env(ENV)
    result = site.call(*IMPORT).done()
    assert ("overwrites OPENAI_API_KEY, ANTHROPIC_API_KEY" in result.stderr) is (release == "1.6")
