"""A rotation of the secret key is killed, at every step and at any moment."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from ..support import vault
from ..support.databases import Database
from ..support.samples import SECRET_KEY
from ..support.sites import Site
from ..support.vault import Vault

ROTATE = ("secret-key", "rotate", "--yes", "--quiet")
BEFORE = (
    "backed-up", "rewriting", "before-reading-back", "rewritten", "journal-written",
    "key-staged", "before-commit",
)  # fmt: skip
AFTER = ("committed", "renamed", "journal-removed")


@pytest.fixture
def filled(site: Site, superuser: str, database: Database) -> Vault:
    return vault.create(site, superuser)


RECOVER = ("api-key", "migrate")
"""A command that writes, so that it recovers a rotation, but changes nothing else here."""


def assert_only_reported(found: Vault, *, is_unfinished: bool) -> None:
    """Assert that commands that only read report the unfinished rotation, and change nothing."""
    folder = found.site.folder

    def content() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.endswith((".db", "-wal", "-shm"))
        }

    before = content()
    for line in (("api-key", "list"), ("whoami",), ("secret-key", "check"), ("doctor",)):
        result = found.site.call(*line)
        assert result.code in (0, 1 if line[0] == "doctor" else 7), result
        said = result.stdout if line[0] == "doctor" else result.stderr
        assert ("is unfinished" in said) == is_unfinished
    assert content() == before


@pytest.mark.sample(len(BEFORE) + len(AFTER))
@pytest.mark.parametrize("step", [*BEFORE, *AFTER])
@pytest.mark.parametrize("wal", [True, False], ids=["wal", "delete"])
def test_a_rotation_killed_at_a_step_is_completed_or_undone_by_the_next_command(
    site: Site, superuser: str, tmp_path: Path, step: str, wal: bool, each: int
) -> None:
    original = vault.create(site, superuser, wal=wal)
    for _ in range(each):
        found = vault.copied(original, tmp_path / "copy")
        killed = found.site.run(*ROTATE, LANGKEYS_FAILPOINT=step)
        assert killed.code == -9
        is_unfinished = step in ("journal-written", "key-staged", *BEFORE[-1:], *AFTER[:2])
        assert_only_reported(found, is_unfinished=is_unfinished)
        said = found.site.call(*RECOVER).done()
        key = found.assert_whole()
        assert (key == SECRET_KEY) is (step in BEFORE)
        assert ("was interrupted" in said.stderr) == is_unfinished
        found.site.call("secret-key", "check").done()
        found.site.call(*ROTATE).done()
        assert found.assert_whole() != key


@pytest.mark.parametrize("step", [*AFTER, *BEFORE])
@pytest.mark.sample(4)
def test_a_rotation_that_a_disk_fails_at_a_step_leaves_one_key_for_all(
    filled: Vault, step: str
) -> None:
    # A failure within SQLite has the exit code of the database.
    code = 6 if step == "before-commit" else 1
    failed = filled.site.run(*ROTATE, LANGKEYS_FAILPOINT=f"{step}=error")
    failed.failed(code, "Input/output error")
    key = filled.assert_whole()
    assert (key == SECRET_KEY) is (step in BEFORE)


def wait_for_writing(found: Vault, process: subprocess.Popen[bytes]) -> float:
    """Wait for the first file of a rotation, its backup; return the time."""
    while process.poll() is None:
        if any(found.site.folder.glob("*.backup-*")) or any(found.site.folder.glob(".*.backup-*")):
            break
        time.sleep(0.001)
    return time.monotonic()


def test_a_rotation_killed_at_any_moment_leaves_one_key_for_all(
    site: Site, superuser: str, tmp_path: Path, kills: int
) -> None:
    original = vault.create(site, superuser, keys=300)
    chance = random.Random(20261123)
    landed = {"undone": 0, "completed": 0, "after it had ended": 0}
    window = 0.0
    for number in range(kills + 1):
        found = vault.copied(original, tmp_path / "copy")
        with found.site.spawn(*ROTATE, stdout=subprocess.DEVNULL) as process:
            start = wait_for_writing(found, process)
            if number == 0:  # not killed: measures how long it writes
                assert process.wait() == 0
                window = time.monotonic() - start
                continue
            time.sleep(window * chance.uniform(0, 1))
            process.kill()
        found.site.call(*RECOVER).done()
        is_old = found.key_file.read_text() == SECRET_KEY
        for path in found.site.folder.glob(".langflow.db.*.tmp*"):
            path.unlink()  # an incomplete copy or journal, which the next rotation would remove
        found.assert_whole()
        if process.returncode == 0:
            landed["after it had ended"] += 1
        else:
            assert process.returncode == -9
            landed["undone" if is_old else "completed"] += 1
    print(f"\n{kills} kills within the {window:.2f} s in which it writes:", landed)  # noqa: T201 - for -s
    assert sum(landed.values()) == kills
