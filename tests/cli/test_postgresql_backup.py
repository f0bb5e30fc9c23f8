"""``langkeys backup`` on PostgreSQL: the programs it runs, their environment, and errors."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from ..support.clusters import PASSWORD
from ..support.samples import SECRET_KEY
from ..support.server_databases import ServerDatabase
from ..support.sites import Site


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def server(server: ServerDatabase, superuser: str) -> ServerDatabase:
    server.add_key(superuser, "ci")
    return server


@pytest.fixture
def programs(tmp_path: Path, server: ServerDatabase, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first folder on PATH; programs in it replace PostgreSQL's clients."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def program(programs: Path, name: str, *lines: str) -> None:
    path = programs / name
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)


def left(site: Site) -> list[str]:
    return [path.name for path in site.folder.iterdir() if "copy" in path.name]


def test_the_clients_see_no_secret_but_the_password_and_nobody_sees_that(
    site: Site, server: ServerDatabase, programs: Path
) -> None:
    for name in ("pg_dump", "pg_restore"):
        program(
            programs, name,
            f"tr '\\0' '\\n' < /proc/$$/cmdline > {programs}/{name}.arguments",
            f"env > {programs}/{name}.environment",
            "exec 3>&1", f"stat -L -c %a /proc/self/fd/3 > {programs}/{name}.mode",
            f'exec {server.cluster.binaries}/{name} "$@"',
        )  # fmt: skip
    for umask in (0o000, 0o022):
        result = site.run("backup", f"copy-{umask}", umask=umask, PGOPTIONS="-c jit=off").done()
        assert PASSWORD not in result.stdout + result.stderr
    seen = {path.name: path.read_text() for path in programs.iterdir()}
    assert "dbname=" in seen["pg_dump.arguments"]
    assert f"PGPASSWORD={PASSWORD}\n" in seen["pg_dump.environment"]
    assert "PGOPTIONS=-c jit=off\n" in seen["pg_dump.environment"]
    assert seen["pg_dump.mode"] == "600\n"
    for name in ("pg_dump.arguments", "pg_restore.arguments", "pg_restore.environment"):
        assert PASSWORD not in seen[name]
    for name in ("pg_dump.environment", "pg_restore.environment"):
        assert "LANGFLOW_" not in seen[name]
        assert SECRET_KEY not in seen[name]
    for name in left(site):
        assert stat.S_IMODE((site.folder / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            (
                "echo 'pg_dump: error: aborting because of server version mismatch' >&2",
                "echo 'pg_dump: detail: server version: 18.4; pg_dump version: 15.1' >&2",
            ),
            ("older than the server", "postgresql-client"),
        ),
        (("echo 'permission denied for table x' >&2",), ("may not read all tables and sequences",)),
        (("echo 'user may lack SELECT privilege on it' >&2",), ("tables and sequences",)),
        (("echo 'No space left on device' >&2",), ("no space left",)),
        (
            ("echo 'ERROR:  canceling statement due to lock timeout' >&2",),
            ("error: pg_dump waited 10s for a lock on postgresql://", "try again"),
        ),
        (("head -c 300000 /dev/zero | tr '\\0' x >&2",), ("could not copy",)),
        (("kill -9 $$",), ("could not copy",)),
    ],
)
def test_a_client_that_fails_leaves_nothing(
    site: Site, programs: Path, lines: tuple[str, ...], words: tuple[str, ...]
) -> None:
    program(programs, "pg_dump", "echo half", *lines, "exit 1")
    site.call("backup", "copy").failed(1, *words)
    assert left(site) == []


def test_a_copy_that_cannot_be_read_is_none(site: Site, programs: Path) -> None:
    program(programs, "pg_dump", "echo half")
    site.call("backup", "copy").failed(1, "damaged", "pg_restore")
    assert left(site) == []


def test_a_copy_without_the_rows_of_a_table_is_none(
    site: Site, server: ServerDatabase, programs: Path
) -> None:
    listing = f'{server.cluster.binaries}/pg_restore "$@"'
    program(programs, "pg_restore", f"{listing} | grep -v ' TABLE DATA public variable '")
    site.call("backup", "copy").failed(1, "damaged")
    assert left(site) == []


@pytest.mark.parametrize("name", ["pg_dump", "pg_restore"])
def test_without_a_client_it_is_said_which(
    site: Site, server: ServerDatabase, programs: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in {"pg_dump", "pg_restore"} - {name}:
        program(programs, other)
    monkeypatch.setenv("PATH", str(programs))
    site.call("backup", "copy").failed(2, f"needs {name}, which is not installed")
    assert left(site) == []


def test_an_existing_file_is_never_replaced(site: Site, server: ServerDatabase) -> None:
    path = site.folder / "copy"
    path.write_text("before")
    site.call("backup", "copy").failed(5, "already exists")
    path.unlink()
    path.symlink_to("elsewhere")
    site.call("backup", "copy").failed(5, "already exists")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_and_no_process(
    site: Site, programs: Path, sent: signal.Signals
) -> None:
    program(programs, "pg_dump", f"echo $$ > {programs}/pid", "echo half", "exec sleep 60")
    process = site.spawn("backup", "copy", stdin=subprocess.DEVNULL)
    with process:
        deadline = time.monotonic() + 30
        while not (programs / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert left(site) != []
        time.sleep(0.5)  # langkeys may still be starting the program
        process.send_signal(sent)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent]
    assert out == b""
    assert left(site) == []
    pid = int((programs / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_client_connects_where_langkeys_does(
    site: Site, server: ServerDatabase, programs: Path
) -> None:
    program(
        programs, "pg_dump",
        f"echo \"$PGHOST $PGDATABASE\" > {programs}/seen",
        f'exec {server.cluster.binaries}/pg_dump "$@"',
    )  # fmt: skip
    port = server.cluster.port
    site.write_env(
        f"PGHOST=127.0.0.1\nPGPORT={port}\nPGDATABASE={server.name}\nPGUSER={server.user}\n"
        f"PGPASSWORD={PASSWORD}\n"
    )
    url = "postgresql://"
    site.call("backup", "copy", LANGFLOW_DATABASE_URL=url, PGHOST="", PGDATABASE="").done()
    assert (programs / "seen").read_text().startswith(f"127.0.0.1 {server.name}\n")


def test_of_several_hosts_the_client_uses_the_one_that_langkeys_uses(
    site: Site, server: ServerDatabase, programs: Path
) -> None:
    program(
        programs, "pg_dump", f"echo \"$@\" > {programs}/seen",
        f'exec {server.cluster.binaries}/pg_dump "$@"',
    )  # fmt: skip
    port = server.cluster.port
    url = server.url.replace(f"127.0.0.1:{port}/", f"localhost:1,127.0.0.1:{port}/")
    site.call("backup", "copy", LANGFLOW_DATABASE_URL=url).done()
    seen = (programs / "seen").read_text()
    assert f"host='127.0.0.1' port='{port}'" in seen
    assert "localhost" not in seen


def test_where_the_client_is_refused_the_reason_is_said(
    site: Site, server: ServerDatabase, programs: Path
) -> None:
    said = 'pg_dump: error: connection to server at "10.1.2.3", port 1 failed: FATAL:  too many'
    program(programs, "pg_dump", f"echo '{said} connections for role' >&2", "exit 1")
    result = site.call("backup", "copy").failed(6, "it has no connection left", "try again")
    assert "10.1.2.3" not in result.stderr
    assert left(site) == []
