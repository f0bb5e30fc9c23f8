"""The output of rotate and revoke on a terminal."""

from __future__ import annotations

import re

import pytest

from langkeys.models import dashed
from langkeys.times import parsed_iso, person_iso

from ..support.databases import Database, ago, ahead
from ..support.samples import OTHER_SECRET_KEY
from ..support.sites import Site
from ..support.terminals import run_at_terminal

OLD = ("api-key", "rotate", "--older-than", "90d", "--grace", "7d")


def expiries(database: Database) -> dict[str, str]:
    """Return when each old key ends, by name."""
    sql = "SELECT name, expires_at FROM apikey WHERE expires_at IS NOT NULL"
    return dict(database.rows(f"{sql} ORDER BY created_at DESC"))


@pytest.fixture
def aged(site: Site, database: Database, superuser: str) -> Site:
    """A site with two old keys of two users."""
    alice = database.add_user("alice", is_superuser=False)
    for owner, name in ((superuser, "gateway"), (alice, "laptop")):
        database.add_key(owner, name, created_at=ago(days=120))
    (site.folder / "secrets").mkdir()
    return site


@pytest.mark.parametrize("width", [80, 200])
def test_what_is_to_be_redeployed_is_one_table(aged: Site, database: Database, width: int) -> None:
    olds = dict(database.rows("SELECT name, id FROM apikey"))
    text = run_at_terminal(aged, *OLD, "--write-to-dir", "secrets", columns=width).text
    ends = {name: parsed_iso(time) for name, time in expiries(database).items()}
    table, notes = text.split("note: ", 1)
    titles, _, *rows = table.splitlines()
    assert titles.split() == ["NAME", "USER", "FILE", "REPLACES", "UNTIL"]
    assert [re.split(" {2,}", row.strip()) for row in rows] == [
        ["gateway", "administrator", "secrets/gateway", olds["gateway"][:8], "in 7d"],
        ["laptop", "alice", "secrets/laptop", olds["laptop"][:8], "in 7d"],
    ]
    assert notes.startswith("rotated 2 API keys in")
    assert "replaces" not in notes
    until = min(ends["gateway"], ends["laptop"])
    assert f"note: the old keys work until {person_iso(until)}" in " ".join(notes.split())


@pytest.mark.parametrize("target", [(), ("--write-to-dir", "secrets")])
def test_ends_that_differ_are_shown_as_times(
    aged: Site, database: Database, superuser: str, target: tuple[str, ...]
) -> None:
    soon = ahead(days=1).replace(microsecond=0)
    database.add_key(superuser, "soon", created_at=ago(days=99), expires_at=soon)
    text = run_at_terminal(aged, *OLD, *target, columns=200).text
    rows = {row.split()[0]: row.split()[-1] for row in text.splitlines()}
    ends = expiries(database)
    last = person_iso(max(parsed_iso(ends["gateway"]), parsed_iso(ends["laptop"])))
    first = person_iso(parsed_iso(ends["soon"]))
    assert first < last
    assert rows["soon"] == first
    assert rows["gateway"] == person_iso(parsed_iso(ends["gateway"]))
    assert f"the first of the old keys works until {first}, the last until {last}" in text


def test_without_a_grace_no_time_is_named(aged: Site) -> None:
    line = ("api-key", "rotate", "--older-than", "90d", "--yes")
    text = run_at_terminal(aged, *line, columns=200).text
    assert "rotated 2 API keys" in text
    assert "until" not in text


@pytest.mark.parametrize("age", [0, 3])
def test_a_newer_key_of_the_name_is_not_called_useless(
    aged: Site, database: Database, superuser: str, age: int
) -> None:
    old = dashed(dict(database.rows("SELECT name, id FROM apikey"))["gateway"])
    database.add_key(superuser, "gateway", created_at=ago(hours=age))
    said = aged.call("api-key", "rotate", old).done().stderr
    when = "3 hours ago" if age else r"(just now|\d+ seconds? ago)"
    assert re.search(
        rf"newer than {old}, was created {when} and never used\. It may be left over from an"
        r" interrupted rotation\. Revoke it only if nobody uses it\n",
        said,
    )


def test_quietly_nothing_is_said_of_files(aged: Site) -> None:
    assert run_at_terminal(aged, "-q", *OLD, "--write-to-dir", "secrets").text == ""


def test_new_keys_are_shown_once_in_one_table(aged: Site) -> None:
    text = run_at_terminal(aged, *OLD).text
    assert text.count("gateway") == text.count("laptop") == 1
    assert len(re.findall(r"sk-[\w-]{43}", text)) == 2


def test_one_key_and_pipes_have_a_note_for_each(aged: Site) -> None:
    text = run_at_terminal(aged, "api-key", "rotate", "laptop", "--write-to", "secrets/laptop").text
    assert "REPLACES" not in text
    assert " replaces " in text
    result = aged.call(*OLD, "--write-to-dir", "secrets").done()
    assert result.stdout == ""
    assert result.stderr.count(" replaces ") == 1


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
@pytest.mark.parametrize("target", [("--write-to-dir", "nowhere"), ("--write-to", "nowhere/key")])
def test_a_folder_that_is_missing_is_named(
    aged: Site, database: Database, target: tuple[str, str], dry_run: tuple[str, ...]
) -> None:
    before = database.content()
    result = aged.call(*OLD, *target, *dry_run).failed(1, "No such file or directory")
    assert f"hint: there is no folder {aged.folder / 'nowhere'}: create it first" in result.stderr
    assert database.content() == before


def test_a_dry_run_leaves_no_file(aged: Site) -> None:
    aged.call(*OLD, "--write-to-dir", "secrets", "--dry-run").done()
    aged.call(*OLD, "--write-to", "secrets/keys", "--dry-run").done()
    assert list((aged.folder / "secrets").iterdir()) == []
    result = aged.call(*OLD, "--format", "k8s-secret", "--dry-run").failed(2)
    assert "--format k8s-secret takes one API key, not 2" in result.stderr


@pytest.mark.parametrize("line", [("revoke", "laptop"), ("prune", "--user", "alice")])
def test_a_key_that_was_revoked_is_not_called_active(aged: Site, line: tuple[str, ...]) -> None:
    would = run_at_terminal(aged, "api-key", *line, "--dry-run").text
    assert " active " in would
    gone = run_at_terminal(aged, "api-key", *line, "--yes").text
    assert "laptop" in gone
    assert "active" not in gone


def test_doctor_says_how_to_end_a_key_that_cannot_be_decrypted(
    aged: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "restored", secret_key=OTHER_SECRET_KEY)
    result = aged.call("doctor", "--json")
    (finding,) = [one for one in result.json()["findings"] if one["level"] == "problem"]
    assert finding["hint"].endswith(f"or revoke it: langkeys api-key revoke {key.dashed}")
    aged.call("api-key", "revoke", key.dashed, "--yes").done()
    assert aged.call("doctor", "--json").done().json()["ok"] is True
