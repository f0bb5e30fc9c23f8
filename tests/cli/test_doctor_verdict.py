"""doctor: the verdict first, causes before symptoms, and notes about keys."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

from langkeys.cli.present.findings import verdict
from langkeys.diagnostics.report import Finding

from ..support.databases import Database, ago, ahead
from ..support.samples import OTHER_SECRET_KEY, PASSWORD
from ..support.sites import Result, Site
from ..support.terminals import Terminal

Call = Callable[..., Result]


def notes(site: Site, **settings: str) -> list[str]:
    found = site.call("doctor", "--json", **settings).done().json()["findings"]
    return [f["message"] for f in found if (f["section"], f["level"]) == ("API keys", "note")]


@pytest.mark.parametrize("has_database", [True, False])
def test_one_empty_line_is_between_the_parts(
    site: Site, database: Database, superuser: str, has_database: bool
) -> None:
    if not has_database:
        database.path.unlink()
    lines = at_terminal(site, 0 if has_database else 1)
    assert lines.count("") == (2 if has_database else 1)
    title = next(number for number, line in enumerate(lines) if line.startswith("SETTING"))
    assert lines[title - 1] == ""
    assert lines[title - 2]


def hints_of_inactive(site: Site) -> list[str]:
    found = site.call("doctor", "--json").done().json()["findings"]
    return [finding["hint"] for finding in found if "inactive user" in finding["message"]]


def at_terminal(site: Site, code: int, columns: int = 80) -> list[str]:
    with Terminal(site, "doctor", columns=columns) as terminal:
        return terminal.finish(code).text.splitlines()


@pytest.mark.parametrize("problems", [0, 1, 2])
def test_the_first_line_is_the_verdict(
    site: Site, database: Database, superuser: str, problems: int
) -> None:
    site.settings |= {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD}
    database.add_key(superuser, "fine")
    for number in range(problems):
        database.add_key(superuser, f"closed {number}", secret_key=OTHER_SECRET_KEY)
    said = ("no problem", "1 problem", "2 problems")[problems]
    code = 1 if problems else 0
    rows = site.call("doctor")
    known = sum(row[1] == "note" for row in rows.rows)
    assert known > 1
    verdict = f"{said} found in {database.path}, {known} things to know"
    assert rows.code == code
    assert rows.rows[0] == ["verdict", "problem" if problems else "ok", verdict, ""]
    levels = [row[1] for row in rows.rows[1:] if row[0] not in ("settings", "counts")]
    assert levels == sorted(levels, key=["problem", "note", "ok"].index)
    lines = at_terminal(site, code, columns=500)
    assert lines[0] == verdict
    marks = [line.split()[0] for line in lines[1:] if line.startswith(("PROBLEM", "note", "ok"))]
    assert marks == sorted(marks, key=["PROBLEM", "note", "ok"].index)
    assert marks.count("PROBLEM") == problems


def test_one_note_is_one_thing_to_know_and_none_is_not_counted() -> None:
    note, fine = Finding("database", "note", "it is a copy"), Finding("acting", "ok", "by key")
    assert verdict([note, fine], "in x.db") == "no problem found in x.db, 1 thing to know"
    assert verdict([fine], None) == "no problem found"


@pytest.mark.parametrize(
    ("problems", "said"),
    [
        (0, "no problem found in {}, but anybody who can reach the server gets in without a key; "),
        (1, "1 problem found in {}, and anybody who can reach the server gets in without a key; "),
    ],
)
def test_the_verdict_says_that_anybody_gets_in(
    site: Site, database: Database, superuser: str, problems: int, said: str
) -> None:
    site.settings["LANGFLOW_AUTO_LOGIN"] = "true"
    database.add_key(superuser, "fine")
    for _ in range(problems):
        database.add_key(superuser, "closed", secret_key=OTHER_SECRET_KEY)
    result = site.call("doctor")
    known = sum(row[1] == "note" for row in result.rows)
    verdict = f"{said.format(database.path)}{known} things to know"
    assert result.code == (1 if problems else 0)
    assert result.rows[0][2] == verdict
    assert at_terminal(site, result.code, columns=500)[0] == verdict


def test_each_note_about_keys_and_settings_says_what_can_be_done(
    site: Site, database: Database, superuser: str
) -> None:
    database.add_key(superuser, created_at=ago(days=200))
    (site.folder / "langflow.db").chmod(0o644)
    settings = {"LANGFLOW_API_KEY_SOURCE": "env", "LANGFLOW_DISABLE_TRACK_APIKEY_USAGE": "true"}
    found = site.call("doctor", "--json", **settings).done().json()["findings"]
    notes = [finding for finding in found if finding["level"] == "note"]
    assert {finding["section"] for finding in notes} >= {"API keys", "access", "files", "settings"}
    assert [finding["message"] for finding in notes if not finding["hint"]] == []


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_folded_inside_a_word(site: Site, width: int) -> None:
    for line in at_terminal(site, 0, columns=width)[1:]:
        assert len(line) <= width or " " not in line.strip(), line


@pytest.mark.parametrize("release", ["1.13", "1.8"])
def test_a_wrong_secret_key_is_one_finding_though_a_key_acts(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    owner = str(site.database.rows("SELECT id FROM user WHERE username = 'administrator'")[0][0])
    key = site.database.add_key(owner, hashed=release == "1.13")
    site.database.add_key(owner)
    settings = {"LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY, "LANGKEYS_API_KEY": key.plaintext}
    result = site.call("doctor", "--json", **settings)
    problems = [f for f in result.json()["findings"] if f["level"] == "problem"]
    assert [problem["section"] for problem in problems] == ["secret key"]
    assert "can decrypt none of the 2 encrypted values" in problems[0]["message"]
    assert site.call("doctor", **settings).rows[1][0] == "secret key"


def test_it_says_which_keys_never_expire_are_unused_or_open_everything(
    site: Site, database: Database, superuser: str
) -> None:
    alice = database.add_user("alice", is_superuser=False)
    database.add_key(alice, "used", created_at=ago(days=200), last_used_at=ago(days=1),
                     total_uses=3, expires_at=ahead(days=9))  # fmt: skip
    assert notes(site) == []
    database.add_key(alice, "lasting")
    assert notes(site) == ["1 key never expires"]
    database.add_key(superuser, "old", created_at=ago(days=91), expires_at=ahead(days=9))
    database.add_key(
        superuser, "older", created_at=ago(days=300), last_used_at=ago(days=90, hours=1)
    )
    database.add_key(superuser, "young", created_at=ago(days=89), expires_at=ahead(days=9))
    # doctor has no note about keys that no server accepts.
    database.add_key(superuser, "expired", created_at=ago(days=300), expires_at=ago(days=1))
    database.add_key(superuser, "inactive", created_at=ago(days=300), is_active=False)
    assert notes(site) == [
        "2 keys never expire",
        "2 keys were not used for 90 days",
        "3 keys belong to superusers and give full access",
    ]
    hints = {
        f["hint"].partition("langkeys ")[2]
        for f in site.call("doctor", "--json").json()["findings"]
        if f["section"] == "API keys" and "api-key list" in (f["hint"] or "")
    }
    listed = [[row[1] for row in site.call(*hint.split()).done().rows] for hint in sorted(hints)]
    assert listed[0][-2:] == ["lasting", "older"]
    assert listed[1] == ["old", "older"]


@pytest.mark.parametrize(
    ("release", "meaning"),
    [
        ("1.13", ": servers refuse {}"),
        ("1.8", ", but Langflow 1.8 still lets {} run flows"),
    ],
)
def test_keys_of_inactive_users_are_counted(
    site_of: Callable[[str], Site], release: str, meaning: str
) -> None:
    site = site_of(release)
    alice = site.database.add_user("alice", is_superuser=True, is_active=False)
    site.database.add_key(alice, expires_at=ahead(days=9) if release == "1.13" else None)
    if release == "1.13":
        site.database.add_key(alice, is_active=False)
    assert notes(site)[0] == f"1 key belongs to the inactive user 'alice'{meaning.format('it')}"
    (hint,) = hints_of_inactive(site)
    assert hint == "to see it: langkeys api-key list --user alice"
    site.database.add_key(alice, created_at=ago(days=100))
    said = notes(site)
    assert said[0] == f"2 keys belong to the inactive user 'alice'{meaning.format('them')}"
    if release == "1.13":
        assert len(said) == 1


def test_inactive_users_with_keys_are_named(site: Site, database: Database) -> None:
    bob_ray = database.add_user("bob ray", is_superuser=False, is_active=False)
    database.add_user("keyless", is_superuser=False, is_active=False)
    database.add_key(bob_ray, "laptop")
    (hint,) = hints_of_inactive(site)
    assert hint == "to see it: langkeys api-key list --user 'bob ray'"
    (row,) = site.call(*shlex.split(hint.partition("langkeys ")[2])).done().rows
    assert row[1] == "laptop"
    database.add_key(database.add_user("carol", is_superuser=False, is_active=False))
    assert notes(site) == [
        "2 keys belong to the inactive users 'bob ray', 'carol': servers refuse them"
    ]
    assert hints_of_inactive(site) == ["to see them: langkeys api-key list --user USER"]


def test_keys_whose_use_nobody_counts_are_not_called_unused(site: Site, database: Database) -> None:
    alice = database.add_user("alice", is_superuser=False)
    database.add_key(alice, created_at=ago(days=200), expires_at=ahead(days=9))
    assert notes(site) == ["the server has counted no use of any key"]
    (said,) = notes(site, LANGFLOW_DISABLE_TRACK_APIKEY_USAGE="true")
    assert "not known" in said


def test_counts_are_english(site: Site, database: Database, superuser: str) -> None:
    database.add_key(superuser)
    said = [row[2] for row in site.call("doctor").rows if row[0] == "counts"]
    assert {"1 user", "1 API key", "1 active superuser", "0 variables"} <= set(said)
    text = "\n".join(at_terminal(site, 0))
    assert "the secret key decrypts 1 value" in text
    assert "1 user, " in text


def test_whoami_names_the_database_to_a_person(site: Site, database: Database) -> None:
    site.settings |= {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD}
    with Terminal(site, "whoami") as terminal:
        text = terminal.finish().text
    assert f"database {database.path}" in text.splitlines()
