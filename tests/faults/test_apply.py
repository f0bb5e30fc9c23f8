"""apply is killed at each step and at random moments, or runs several times in parallel."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from ..support.databases import ago, stored
from ..support.manifests import Declared, new_key
from ..support.samples import hash_of
from ..support.sites import Site

STEPS = (
    "apply-staged", "apply-password", "before-commit", "apply-committed", "apply-proved",
    "apply-file", "apply-delivered", "apply-ended",
)  # fmt: skip

MANIFEST = """
users:
  ci:
    password_to: {file: out/password}
    api_keys:
      app: {renew_after: 90d, write_to: {file: out/key}}
      graced: {expires: 90d, renew_before: 14d, grace: 1h, write_to: {file: out/graced}}
      partner: {value_from: {file: partner}}
      gone: {state: absent}
    variables:
      TOKEN: {value_from: {file: token}}
"""


@pytest.fixture
def declared(site: Site) -> Declared:
    """A site on which the manifest has been applied, and all of it is due to change again."""
    found = Declared(site)
    site.settings["LANGKEYS_AUDIT_LOG"] = str(site.folder / "audit.jsonl")
    found.write(MANIFEST, partner=new_key(), token="one")
    return found


def make_due(found: Declared) -> None:
    """Change the site so that every part of the manifest has something to do again."""
    rows = found.database.rows
    rows(
        "UPDATE apikey SET created_at = ? WHERE name IN ('app', 'graced')",
        (stored(ago(days=91)),),
    )
    rows("UPDATE apikey SET expires_at = ? WHERE name = 'graced'", (stored(ago(days=-5)),))
    rows("UPDATE apikey SET created_at = ? WHERE name = 'partner'", (stored(ago(days=5)),))
    (ci,) = rows("SELECT id FROM user WHERE username = 'ci'")[0]
    found.database.add_key(ci, "gone")
    (found.site.folder / "partner").write_text(new_key())
    (found.site.folder / "token").write_text("two")


def working(found: Declared, name: str) -> list[str]:
    return [
        row[0]
        for row in found.database.rows(
            "SELECT api_key_hash FROM apikey WHERE name = ? AND is_active"
            " AND (expires_at IS NULL OR expires_at > ?)",
            (name, stored(ago())),
        )
    ]


def assert_declared(found: Declared, *, graced: int) -> None:
    """Assert that the next run ends in the declared state, with no key lost or duplicated."""
    if found.database.path.exists():  # not on a server
        with closing(sqlite3.connect(found.database.path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found.site.run("apply", "-f", "m.yaml", "--yes").done()
    found.assert_up_to_date()
    found.assert_only_key("app", "ci")
    assert hash_of(found.out("graced")) in working(found, "graced")
    assert len(working(found, "graced")) == graced
    assert working(found, "partner") == [hash_of((found.site.folder / "partner").read_text())]
    assert working(found, "gone") == []
    login = {
        "LANGFLOW_AUTO_LOGIN": "false",
        "LANGFLOW_SUPERUSER": "ci",
        "LANGFLOW_SUPERUSER_PASSWORD": found.out("password"),
    }
    found.site.call("whoami", **login).done()


@pytest.mark.every_engine
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.sample(3)
def test_a_first_run_that_dies_at_a_step_is_completed_by_the_next(
    declared: Declared, step: str
) -> None:
    run = declared.site.run
    died = run("apply", "-f", "m.yaml", "--yes", LANGKEYS_FAILPOINT=step)
    assert died.code == -9
    assert_declared(declared, graced=1)


@pytest.mark.every_engine
@pytest.mark.parametrize("step", [step for step in STEPS if step != "apply-password"])
@pytest.mark.sample(4)
def test_a_renewal_that_dies_at_a_step_is_completed_by_the_next(
    declared: Declared, step: str
) -> None:
    declared.apply().done()
    make_due(declared)
    before = {name: declared.out(name) for name in ("key", "graced")}
    died = declared.site.run("apply", "-f", "m.yaml", "--yes", LANGKEYS_FAILPOINT=step)
    assert died.code == -9
    # The keys in the files work at any time.
    for name in ("key", "graced"):
        declared.assert_accepted(declared.out(name), "ci")
    assert_declared(declared, graced=2)
    assert all(declared.out(name) != before[name] for name in before)


@pytest.mark.parametrize("step", ["apply-file=error", "before-commit=error"])
def test_a_run_that_fails_is_completed_by_the_next(declared: Declared, step: str) -> None:
    declared.apply().done()
    make_due(declared)
    failed = declared.site.run("apply", "-f", "m.yaml", "--yes", LANGKEYS_FAILPOINT=step)
    assert failed.code != 0
    assert failed.stdout == ""
    assert_declared(declared, graced=2)


def test_a_file_that_cannot_be_written_is_found_out_before_anything_is_stored(
    declared: Declared,
) -> None:
    shutil.rmtree(declared.site.folder / "out")
    before = declared.database.content()
    declared.apply().failed(1, "cannot write")
    assert declared.database.content() == before


def test_random_kills_leave_what_the_next_run_completes(
    declared: Declared, command_kills: int
) -> None:
    chance = random.Random(7)
    duration = 0.0
    landed = {"before its commit": 0, "at its commit or after": 0, "after it had ended": 0}
    declared.apply().done()
    log = declared.site.folder / "audit.jsonl"
    for number in range(command_kills + 1):
        make_due(declared)
        log.unlink(missing_ok=True)
        start = time.monotonic()
        with declared.site.spawn(
            "apply", "-f", "m.yaml", "--yes", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            if number == 0:
                assert process.wait() == 0
                duration = time.monotonic() - start
                continue
            if number % 2:
                while process.poll() is None and not log.exists():
                    time.sleep(0.0005)
                time.sleep(chance.uniform(0, 0.05))
            else:
                time.sleep(duration * chance.uniform(0.3, 1))
            process.kill()
        if process.returncode == 0:
            landed["after it had ended"] += 1
        else:
            landed["at its commit or after" if log.exists() else "before its commit"] += 1
        for name in ("key", "graced"):
            declared.assert_accepted(declared.out(name), "ci")
        declared.site.call("apply", "-f", "m.yaml", "--yes").done()
        declared.assert_up_to_date()
        declared.assert_only_key("app", "ci")
        assert len(working(declared, "partner")) == 1
        declared.database.rows(
            "DELETE FROM apikey WHERE name = 'graced' AND expires_at < ?", (stored(ago(days=-2)),)
        )
    print(f"\napply: {command_kills} kills", landed)  # noqa: T201 - for -s


@pytest.mark.every_engine
@pytest.mark.parametrize("count", [2, 10])
def test_several_runs_at_once_make_one_row_and_none_fails(declared: Declared, count: int) -> None:
    def all_at_once() -> None:
        processes = [
            declared.site.spawn("apply", "-f", "m.yaml", "--yes", "--quiet") for _ in range(count)
        ]
        for process in processes:
            with process:
                out, err = process.communicate(timeout=120)
            assert process.returncode == 0, (out, err)

    all_at_once()
    assert declared.database.rows("SELECT count(*) FROM user WHERE username = 'ci'") == [(1,)]
    doubled = "SELECT name FROM {} GROUP BY user_id, name HAVING count(*) > 1"
    for table in ("apikey", "variable"):
        assert declared.database.rows(doubled.format(table)) == []
    assert_declared(declared, graced=1)
    make_due(declared)
    all_at_once()
    assert_declared(declared, graced=2)


def test_two_runs_with_folders_of_their_own_deliver_one_key(
    declared: Declared, tmp_path: Path
) -> None:
    texts = []
    for number in range(2):
        folder = tmp_path / f"volume{number}"
        folder.mkdir()
        keys = f"{{app: {{write_to: {{file: {folder}/key}}}}}}"
        text = f"version: 1\nusers: {{administrator: {{api_keys: {keys}}}}}\n"
        (declared.site.folder / f"{number}.yaml").write_text(text)
    processes = [declared.site.spawn("apply", "-f", f"{n}.yaml", "--yes") for n in range(2)]
    for process in processes:
        with process:
            _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    texts = [(tmp_path / f"volume{number}" / "key").read_text() for number in range(2)]
    assert texts[0] == texts[1]
    assert [found[1] for found in declared.keys("app")] == [hash_of(texts[0])]
