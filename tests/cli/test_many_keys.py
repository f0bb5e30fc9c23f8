"""Thousands of keys: all or none, in the right order, and not all in memory."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from langkeys.cli import spool
from langkeys.store.sqlite import key_batches

from ..support.databases import Database, ago
from ..support.samples import decrypted, hash_of
from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal

Call = Callable[..., Result]

MANY = 1203
"""More than a page of rows, a line of the audit trail, and a part of a table."""


@pytest.fixture
def small_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make spools use a file after a few lines."""
    monkeypatch.setattr(spool, "SPOOL_CHARACTERS", 1000)


@pytest.fixture
def log(site: Site) -> Path:
    path = site.folder / "audit.jsonl"
    site.settings["LANGKEYS_AUDIT_LOG"] = str(path)
    return path


def lines_of(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def fill(database: Database, owner: str, count: int = MANY) -> set[str]:
    """Add plaintext keys in one statement, and return their ids."""
    rows = [
        {"id": f"{n:032x}", "name": f"key {n}", "user_id": owner, "api_key": f"sk-{n:043}"}
        for n in range(count)
    ]
    database.rows(
        "INSERT INTO apikey (id, name, user_id, api_key, created_at, total_uses, is_active)"
        " SELECT value->>'id', value->>'name', value->>'user_id', value->>'api_key',"
        " '2026-01-01 00:00:00.000000', 0, 1 FROM json_each(?)",
        (json.dumps(rows),),
    )
    return {row["id"] for row in rows}


# create


@pytest.mark.parametrize("count", ["0", "-1", "10000001", "9" * 20, "three"])
def test_a_count_that_makes_no_sense_is_refused(call: Call, database: Database, count: str) -> None:
    call("api-key", "--count", count).failed(2, "--count")
    assert database.key_ids() == []


@pytest.mark.usefixtures("small_spool")
def test_every_key_that_is_made_is_delivered_and_works(call: Call, database: Database) -> None:
    result = call("api-key", "create", "--name", "fleet", "--count", str(MANY)).done()
    assert f"created {MANY} API keys (fleet)" in result.stderr
    rows = database.rows("SELECT api_key, api_key_hash, name, id FROM apikey")
    assert len({row[3] for row in rows}) == MANY
    assert sorted(result.lines) == sorted(decrypted(row[0]) for row in rows)
    assert sorted(map(hash_of, result.lines)) == sorted(row[1] for row in rows)
    for value in (result.lines[0], result.lines[-1]):
        call("whoami", "--api-key", "-", stdin=value).done()


@pytest.mark.usefixtures("small_spool")
def test_json_of_many_keys_is_one_document(call: Call, database: Database) -> None:
    made = call("api-key", "create", "--count", str(MANY), "--json").done().json()
    assert len({key["api_key"] for key in made}) == MANY
    assert {key["id"].replace("-", "") for key in made} == set(database.key_ids())


def test_many_keys_go_into_a_file_and_show_masked(
    call: Call, site: Site, database: Database
) -> None:
    arguments = ("api-key", "create", "--count", str(MANY), "--write-to", "keys", "--json")
    made = call(*arguments).done().json()
    lines = (site.folder / "keys").read_text().splitlines()
    assert len(lines) == MANY
    assert [key["api_key"] for key in made] == [f"{line[:8]}{'*' * 38}" for line in lines]
    assert {key["written_to"] for key in made} == {str(site.folder / "keys")}
    assert len(database.key_ids()) == MANY


@pytest.mark.parametrize("json_", [False, True])
def test_of_keys_that_nobody_received_all_are_taken_back(
    site: Site, database: Database, log: Path, json_: bool
) -> None:
    (kept,) = fill(database, database.rows("SELECT id FROM user")[0][0], 1)
    reading, writing = os.pipe()
    os.close(reading)
    arguments = ["api-key", "create", "--count", str(MANY), *(["--json"] if json_ else [])]
    result = site.run(*arguments, stdout=writing)
    os.close(writing)
    assert result.code == 1
    assert f"the {MANY} new API keys could not be delivered and have been" in result.stderr
    assert "removed again; when the cause is fixed, try again" in result.stderr
    assert database.key_ids() == [kept]
    changes = [change for line in lines_of(log) for change in line.get("changes", [])]  # type: ignore[attr-defined]
    inserted = {i for c in changes if c["action"] == "insert" for i in c["ids"]}
    deleted = {c["id"] for c in changes if c["action"] == "delete"}
    assert len(inserted) == MANY
    assert inserted == deleted


@pytest.mark.usefixtures("small_spool")
def test_a_disk_that_is_full_for_what_is_spooled_leaves_no_key(
    call: Call, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: spool.Spool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spool.Spool, "_to_file", full)
    call("api-key", "create", "--count", str(MANY)).failed(1, "No space left on device")
    assert database.key_ids() == []


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/proc/self").exists(),
    reason="needs root: /proc looks writable to root, but no file can be created in it",
)
def test_without_a_folder_for_temporary_files_it_says_so(site: Site, database: Database) -> None:
    # So many rows do not fit into SQLite's cache.
    settings = {"TMPDIR": "/proc", "SQLITE_TMPDIR": "/proc"}
    result = site.run("api-key", "create", "--count", "20000", **settings)
    result.failed(6, "for a temporary file", "TMPDIR")
    assert database.key_ids() == []
    # A small batch needs no file, and a completed command does not report a failure.
    for count in (3, 500, 700):
        made = site.run("api-key", "create", "--count", str(count), **settings).done()
        assert len(made.lines) == count
    assert len(database.key_ids()) == 1203


# The audit trail


def test_what_is_alike_is_one_change_with_all_ids(
    call: Call, database: Database, log: Path
) -> None:
    call("api-key", "create", "--count", str(MANY)).done()
    lines = lines_of(log)
    assert {line["id"] for line in lines} == {lines[0]["id"]}
    assert [line.get("part") for line in lines] == [None, *range(2, len(lines) + 1)]
    changes = [change for line in lines for change in line["changes"]]  # type: ignore[attr-defined]
    ids = [row_id.replace("-", "") for change in changes for row_id in change["ids"]]
    assert sorted(ids) == sorted(database.key_ids())
    assert "more of that name" in call("audit").done().stdout


def test_what_is_revoked_is_told_one_by_one_on_lines_of_a_thousand(
    call: Call, database: Database, superuser: str, log: Path
) -> None:
    fill(database, superuser, 2500)
    call("api-key", "prune", "--older-than", "30d", "--yes").done()
    lines = lines_of(log)
    assert [len(line["changes"]) for line in lines] == [1000, 1000, 500]  # type: ignore[arg-type]
    hashes = {change["sha256"] for line in lines for change in line["changes"]}  # type: ignore[attr-defined]
    assert hashes == {hash_of(f"sk-{n:043}") for n in range(2500)}


def test_a_commit_that_fails_takes_back_all_of_its_lines(
    call: Call, database: Database, superuser: str, log: Path
) -> None:
    fill(database, superuser, 2500)
    database.rows(
        "CREATE TRIGGER refuse BEFORE DELETE ON apikey WHEN OLD.name = 'key 2400'"
        " BEGIN SELECT RAISE(ABORT, 'it stays'); END"
    )
    call("api-key", "prune", "--older-than", "30d", "--yes").failed(5, "it stays")
    assert len(database.key_ids()) == 2500
    value = f"sk-{5:043}"
    (site_file := Path.cwd() / "key").write_text(value)
    # Nothing was revoked, and the trail must not say otherwise.
    call("api-key", "ensure", "key 5", "--value-file", str(site_file)).done()


# prune and list


@pytest.mark.usefixtures("small_spool")
def test_many_keys_are_pruned_and_listed(
    call: Call, database: Database, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_batches, "_DELETED_AT_ONCE", 100)
    old = fill(database, superuser)
    young = database.add_key(superuser, created_at=ago(days=1))
    result = call("api-key", "prune", "--older-than", "30d", "--yes").done()
    assert f"revoked {MANY} API keys" in result.stderr
    assert {row[0].replace("-", "") for row in result.rows} == old
    assert database.key_ids() == [young.id]


def test_a_kill_between_two_parts_of_a_deletion_leaves_all(
    site: Site, database: Database, superuser: str
) -> None:
    ids = fill(database, superuser)
    site.settings["LANGKEYS_FAILPOINT"] = "before-commit"
    assert site.run("api-key", "prune", "--older-than", "30d", "--yes").code < 0
    assert set(database.key_ids()) == ids
    assert database.rows("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.usefixtures("small_spool")
@pytest.mark.parametrize("as_json", [False, True])
def test_a_long_list_is_whole(
    call: Call, database: Database, superuser: str, as_json: bool
) -> None:
    ids = fill(database, superuser)
    result = call("api-key", "list", *(["--json"] if as_json else [])).done()
    found = [key["id"] for key in result.json()] if as_json else [row[0] for row in result.rows]
    assert [row_id.replace("-", "") for row_id in found] == sorted(ids)


@pytest.mark.usefixtures("small_spool")
def test_a_long_list_needs_no_folder_for_temporary_files(
    database: Database, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(database, superuser)

    def no_folder() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    lines = spool.Spool()
    with monkeypatch.context() as patch:
        patch.setattr("tempfile._get_default_tempdir", no_folder)
        patch.setattr("tempfile.tempdir", None)
        lines.fill(sorted(ids))
        assert "".join(lines.chunks()).split() == sorted(ids)


@pytest.mark.usefixtures("small_spool")
def test_what_no_encoding_holds_is_spooled_all_the_same() -> None:
    with spool.Spool() as lines:
        lines.fill(["\ud800" * 2000])
        assert "".join(lines.chunks()) == "\ud800" * 2000 + "\n"


def test_a_long_table_is_fitted_as_a_whole(site: Site, database: Database, superuser: str) -> None:
    fill(database, superuser)
    database.rows("UPDATE apikey SET name = '日本' || name WHERE name = 'key 1202'")
    text = run_at_terminal(site, "api-key", "list").text
    assert text.count("NAME") == 1
    assert len(text.splitlines()) == MANY + 3
    assert all(f"key {n}\n" in text for n in (0, 999, 1000, MANY - 1))


# Progress of decryption on a terminal


@pytest.mark.parametrize("ref", ["sk-zzzzz", "-"])
def test_a_search_that_decrypts_every_key_shows_its_progress(
    site_of: Callable[[str], Site], ref: str
) -> None:
    from ..support.terminals import Terminal

    site = site_of("1.8")
    owner = site.database.add_user("alice")
    fill(site.database, owner)
    site.database.add_key(owner)
    site.settings["LANGFLOW_CONFIG_DIR"] = str(site.folder)
    with Terminal(site, "api-key", "show", ref) as terminal:
        if ref == "-":
            terminal.expect("API key")
            terminal.send("sk-" + "z" * 43 + "\n")
        terminal.finish(3)
    assert "decrypting API keys" in terminal.text


def test_a_search_by_id_or_name_shows_none(site: Site, database: Database, superuser: str) -> None:
    fill(database, superuser)
    assert "decrypting" not in run_at_terminal(site, "api-key", "show", "key 7").text


# secret-key check


@pytest.mark.usefixtures("small_spool")
def test_checking_many_values_is_one_document(
    call: Call, database: Database, superuser: str
) -> None:
    call("api-key", "create", "--count", "700").done()
    checked = call("secret-key", "check", "--json").done().json()
    assert list(checked) == ["ok", "database", "keys", "values"]
    assert checked["ok"] is True
    assert checked["keys"][0]["opens"] == len(checked["values"]) == 700
    assert len(call("secret-key", "check").done().rows) == 700


def test_checking_nothing_is_one_document_too(call: Call) -> None:
    checked = call("secret-key", "check", "--json").done().json()
    assert (checked["ok"], checked["values"]) == (True, [])
