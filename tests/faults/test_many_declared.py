"""A manifest with very many users and variables is planned and applied in little memory."""

from __future__ import annotations

import sqlite3
import sys
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from ..support.manifests import Declared
from ..support.samples import password_hash
from ..support.sites import Site

VARIABLES = 5

# Runs langkeys, and prints its CPU time and peak memory as the last line of stderr.
_PROGRAM = """
import resource, sys, time
from langkeys.cli import main
start = time.process_time()
code = main()
seconds = time.process_time() - start
kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stderr.write(f"{seconds} {kilobytes // 1024}\\n")
sys.exit(code)
"""


def declare(site: Site, users: int) -> Declared:
    declared = Declared(site)
    moment = "2026-01-01 00:00:00.000000"
    with closing(sqlite3.connect(Path(site.database.path))) as connection, connection:
        connection.executemany(
            "INSERT INTO user (id, username, password, is_active, is_superuser, create_at,"
            " updated_at) VALUES (?, ?, ?, 1, 0, ?, ?)",
            (
                (uuid.uuid4().hex, f"u{number}", password_hash(), moment, moment)
                for number in range(users)
            ),
        )
    one = "".join(f"      V{n}: {{value_from: {{file: secret}}}}\n" for n in range(VARIABLES))
    text = "".join(
        f"  u{number}:\n    is_active: true\n    variables:\n{one}" for number in range(users)
    )
    declared.write(f"users:\n{text}", secret="s3cret")
    return declared


def measured(declared: Declared, *arguments: str) -> tuple[float, int, int]:
    """Return seconds of CPU, the peak memory in megabytes, and the number of changes."""
    command = (sys.executable, "-c", _PROGRAM)
    result = declared.site.run(*arguments, "-f", "m.yaml", command=command).done()
    seconds, megabytes = result.stderr.splitlines()[-1].split()
    return float(seconds), int(megabytes), len(result.lines)


@pytest.mark.sample(0)
def test_2000_users_and_10000_variables(site: Site) -> None:
    declared = declare(site, 2000)
    for arguments, changes in (
        (("plan",), 10_000), (("apply", "--yes"), 10_000), (("plan",), 0),
    ):  # fmt: skip
        seconds, megabytes, found = measured(declared, *arguments)
        assert found == changes
        # On an idle machine: 2 seconds and 75 MB. A small command needs 36 MB.
        assert seconds < 6, arguments
        assert megabytes < 120, arguments
    rows = declared.database.rows("SELECT count(*), count(DISTINCT user_id) FROM variable")
    assert rows == [(10_000, 2000)]
    log = declared.site.folder / "config" / "langkeys-audit.jsonl"
    assert not log.exists() or log.stat().st_size < 10_000_000
