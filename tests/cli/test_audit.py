"""Which entries of the audit trail are shown, and in what form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from ..support import databases
from ..support.databases import Database
from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal

Call = Callable[..., Result]


@pytest.fixture
def log(site: Site) -> Path:
    path = site.folder / "audit.jsonl"
    site.settings["LANGKEYS_AUDIT_LOG"] = str(path)
    return path


@pytest.fixture
def week(site: Site, log: Path, database: Database) -> dict[str, str]:
    """Fill a trail with entries of several users and commands; return the id and key of ``ci``."""
    site.settings["LANGFLOW_AUTO_LOGIN"] = "true"
    made = site.call("api-key", "create", "--name", "ci", "--json").done().json()
    site.call("api-key", "create", "--name", "laptop").done()
    alice = site.call("api-key", "create", "--name", "hers", "--json").done().json()
    site.call("user", "create", "alice", "--superuser", "--random").done()
    database.rows("UPDATE apikey SET user_id = (SELECT id FROM user WHERE username = 'alice')"
                  " WHERE name = 'hers'")  # fmt: skip
    hers = {"LANGKEYS_API_KEY": alice["api_key"]}
    site.call("api-key", "update", "laptop", "--name", "ci-old", **hers).done()
    site.call("api-key", "revoke", "ci", "--yes", "--reason", "left", **hers).done()
    site.call("api-key", "revoke", "nobody", "--yes").failed(3)
    other = site.folder / "other.db"
    databases.create(other).add_user("administrator")
    site.call("user", "create", "bob", "--random", "--database", str(other)).done()
    return {"id": made["id"], "api_key": made["api_key"], "hers": alice["id"]}


def commands(call: Call, *options: str, stdin: str = "") -> list[str]:
    """Return the commands in the piped lines; assert that JSON has the same."""
    piped = [row[2] for row in call("audit", *options, stdin=stdin).done().rows]
    records: list[dict[str, Any]] = call("audit", *options, "--json", stdin=stdin).done().json()
    assert [record["command"] for record in records] == piped
    return piped


CREATE, REVOKE, UPDATE, USER = "api-key create", "api-key revoke", "api-key update", "user create"


def test_this_databases_entries_are_shown_and_the_others_are_counted(
    call: Call, week: dict[str, str]
) -> None:
    every = [CREATE, CREATE, CREATE, USER, UPDATE, REVOKE, REVOKE]
    assert commands(call) == every
    assert "note: 1 entry for other databases or servers left out" in call("audit").stderr
    assert commands(call, "--all-databases") == [*every, USER]
    assert "left out" not in call("audit", "--all-databases").stderr
    call("audit", LANGFLOW_DATABASE_URL="mysql://x/y").failed(2)
    assert call("audit", "--all-databases", LANGFLOW_DATABASE_URL="mysql://x/y").done().rows


def test_a_database_is_the_same_by_whatever_path_it_is_named(
    site: Site, week: dict[str, str]
) -> None:
    (site.folder / "link").symlink_to(site.folder)
    for url in (site.path, f"link/{site.path}", f"./{site.path}"):
        assert len(site.call("audit", "--database", str(url)).done().rows) == 7
    assert len(site.call("audit", "--database", "other.db").done().rows) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--user", "alice"), [UPDATE, REVOKE]),
        (("--user", "administrator"), [CREATE, CREATE, CREATE, USER, REVOKE]),
        (("--user", "Alice"), []),
        (("--command", "api-key revoke"), [REVOKE, REVOKE]),
        (("--command", "revoke"), [REVOKE, REVOKE]),
        (("--command", "user"), [USER]),
        (("--command", "create"), [CREATE, CREATE, CREATE, USER]),
        (("--failed",), [REVOKE]),
        (("--failed", "--user", "alice"), []),
        (("--limit", "2"), [REVOKE, REVOKE]),
        (("--limit", "3", "--user", "administrator"), [CREATE, USER, REVOKE]),
        (("--limit", "0"), []),
        (("--limit", "100"), [CREATE, CREATE, CREATE, USER, UPDATE, REVOKE, REVOKE]),
        (("--key", "ci"), [CREATE, REVOKE]),
        (("--key", "ci-old"), [UPDATE]),
        (("--key", "nobody"), []),
        (("--since", "1h", "--command", "user"), [USER]),
    ],
)
@pytest.mark.usefixtures("week")
def test_entries_are_selected(call: Call, options: tuple[str, ...], expected: list[str]) -> None:
    assert commands(call, *options) == expected


def test_a_key_is_found_by_its_id_by_itself_and_as_the_one_that_acted(
    call: Call, week: dict[str, str]
) -> None:
    for ref in (week["id"], week["id"].replace("-", ""), week["id"][:8], week["id"][:8].upper()):
        assert commands(call, "--key", ref) == [CREATE, REVOKE]
    assert commands(call, "--key", "-", stdin=week["api_key"]) == [REVOKE]
    assert week["api_key"] not in call("audit", "--key", "-", stdin=week["api_key"]).stderr
    assert commands(call, "--key", week["hers"]) == [CREATE, UPDATE, REVOKE]
    call("audit", "--key", week["api_key"]).failed(2)
    call("audit", "--key", "-", stdin="a\nb").failed(2, "2 lines")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("revok", ["api-key revoke"]),
        ("api-key revok", ["api-key revoke"]),
        ("api-key rm", ["api-key revoke"]),
        ("key", ["api-key"]),
        ("apikey revoke", ["api-key revoke"]),
        ("apikey revok", ["api-key revoke"]),
        ("delte", ["variable delete"]),
        ("library api-key revok", ["api-key revoke"]),
        ("xyzzy", []),
        ("xyzzy revoke", []),
        ("api-key revoke ci", ["api-key revoke"]),
    ],
)
@pytest.mark.usefixtures("week")
def test_a_command_that_does_not_exist_is_refused_with_the_nearest_one(
    call: Call, name: str, meant: list[str]
) -> None:
    error = call("audit", "--command", name, "--json").failed(2).error
    assert repr(name) in error["message"]
    assert [path for path in meant if f"--command '{path}'" in error["hint"]] == meant
    assert ("did you mean" in error["hint"]) == bool(meant)


@pytest.mark.parametrize("name", ["langkeys api-key revoke", "backup", "library", "library user"])
@pytest.mark.usefixtures("week")
def test_a_command_that_exists_is_no_error_though_nobody_used_it(call: Call, name: str) -> None:
    assert commands(call, "--command", name) == ([REVOKE] * 2 if "revoke" in name else [])


@pytest.mark.usefixtures("week")
def test_a_user_without_an_entry_is_noted_with_the_nearest_name(call: Call, log: Path) -> None:
    said = call("audit", "--user", "alcie", "--all-databases").done().stderr
    assert said == f"note: no entry in {log} is by user 'alcie'; did you mean 'alice'?\n"
    assert "no entry in" not in call("audit", "--user", "alice", "--command", "init").done().stderr
    assert "did you mean" not in call("audit", "--user", "zzz").done().stderr


@pytest.mark.usefixtures("week")
def test_the_start_of_a_key_is_not_in_the_trail(call: Call) -> None:
    assert "--key -" in call("audit", "--key", "sk-abcde…").done().stderr


def test_where_no_env_file_is_found_an_empty_answer_says_so(empty_site: Site) -> None:
    for name in ("LANGFLOW_DATABASE_URL", "LANGKEYS_AUDIT_LOG"):
        empty_site.settings.pop(name, None)
    said = empty_site.call("audit").done().stderr
    assert f"there is no .env in {empty_site.folder}" in said
    assert "no .env" not in empty_site.call("audit", "--all-databases").done().stderr
    empty_site.write_env("LANGFLOW_AUTO_LOGIN=true\n")
    assert "no .env" not in empty_site.call("audit").done().stderr


def test_a_trail_that_does_not_exist_is_one_note(call: Call, log: Path) -> None:
    said = call("audit", "--user", "alice").done().stderr
    assert said == f"note: {log} does not exist yet: nothing has been recorded\n"


def test_a_user_is_found_by_id(call: Call, week: dict[str, str], database: Database) -> None:
    (user_id,) = database.rows("SELECT id FROM user WHERE username = 'alice'")[0]
    assert commands(call, "--user", user_id) == [UPDATE, REVOKE]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_person_reads_what_was_changed_in_one_line_each(
    site: Site, week: dict[str, str], width: int
) -> None:
    terminal = run_at_terminal(site, "audit", columns=width)
    lines = [line for line in terminal.text.splitlines() if "other databases" not in line]
    assert all(cell_len(line) <= width for line in lines)
    assert len([line for line in lines if "api-key" in line or "user cr" in line]) == 7
    if width == 200:
        assert f"deleted key ci ({week['id'][:8]})" in terminal.text
        assert f"created key ci ({week['id'][:8]})" in terminal.text
        for word in ("refused", "not_found", "left", "alice", "BY"):
            assert word in terminal.text or "same in every row" in terminal.text
    assert week["id"] not in terminal.text


@pytest.mark.parametrize(("width", "unfit"), [(60, "USER, REASON"), (80, "REASON")])
def test_a_narrow_terminal_keeps_the_error_and_says_what_is_missing(
    site: Site, week: dict[str, str], width: int, unfit: str
) -> None:
    site.call("api-key", "create", "--name", "a-name-that-is-too-long-for-the-table").done()
    site.call("api-key", "create", "--reason", "a reason that needs some room").done()
    text = run_at_terminal(site, "audit", columns=width).text
    titles = text.splitlines()[0].split()
    assert {"WHEN", "OUTCOME", "COMMAND", "ERROR", "CHANGES"} <= set(titles)
    assert "not_found" in text
    said = " ".join(text.split())
    assert re.search(
        f"note: no room for {unfit}; (COMMAND and )?CHANGES (is|are) cut; --json", said
    )
    assert "--json shows everything" in said


def test_of_one_entry_the_reason_is_shown_rather_than_an_empty_error(
    site: Site, week: dict[str, str]
) -> None:
    site.call("api-key", "create", "--name", "last", "--reason", "contract ended").done()
    text = run_at_terminal(site, "audit", "--key", "last", columns=80).text
    titles = ["WHEN", "OUTCOME", "COMMAND", "USER", "BY", "REASON", "CHANGES"]
    assert text.splitlines()[0].split() == titles
    assert "contract ended" in text
    assert "note: empty: error" in text
    titles = run_at_terminal(site, "audit", "--key", "last", columns=60).text.split("\n")[0].split()
    assert "USER" in titles
    assert "ERROR" not in titles


def test_fields_of_entries_are_picked(call: Call, week: dict[str, str], log: Path) -> None:
    rows = call("audit", "--fields", "system_user,changes", "--header").done().rows
    assert rows[0] == ["system_user", "changes"]
    assert f"insert api_key {week['id']} (ci)" in rows[1][1]
    record = json.loads(log.read_text().splitlines()[0])
    described = call("audit", "--fields", "changes,pid", "--json").done().json()[0]
    assert described == {"changes": record["changes"], "pid": record["pid"]}


def test_init_sets_where_the_trail_is(empty_site: Site) -> None:
    empty_site.call("init").done()
    empty_site.call("api-key", "create").done()
    assert f"LANGKEYS_AUDIT_LOG={empty_site.folder}" in (empty_site.folder / ".env").read_text()
    assert commands(empty_site.call) == ["init", "api-key create"]
