"""The output of rotate and revoke on a terminal."""

from __future__ import annotations

import re

import pytest

from ..support.databases import Database, ago
from ..support.samples import OTHER_SECRET_KEY
from ..support.sites import Site
from ..support.terminals import run_at_terminal

OLD = ("api-key", "rotate", "--older-than", "90d", "--grace", "7d")


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
    table, notes = text.split("note: ", 1)
    titles, _, *rows = table.splitlines()
    assert titles.split() == ["NAME", "USER", "FILE", "REPLACES", "UNTIL"]
    assert [re.split(" {2,}", row.strip()) for row in rows] == [
        ["gateway", "administrator", "secrets/gateway", olds["gateway"][:8], "in 7d"],
        ["laptop", "alice", "secrets/laptop", olds["laptop"][:8], "in 7d"],
    ]
    assert notes.startswith("rotated 2 API keys in")
    assert "replaces" not in notes


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
