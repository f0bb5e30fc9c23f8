"""The audit trail: its content, when it is written, and what happens if it cannot be."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .support import vault
from .support.databases import Database, SampleKey
from .support.samples import assert_no_secret, hash_of, new_api_key
from .support.sites import Result, Site

Call = Callable[..., Result]


@pytest.fixture
def log(site: Site) -> Path:
    """The audit log, at a path set by LANGKEYS_AUDIT_LOG."""
    path = site.folder / "audit.jsonl"
    site.settings["LANGKEYS_AUDIT_LOG"] = str(path)
    return path


@pytest.fixture
def key(database: Database, superuser: str) -> SampleKey:
    return database.add_key(superuser, "ci")


def lines(log: Path) -> list[dict[str, Any]]:
    text = log.read_text()
    assert_no_secret(text)
    return [json.loads(line) for line in text.splitlines()]


def test_a_write_is_one_line_that_says_who_what_how_and_why(
    call: Call, log: Path, site: Site
) -> None:
    made = call("api-key", "create", "--name", "ci", "--reason", "for the build", "--json").done()
    (line,) = lines(log)
    (key,) = [made.json()] if isinstance(made.json(), dict) else made.json()
    assert line["outcome"] == "done"
    assert line["command"] == "api-key create"
    assert line["user"] == "administrator"
    assert line["authenticated_by"] == "auto login"
    assert line["reason"] == "for the build"
    assert line["database"] == str(site.folder / site.path)
    assert line["time"].endswith("Z")
    (change,) = line["changes"]
    assert (change["action"], change["kind"]) == ("insert", "api_key")
    assert (change["id"], change["name"]) == (key["id"], "ci")


def test_a_revoked_key_is_known_by_its_sha_256(call: Call, log: Path, key: SampleKey) -> None:
    call("--reason", "leaked", "api-key", "revoke", "ci", "--yes").done()
    (line,) = lines(log)
    assert line["changes"][0]["action"] == "delete"
    assert line["changes"][0]["sha256"] == hash_of(key.plaintext)
    assert line["reason"] == "leaked"


def test_a_revoked_row_without_a_key_has_no_sha_256(
    call: Call, log: Path, database: Database, key: SampleKey
) -> None:
    database.rows("UPDATE apikey SET api_key = '', api_key_hash = NULL")
    call("api-key", "revoke", "ci", "--yes").done()
    (line,) = lines(log)
    assert line["changes"][0]["sha256"] is None


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.13"])
def test_a_revoked_key_is_known_whatever_the_generation_stores(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    owner = site.database.rows("SELECT id FROM user WHERE username = 'administrator'")[0][0]
    key = site.database.add_key(owner, "ci")
    log = site.folder / "log.jsonl"
    site.call("api-key", "revoke", "ci", "--yes", LANGKEYS_AUDIT_LOG=str(log)).done()
    assert lines(log)[0]["changes"][0]["sha256"] == hash_of(key.plaintext)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("api-key", "revoke", "nothing", "--yes"), "not_found"),
        (("api-key", "revoke", "ci"), "usage"),
    ],
)
def test_a_refused_attempt_is_one_line(
    call: Call, log: Path, key: SampleKey, arguments: tuple[str, ...], code: str
) -> None:
    assert call(*arguments).code != 0
    (line,) = lines(log)
    assert (line["outcome"], line["error"]) == ("refused", code)
    assert line["user"] == "administrator"


def test_who_could_not_say_who_they_are_is_written_down_as_nobody(call: Call, log: Path) -> None:
    settings = {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": "wrong"}
    call("api-key", "create", **settings).failed(4)
    (line,) = lines(log)
    assert (line["outcome"], line["error"], line["user"]) == ("refused", "unauthenticated", None)


def test_reading_and_dry_runs_leave_no_line(call: Call, log: Path, key: SampleKey) -> None:
    call("api-key", "list").done()
    call("api-key", "revoke", "ci", "--dry-run").done()
    call("api-key", "prune", "--expired", "--yes").done()
    assert not log.exists() or lines(log) == []


def test_a_write_is_refused_where_a_log_that_is_named_cannot_be_written(
    call: Call, site: Site, database: Database, key: SampleKey
) -> None:
    named = str(site.folder / "missing" / "log.jsonl")
    refused = call("api-key", "revoke", "ci", "--yes", LANGKEYS_AUDIT_LOG=named)
    refused.failed(1, named, "nothing was written")
    assert database.key_ids() == [key.id]
    call("api-key", "revoke", "ci", "--yes", LANGKEYS_AUDIT_LOG=str(site.folder)).failed(1)
    assert database.key_ids() == [key.id]


def test_a_write_is_done_with_a_warning_where_the_default_log_cannot_be_written(
    call: Call, site: Site, database: Database, key: SampleKey
) -> None:
    file = site.folder / "file"
    file.write_text("")
    done = call("api-key", "revoke", "ci", "--yes", LANGFLOW_CONFIG_DIR=str(file / "config"))
    assert "warning: cannot write the audit log" in done.done().stderr
    assert database.key_ids() == []


def test_the_default_log_is_in_the_config_folder(call: Call, site: Site) -> None:
    call("api-key", "create", LANGFLOW_CONFIG_DIR=str(site.folder / "config")).done()
    assert len(lines(site.folder / "config" / "langkeys-audit.jsonl")) == 1


def test_off_turns_it_off(call: Call, site: Site) -> None:
    call("api-key", "create", LANGKEYS_AUDIT_LOG="OFF").done()
    assert not list(site.folder.rglob("*.jsonl"))
    call("audit", LANGKEYS_AUDIT_LOG="off").failed(2, "LANGKEYS_AUDIT_LOG")


def test_the_log_is_0600_from_its_creation(site: Site, log: Path) -> None:
    site.run("api-key", "create", umask=0).done()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_commit_that_fails_adds_a_line_that_says_so(
    site: Site, log: Path, key: SampleKey, database: Database
) -> None:
    failed = site.run("api-key", "revoke", "ci", "--yes", LANGKEYS_FAILPOINT="before-commit=error")
    assert failed.code != 0
    done, after = lines(log)[:2]
    assert (done["outcome"], after["outcome"]) == ("done", "failed")
    assert after["of"] == done["id"]
    assert database.key_ids() == [key.id]


def test_what_fails_after_a_write_was_not_refused(
    call: Call, log: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        (site.folder / "key").write_text("somebody else's")

    monkeypatch.setattr("langkeys.api_keys.lifecycle.check_stored", fill)
    call("api-key", "create", "--write-to", "key").failed(5)
    made, undone, failed = lines(log)
    assert [line["changes"][0]["action"] for line in (made, undone)] == ["insert", "delete"]
    assert (failed["outcome"], failed["error"]) == ("failed", "conflict")


def test_a_line_comes_before_its_commit(
    site: Site, log: Path, key: SampleKey, database: Database
) -> None:
    killed = site.run("api-key", "revoke", "ci", "--yes", LANGKEYS_FAILPOINT="before-commit")
    assert killed.code == -9
    assert [line["outcome"] for line in lines(log)] == ["done"]
    assert database.key_ids() == [key.id]


def test_ensure_does_not_bring_back_a_key_that_was_revoked(
    call: Call, site: Site, log: Path
) -> None:
    file = site.folder / "key"
    ensure = ("api-key", "ensure", "app", "--value-file", str(file))
    call(*ensure).done()
    call("api-key", "revoke", "app", "--yes").done()
    call(*ensure).failed(5, "according to the audit trail")
    file.unlink()
    call(*ensure).done()


def test_where_the_log_cannot_be_read_ensure_warns_unless_a_setting_names_it(
    call: Call, site: Site, database: Database
) -> None:
    (log := site.folder / "config" / "langkeys-audit.jsonl").mkdir(parents=True)
    (site.folder / "key").write_text(new_api_key())
    ensure = ("api-key", "ensure", "app", "--value-file", "key")
    call(*ensure, LANGKEYS_AUDIT_LOG=str(log)).failed(1, f"cannot read the audit log {log}: ")
    assert database.key_ids() == []
    done = call(*ensure, LANGFLOW_CONFIG_DIR=str(log.parent)).done()
    said = "langkeys cannot see from it whether the key was revoked before"
    assert f"warning: cannot read the audit log {log}: Is a directory: {said}" in done.stderr
    assert len(database.key_ids()) == 1


def test_ensure_knows_a_revocation_whose_commit_failed_for_none(
    call: Call, site: Site, log: Path, database: Database
) -> None:
    file = site.folder / "key"
    ensure = ("api-key", "ensure", "app", "--value-file", str(file))
    call(*ensure).done()
    site.run("api-key", "revoke", "app", "--yes", LANGKEYS_FAILPOINT="before-commit=error")
    database.rows("DELETE FROM apikey")
    call(*ensure).done()


def test_lines_that_are_none_are_skipped_with_a_warning(call: Call, log: Path) -> None:
    call("api-key", "create", "--name", "one").done()
    with log.open("a") as file:
        file.write('nonsense\n[1]\n{"time": "never"}\n{"outcome": "done", "ti')
    call("api-key", "create", "--name", "two").done()
    shown = call("audit", "--json").done()
    assert [line["changes"][0]["name"] for line in shown.json()] == ["one", "two"]
    assert "skipped 4 lines" in shown.stderr


def test_since_leaves_out_what_is_older(call: Call, log: Path) -> None:
    call("api-key", "create").done()
    old = lines(log)[0] | {"time": "2020-01-01T00:00:00Z"}
    log.write_text(json.dumps(old) + "\n" + log.read_text())
    assert len(call("audit", "--json").json()) == 2
    assert len(call("audit", "--since", "1h", "--json").json()) == 1
    assert len(call("audit", "--since", "2021-01-01").lines) == 1
    call("audit", "--since", "yesterday").failed(2, "--since")


def test_no_log_yet_is_an_empty_answer(call: Call, log: Path) -> None:
    assert call("audit", "--json").done().json() == []


def test_names_cannot_break_a_line(call: Call, log: Path, superuser: str) -> None:
    with closing(sqlite3.connect(log.parent / "langflow.db")) as connection, connection:
        connection.execute("UPDATE user SET username = 'adminis' || char(10) || 'trator'")
    call("api-key", "create", LANGFLOW_SUPERUSER="adminis\ntrator").done()
    (line,) = lines(log)
    assert line["user"] == "adminis\ntrator"
    (row,) = call("audit").rows
    assert row[3] == "adminis\\ntrator"


def test_lines_of_many_at_once_are_all_there_and_whole(site: Site, log: Path) -> None:
    processes = [site.spawn("api-key", "create", "--name", f"n{n}") for n in range(8)]
    threads = [threading.Thread(target=process.communicate) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = sorted(line["changes"][0]["name"] for line in lines(log))
    assert names == sorted(f"n{n}" for n in range(8))


def test_init_writes_what_it_has_made(empty_site: Site) -> None:
    log = empty_site.folder / "log.jsonl"
    empty_site.run("init", "--reason", "new", LANGKEYS_AUDIT_LOG=str(log)).done()
    (line,) = lines(log)
    assert line["command"] == "init"
    assert line["reason"] == "new"
    assert {change["kind"] for change in line["changes"]} == {"file", "user"}


@pytest.mark.parametrize(
    ("arguments", "stdin", "kind"),
    [
        (("user", "create", "alice", "--random"), "", "user"),
        (("user", "create", "bob", "--password-file", "-"), "a long pass phrase", "user"),
        (("variable", "set", "TOKEN", "--value-file", "-"), "value of a variable", "variable"),
    ],
)
def test_users_and_variables_are_written_down_and_their_secrets_are_not(
    call: Call, log: Path, arguments: tuple[str, ...], stdin: str, kind: str
) -> None:
    done = call(*arguments, stdin=stdin).done()
    (line,) = lines(log)
    assert [change["kind"] for change in line["changes"]] == [kind]
    assert not stdin or stdin not in log.read_text()
    assert not (done.stdout.strip() and done.stdout.strip() in log.read_text()) or kind != "user"


def test_settling_a_rotation_that_died_is_written_down(
    site: Site, superuser: str, log: Path
) -> None:
    filled = vault.create(site, superuser)
    site.run("secret-key", "rotate", "--yes", LANGKEYS_FAILPOINT="committed")
    site.call("api-key", "migrate").done()
    filled.assert_whole()
    assert [line["changes"][0]["action"] for line in lines(log)] == ["rotate", "settle"]
    assert {line["database"] for line in lines(log)} == {str(filled.database)}
