"""Debian's PostgreSQL and pgbouncer in temporary folders: a primary, a standby and a pooler.

The system's own cluster is never touched. If a program is missing, tests fail instead of being
skipped, because they only run if their folder is named.
"""

from __future__ import annotations

import os
import pwd
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..support import clusters
from ..support.clusters import PASSWORD, Cluster
from .certificates import Certificates, make_certificates

PACKAGES = "apt-get install --no-install-recommends postgresql pgbouncer"
SHIELDED, CERTIFIED = "shielded", "certified"
"""Roles that must connect with TLS; the second one needs a client certificate, but no password."""

# The two roles have no line for connections without TLS, so the server refuses these.
_ACCESS = f"""
local all all scram-sha-256
hostssl all {CERTIFIED} 127.0.0.1/32 cert
hostssl all {SHIELDED} 127.0.0.1/32 scram-sha-256
host replication postgres 127.0.0.1/32 scram-sha-256
host all postgres,langflow,traveller,clerk 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class Primary:
    """A server with TLS, reachable over TCP and a socket, that a standby can follow."""

    cluster: Cluster
    folder: Path
    certificates: Certificates


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, f"there is no PostgreSQL of Debian's here: {PACKAGES}"
    return found[-1].parent


@contextmanager
def _folder() -> Iterator[Path]:
    name = pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix=f"lkdeb-{name}-"))
    folder.chmod(0o755)
    clusters.give(folder)
    clusters.remove_with(os.getpid(), folder)
    try:
        yield folder
    finally:
        clusters.remove(folder)


@contextmanager
def primary() -> Iterator[Primary]:
    """Create and start the primary."""
    with _folder() as folder:
        data = clusters.make(folder, binaries())
        (data / "pg_hba.conf").write_text(_ACCESS)
        certificates = make_certificates(folder / "certificates")
        clusters.give(certificates.server_key)
        cluster = clusters.start(
            data,
            binaries(),
            {
                "unix_socket_directories": str(folder),
                "ssl": "on",
                "ssl_cert_file": str(certificates.server),
                "ssl_key_file": str(certificates.server_key),
                "ssl_ca_file": str(certificates.root),
                "wal_level": "replica",
                # Commits reach the disk first, so that tests can wait for the standby.
                "synchronous_commit": "local",
            },
        )
        clusters.add_roles(cluster)
        for role in (SHIELDED, CERTIFIED):
            cluster.rows(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' IN ROLE langflow")
        yield Primary(cluster, folder, certificates)


@contextmanager
def standby(of: Primary) -> Iterator[Cluster]:
    """Create a standby that follows a primary, and start it."""
    with _folder() as folder:
        data = folder / "data"
        data.mkdir(mode=0o700)
        clusters.give(data)
        clusters.run(
            folder,
            [
                of.cluster.binaries / "pg_basebackup", "-D", data, "-R", "-X", "stream",
                "-c", "fast", "--no-sync", "-h", "127.0.0.1", "-p", str(of.cluster.port),
                "-U", "postgres",
            ],
            PGPASSWORD=PASSWORD,
        )  # fmt: skip
        yield clusters.start(
            data, of.cluster.binaries, {"unix_socket_directories": "", "hot_standby": "on"}
        )


def wait_for_standby(of: Primary, standby: Cluster) -> None:
    """Wait until a standby has all that its primary has written."""
    ((end,),) = of.cluster.rows("SELECT pg_current_wal_lsn()::text")
    _until(
        lambda: standby.rows("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (end,)) == [(True,)]
    )


@contextmanager
def pooler(of: Cluster, mode: str, *, connections: int) -> Iterator[Cluster]:
    """Start pgbouncer in front of a server, with one pool mode for all databases."""
    program = Path("/usr/sbin/pgbouncer")
    assert program.exists(), f"there is no pgbouncer here: {PACKAGES}"
    with _folder() as folder:
        users = folder / "users"
        users.write_text("".join(f'"{role}" "{PASSWORD}"\n' for role in ("langflow", "postgres")))
        port = clusters.free_port()
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": users,
            "logfile": folder / "pgbouncer.log",
            "pidfile": folder / "pgbouncer.pid",
            "pool_mode": mode,
            "default_pool_size": connections,
            # Use connections in turn, so that consecutive transactions get different ones.
            "server_round_robin": 1,
            "query_wait_timeout": 2,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={of.port}\n[pgbouncer]\n" + "\n".join(lines)
        )
        clusters.run(folder, [program, "--daemon", configuration])
        found = Cluster(of.binaries, port)
        _until(lambda: _answers(found))
        yield found


def _answers(cluster: Cluster) -> bool:
    import psycopg2

    with suppress(psycopg2.OperationalError):
        return bool(cluster.rows("SELECT 1"))
    return False


def _until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
