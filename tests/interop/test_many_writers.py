"""Many langkeys processes write while a server authenticates requests."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid

import pytest

from .database import Database
from .langflow_server import LangflowServer
from .langkeys_process import Langkeys

PROCESSES = 16
SECONDS = float(os.environ.get("LANGKEYS_WRITERS_SECONDS", "20"))

_PROGRAM = """
import os, sys, time
sys.stdout = open(os.devnull, "w")
from langkeys.cli import main
name, until, made = sys.argv[1], time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < until:
    code = main(["-q", "api-key", "create", "--name", f"{name}-{made}"])
    assert code == 0, code
    made += 1
    if made % 10 == 0:
        code = main(["-q", "api-key", "revoke", f"{name}-{made - 1}", "--yes"])
        assert code == 0, code
print(made, file=sys.stderr)
"""


@pytest.mark.only_with("1.13.0")
def test_no_error_on_either_side_and_everything_there_at_the_end(
    server: LangflowServer, langkeys: Langkeys, database: Database, name: str
) -> None:
    key = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    # Authenticate by a key, because bcrypt takes a third of a second to check a password.
    environment = {
        **os.environ,
        **server.settings,
        "LANGKEYS_API_KEY": key,
    }
    answers: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(server.rest.whoami(key).status)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    mark = uuid.uuid4().hex[:6]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, f"{mark}-{number}", str(SECONDS)],
            env=environment,
            cwd=langkeys.folder,
            stderr=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    said = []
    for process in processes:
        with process:
            _, err = process.communicate(timeout=SECONDS * 10 + 120)
        said.append((process.returncode, err.decode().strip()))
    stop.set()
    for thread in threads:
        thread.join()
    assert [code for code, _ in said] == [0] * PROCESSES, said
    made = [int(err) for _, err in said]
    wanted = {
        f"{mark}-{number}-{index}"
        for number, count in enumerate(made)
        for index in range(count)
        if (index + 1) % 10
    }
    found = {
        row["name"]
        for row in database.query("SELECT name FROM apikey WHERE name LIKE ?", f"{mark}-%")
    }
    assert found == wanted
    assert set(answers) == {200}
    rate = sum(made) / (time.monotonic() - start)
    print(f"\n{sum(made)} writes ({rate:.0f} a second), {len(answers)} requests answered 200")  # noqa: T201 - for -s
    assert "database is locked" not in server.log_tail(1_000_000)
