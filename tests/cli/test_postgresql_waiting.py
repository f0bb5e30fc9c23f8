"""A PostgreSQL server that does not answer: locked, frozen, or cut off; Ctrl-C meanwhile."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from langkeys.errors import StoreError

from ..support import own_postgresql, server_databases
from ..support.own_postgresql import OwnCluster
from ..support.proxies import Proxy, proxied
from ..support.server_databases import ServerDatabase
from ..support.sites import Site

READS = (
    ("api-key", "list"),
    ("api-key", "show", "ci"),
    ("secret-key", "check"),
    ("whoami", "--api-key", "-"),
    ("backup", "copy"),
)
KEY = "sk-" + "a" * 43


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def server(server: ServerDatabase, superuser: str) -> ServerDatabase:
    server.add_key(superuser, "ci")
    return server


@pytest.fixture
def network(site: Site, server: ServerDatabase) -> Iterator[Proxy]:
    """The proxy through which the site reaches its server."""
    with proxied(site, server) as found:
        yield found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten langkeys' timeout of half a minute to seconds."""
    monkeypatch.setattr("langkeys.store.postgresql.engine.PATIENCE", 0.3)
    monkeypatch.setattr("langkeys.store.postgresql.copying._LOCK_WAIT", "300ms")
    monkeypatch.setattr("langkeys.store.postgresql.copying.SLOW_SECONDS", 1.0)
    monkeypatch.setattr("langkeys.store.postgresql.connections.CONNECT_SECONDS", 2)
    for name, seconds in (("LOOK", 0.1), ("SLOW", 1.0), ("ANSWER", 1.0)):
        monkeypatch.setattr(f"langkeys.store.postgresql.calls.{name}_SECONDS", seconds)


@contextmanager
def locked(server: ServerDatabase, table: str = "apikey") -> Iterator[None]:
    """Hold the lock of a migration during the block."""
    with closing(server.cluster.connect(server.user, server.name)) as other:
        other.autocommit = False
        other.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("line", READS, ids=" ".join)
def test_reading_a_locked_table_ends(
    site: Site, server: ServerDatabase, line: tuple[str, ...]
) -> None:
    with locked(server):
        result = site.call(*line, stdin=KEY)
    assert result.code == (1 if line[0] == "backup" else 6), result
    assert "lock" in result.stderr
    assert result.stdout == ""
    assert not list(site.folder.glob("*copy*"))


@pytest.mark.usefixtures("impatient")
def test_doctor_tells_of_a_locked_table(site: Site, server: ServerDatabase) -> None:
    with locked(server):
        report = site.call("doctor")
    assert report.code == 1
    assert "is locked" in report.stdout


def test_the_limit_is_not_left_to_whoever_has_the_session_next(server: ServerDatabase) -> None:
    store = server.opened(writable=False, patience=0.1)
    try:
        assert store.api_key_count() == 1
        ((limit,),) = store._fetched("SHOW lock_timeout", ())  # type: ignore[attr-defined]
        assert limit == "0"
    finally:
        store.close()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_busy_is_waited_for(server: ServerDatabase) -> None:
    store = server.opened(writable=False, patience=10)
    try:
        assert store._rows("SELECT pg_sleep(4), 7")[0][1] == 7  # type: ignore[attr-defined]
    finally:
        store.close()


@pytest.fixture(scope="module")
def own() -> Iterator[OwnCluster]:
    with own_postgresql.own_cluster() as cluster:
        yield cluster


@pytest.mark.usefixtures("impatient")
def test_a_frozen_server_is_given_up(
    empty_site: Site, own: OwnCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(own.binaries), prepend=":")
    database = server_databases.create(own)
    database.add_user("administrator")
    settings = {
        "LANGFLOW_DATABASE_URL": database.url,
        "LANGFLOW_AUTO_LOGIN": "true",
        "LANGFLOW_SUPERUSER": "administrator",
    }
    begun = time.monotonic()
    with own.frozen():
        empty_site.call("api-key", "list", **settings).failed(6, "does not answer")
    store = database.opened(writable=True, patience=10)
    frozen = own.frozen()
    try:
        with pytest.raises(StoreError, match="does not answer"), frozen:
            store.counts()
        assert store.counts()["users"] == 1  # on a new connection
        with (
            pytest.raises(StoreError, match="does not answer"),
            store.transaction(),
            own.frozen(),
        ):
            store.counts()
    finally:
        store.close()
    with monkeypatch.context() as patched:
        patched.setattr(
            "langkeys.store.postgresql.copying._client",
            lambda name: own.signal(signal.SIGSTOP) or str(own.binaries / name),
        )
        try:
            empty_site.call("backup", "copy", **settings).failed(6, "does not answer")
        finally:
            own.signal(signal.SIGCONT)
    assert not list(empty_site.folder.glob("*copy*"))
    assert time.monotonic() - begun < 40


def interrupted(site: Site, line: tuple[str, ...], sent: signal.Signals, ready: object) -> float:
    """Interrupt a command when it waits; return how long it took to exit."""
    process = site.spawn(*line)
    with process:
        assert process.stdin is not None
        process.stdin.write(KEY.encode())
        process.stdin.close()
        process.stdin = None
        assert callable(ready)
        deadline = time.monotonic() + 30
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        start = time.monotonic()
        process.send_signal(sent)
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent], err
        assert b"Traceback" not in err
        assert out == b""
    return time.monotonic() - start


def waiting(server: ServerDatabase) -> bool:
    rows = server.cluster.rows(
        "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'",
        (server.name,),
    )
    return bool(rows)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("line", [READS[0], READS[3], ("api-key", "create")], ids=" ".join)
def test_ctrl_c_does_not_wait_for_a_lock(
    site: Site, server: ServerDatabase, line: tuple[str, ...], sent: signal.Signals
) -> None:
    with locked(server):
        assert interrupted(site, line, sent, lambda: waiting(server)) < 5
        # No session on the server waits any more.
        assert not waiting(server)


def test_ctrl_c_does_not_wait_for_a_server_that_is_cut_off(
    site: Site, server: ServerDatabase, network: Proxy
) -> None:
    with locked(server):

        def ready() -> bool:
            if waiting(server):
                network.is_silent = True
            return network.is_silent

        assert interrupted(site, ("api-key", "list"), signal.SIGINT, ready) < 8


def test_ctrl_c_does_not_wait_for_a_connection(
    site: Site, server: ServerDatabase, network: Proxy
) -> None:
    network.is_silent = True
    began = time.monotonic()
    assert (
        interrupted(site, ("api-key", "list"), signal.SIGINT, lambda: time.monotonic() - began > 3)
        < 5
    )
