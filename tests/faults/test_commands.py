"""Every other command that writes: killed, on a full disk, and many in parallel."""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..support import databases, vault
from ..support.samples import SECRET_KEY, encrypted
from ..support.sites import Site
from ..support.vault import Vault


@dataclass(frozen=True)
class Write:
    """A command, and by how many rows it may change the size of a table."""

    arguments: tuple[str, ...]
    table: str = "apikey"
    difference: tuple[int, ...] = (0,)
    stdin: str = ""


WRITES = (
    Write(("api-key", "create", "--count", "50"), difference=(0, 50)),
    Write(("api-key", "revoke", "a", "b", "c", "--yes"), difference=(0, -3)),
    Write(("api-key", "prune", "--older-than", "1d", "--yes"), difference=(0, -20)),
    # New keys are created before the old ones are revoked: at least one of both always works.
    Write(("api-key", "rotate", "a", "b", "--yes"), difference=(0, 2)),
    Write(("api-key", "ensure", "app", "--value-file", "key"), difference=(0, 1)),
    Write(("api-key", "update", "a", "--name", "z")),
    Write(("api-key", "deactivate", "a")),
    Write(
        (
            "api-key",
            "migrate",
        )
    ),
    Write(("variable", "set", "NEW", "--value-file", "-"), "variable", (0, 1), "value"),
    Write(("variable", "import", "in.env", "--only", "A", "--only", "B"), "variable", (0, 2)),
    Write(("variable", "delete", "V1", "V2", "--yes"), "variable", (0, -2)),
    Write(("user", "create", "alice", "--random"), '"user"', (0, 1)),
)
NAMES = [write.arguments[0] + " " + write.arguments[1] for write in WRITES]


def create_vault(site: Site, owner: str) -> Vault:
    original = vault.create(site, owner)
    rows = original.site.database.rows
    ids = [row[0] for row in rows("SELECT id FROM apikey ORDER BY rowid")]
    for name, key_id in zip("abc", ids, strict=False):
        rows("UPDATE apikey SET name = ? WHERE id = ?", (name, key_id))
    for row_id in ids:
        plain = f"sk-{row_id}"
        rows(
            "UPDATE apikey SET api_key = ?, api_key_hash = ? WHERE id = ?",
            (encrypted(plain), databases.hash_of(plain), row_id),
        )
    rows("UPDATE apikey SET api_key_hash = NULL WHERE name = 'c'")
    (site.folder / "in.env").write_text("A=1\nB=2\nC=3\n")
    site.settings["LANGKEYS_AUDIT_LOG"] = str(site.folder / "audit.jsonl")
    return original


def size(found: Vault, table: str) -> int:
    return int(found.site.database.rows(f"SELECT count(*) FROM {table}")[0][0])


def assert_sound(found: Vault, write: Write, before: int) -> None:
    """Assert that all or nothing was done, and that everything can be decrypted and still works."""
    with closing(sqlite3.connect(found.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert size(found, write.table) - before in write.difference
    checked = found.site.call("secret-key", "check").done()
    assert all(row[5] for row in checked.rows)
    assert found.key_file.read_text() == SECRET_KEY
    log = found.site.folder / "audit.jsonl"
    if log.exists():
        for line in log.read_text().splitlines():
            json.loads(line)
    assert found.site.run(*write.arguments, stdin=write.stdin).code in (0, 3, 5)


@pytest.mark.parametrize("write", WRITES, ids=NAMES)
@pytest.mark.sample(1)
def test_a_command_that_is_killed_has_done_all_or_nothing(
    site: Site, superuser: str, tmp_path: Path, write: Write, command_kills: int
) -> None:
    original = create_vault(site, superuser)
    before = size(original, write.table)
    chance = random.Random(4)
    landed = {"before its commit": 0, "at its commit or after": 0, "after it had ended": 0}
    duration = 0.0
    for number in range(command_kills + 1):
        found = vault.copied(original, tmp_path / "copy")
        log = found.site.folder / "audit.jsonl"
        start = time.monotonic()
        with found.site.spawn(*write.arguments, stdout=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            process.stdin.write(write.stdin.encode())
            process.stdin.close()
            if number == 0:
                assert process.wait() == 0, process.stderr and process.stderr.read()
                duration = time.monotonic() - start
                continue
            # Half of the processes are killed near the commit, which comes after its audit line.
            if number % 2:
                while process.poll() is None and not log.exists():
                    time.sleep(0.0005)
                time.sleep(chance.uniform(0, 0.02))
            else:
                time.sleep(duration * chance.uniform(0.5, 1))
            process.kill()
        if process.returncode == 0:
            landed["after it had ended"] += 1
        else:
            landed["at its commit or after" if log.exists() else "before its commit"] += 1
        assert_sound(found, write, before)
    print(f"\n{' '.join(write.arguments[:2])}: {command_kills} kills", landed)  # noqa: T201 - for -s


@pytest.mark.parametrize("write", WRITES, ids=NAMES)
@pytest.mark.parametrize("place", ["before-commit=error", "before-commit"])
@pytest.mark.sample(4)
def test_a_command_that_fails_at_its_commit_has_done_nothing(
    site: Site, superuser: str, write: Write, place: str
) -> None:
    found = create_vault(site, superuser)
    before = found.site.database.content()
    failed = found.site.run(*write.arguments, stdin=write.stdin, LANGKEYS_FAILPOINT=place)
    assert failed.code != 0
    assert found.site.database.content() == before


@pytest.mark.parametrize("write", WRITES, ids=NAMES)
@pytest.mark.sample(2)
def test_a_command_on_a_full_disk_has_done_nothing_or_all(
    site: Site, superuser: str, tmp_path: Path, write: Write
) -> None:
    original = create_vault(site, superuser)
    before = size(original, write.table)
    for limit in (100, 5000):
        found = vault.copied(original, tmp_path / "copy")
        process = found.site.spawn(
            *write.arguments,
            preexec_fn=lambda limit=limit: resource.setrlimit(
                resource.RLIMIT_FSIZE, (limit, limit)
            ),
        )
        with process:
            _, err = process.communicate(write.stdin.encode(), timeout=60)
        assert b"Traceback" not in err, err
        assert_sound(found, write, before)


def test_eight_processes_that_write_lose_nothing(site: Site, superuser: str, writes: int) -> None:
    found = create_vault(site, superuser)
    program = (
        "import sys, os; sys.stdout = open(os.devnull, 'w'); from langkeys.cli import main\n"
        "n, count = int(sys.argv[1]), int(sys.argv[2])\n"
        "for i in range(count):\n"
        "    code = main(['-q', 'api-key', 'create', '--name', f'{n}-{i}'])\n"
        "    assert code == 0, code\n"
    )
    import sys

    start = time.monotonic()
    processes = [
        found.site.spawn(str(n), str(writes), command=(sys.executable, "-c", program))
        for n in range(8)
    ]
    for process in processes:
        with process:
            _, err = process.communicate(timeout=600)
        assert (process.returncode, err) == (0, b"")
    rate = 8 * writes / (time.monotonic() - start)
    print(f"\n8 processes of {writes} writes: {rate:.0f} writes a second")  # noqa: T201 - for -s
    names = {row[0] for row in found.site.database.rows("SELECT name FROM apikey")}
    assert {f"{n}-{i}" for n in range(8) for i in range(writes)} <= names
    lines = (found.site.folder / "audit.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 8 * writes


def test_init_that_is_killed_is_completed_by_the_next(empty_site: Site, command_kills: int) -> None:
    chance = random.Random(5)
    for number in range(command_kills):
        folder = empty_site.folder / str(number)
        folder.mkdir()
        site = Site(folder, {"LANGFLOW_CONFIG_DIR": str(folder / "config")})
        with site.spawn("init") as process:
            time.sleep(chance.uniform(0.1, 0.8))
            process.kill()
        site.run("init").done()
        site.run("api-key").done()


@pytest.fixture
def damaged(site: Site, superuser: str) -> Callable[[int, bytes], Vault]:
    def make(offset: int, data: bytes) -> Vault:
        found = vault.create(site, superuser, keys=200, wal=False)
        with found.database.open("r+b") as file:
            file.seek(offset)
            file.write(data)
        return found

    return make


@pytest.mark.parametrize("offset", [0, 16, 100, 5000, 9000, 40000])
@pytest.mark.sample(3)
def test_a_damaged_database_is_a_clear_error_or_none(
    damaged: Callable[[int, bytes], Vault], offset: int
) -> None:
    found = damaged(offset, b"\xa5" * 600)
    digest = found.site.database.digest()
    done = found.site.call("secret-key", "rotate", "--yes")
    if done.code:
        assert done.code in (1, 2, 4, 6, 7)
        assert found.site.database.digest() == digest
        assert found.key_file.read_text() == SECRET_KEY


@pytest.mark.parametrize("part", [0, 100, 4096, 20000])
@pytest.mark.sample(2)
def test_a_truncated_database_is_a_clear_error(site: Site, superuser: str, part: int) -> None:
    found = vault.create(site, superuser, keys=200, wal=False)
    found.database.write_bytes(found.database.read_bytes()[:part])
    for arguments in (
        ("secret-key", "rotate", "--yes"), ("api-key", "create"), ("backup", "copy.db"),
        ("secret-key", "check"),
    ):  # fmt: skip
        found.site.call(*arguments).failed(6)
    assert found.key_file.read_text() == SECRET_KEY
