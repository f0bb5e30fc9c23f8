"""Create, start and stop PostgreSQL servers for the tests, each in a new folder.

If the tests run as root, the servers run as nobody, because PostgreSQL refuses to run as root. The
system's own cluster is not used.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

PASSWORD = "pass-of-postgres"
NOBODY = 65534
_START_SECONDS = "60"

_SETTINGS = {
    "listen_addresses": "127.0.0.1", "max_connections": "200", "autovacuum_naptime": "1d",
}  # fmt: skip
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
ONLY_TCP = MappingProxyType({"unix_socket_directories": ""})


@dataclass(frozen=True)
class Cluster:
    """A running server."""

    binaries: Path
    port: int

    def connect(self, user: str = "postgres", database: str = "postgres") -> Any:
        """Connect without langkeys; each statement is its own transaction."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=user, password=PASSWORD, dbname=database
        )
        connection.autocommit = True
        return connection

    def rows(self, sql: str, parameters: Any = None, *, database: str = "postgres") -> list[Any]:
        """Run a statement as the superuser."""
        with closing(self.connect(database=database)) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description is not None else []

    def url(self, database: str, user: str = "langflow") -> str:
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{database}"


def make(folder: Path, binaries: Path) -> Path:
    """Create a cluster in a test folder; return its data folder."""
    data, password_file = folder / "data", folder / "password"
    data.mkdir(mode=0o700)
    password_file.write_text(PASSWORD)
    give(data, password_file)
    run(
        folder,
        [
            binaries / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256",
            f"--pwfile={password_file}", "--encoding=UTF8", "--no-sync",
        ],
    )  # fmt: skip
    return data


def start(
    data: Path,
    binaries: Path,
    settings: Mapping[str, str] = ONLY_TCP,
    *,
    is_durable: bool = False,
    port: int | None = None,
) -> Cluster:
    """Start a cluster on 127.0.0.1, and wait until it is up; it gets a free port if none is given.

    ``is_durable``: its commits wait for the disk, as in production.
    """
    port = port or free_port()
    durability = {} if is_durable else _NOT_DURABLE
    given = {**_SETTINGS, **durability, **settings, "port": str(port)}
    options = " ".join(f"-c {name}='{value}'" for name, value in given.items())
    run(
        data.parent,
        [binaries / "pg_ctl", "-D", data, "-w", "-t", _START_SECONDS, "-o", options, "start"],
    )
    return Cluster(binaries, port)


def add_roles(cluster: Cluster) -> None:
    """Add the roles that databases of ``server_databases`` belong to, and one with few rights."""
    for statement in (
        f"CREATE ROLE langflow LOGIN PASSWORD '{PASSWORD}'",
        # A role with another time zone and date style, and tables in another schema.
        f"CREATE ROLE traveller LOGIN PASSWORD '{PASSWORD}'",
        "ALTER ROLE traveller SET timezone = 'America/New_York'",
        "ALTER ROLE traveller SET search_path = tenant",
        "ALTER ROLE traveller SET datestyle = 'SQL, DMY'",
        f"CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'",
    ):
        cluster.rows(statement)


def stop(data: Path) -> None:
    """Stop a cluster without waiting for its sessions; do nothing if it is down."""
    pid_file = data / "postmaster.pid"
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGINT)
        for _ in range(200):
            if not pid_file.exists():
                break
            time.sleep(0.05)


def remove(folder: Path) -> None:
    """Stop whatever runs in a folder of the tests, and remove it."""
    for pid_file in (*folder.glob("*/postmaster.pid"), *folder.glob("*.pid")):
        if pid_file.name == "postmaster.pid":
            stop(pid_file.parent)
        else:
            with suppress(FileNotFoundError, ProcessLookupError, ValueError):
                os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)
    shutil.rmtree(folder, ignore_errors=True)


# Stops the servers once the test run has ended: a run that was killed cannot do so itself.
_WATCH = """
while kill -0 "$1" 2>/dev/null; do sleep 1; done
for file in "$2"/*/postmaster.pid "$2"/*.pid; do
    kill -INT "$(head -n 1 "$file" 2>/dev/null)" 2>/dev/null && stopped=1
done
test -z "$stopped" || sleep 2
rm -rf "$2"
"""


def remove_with(process: int, folder: Path) -> None:
    """Start a watcher that removes a test folder, as ``remove`` does, after a process has ended."""
    subprocess.run(
        # In the background of a shell that exits immediately: the watcher outlives this process.
        ["sh", "-c", 'sh -c "$0" watch "$1" "$2" &', _WATCH, str(process), folder],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def run(folder: Path, command: list[str | Path], **environment: str) -> None:
    """Run one of PostgreSQL's programs in a folder, as a user that it accepts."""
    log = folder / "log"
    log.touch()
    give(log)
    with log.open("ab") as output:  # not a pipe, because a server would keep it open
        _run(folder, command, output, environment)


def _run(
    folder: Path, command: list[str | Path], output: IO[bytes], environment: Mapping[str, str]
) -> None:
    options: dict[str, Any] = {}
    if os.geteuid() == 0:
        options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **environment}, **options,
    )  # fmt: skip
    assert done.returncode == 0, (command, (folder / "log").read_text()[-2000:])


def give(*paths: Path) -> None:
    """Give files to the user that the servers run as."""
    if os.geteuid() == 0:
        for path in paths:
            os.chown(path, NOBODY, NOBODY)


def free_port() -> int:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
