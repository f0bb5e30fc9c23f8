"""Through pgbouncer, commands work if they need a connection only for one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

import langkeys

from ..conftest import SUPERUSER
from ..support import commands
from ..support.clusters import PASSWORD, Cluster
from ..support.commands import ALL
from ..support.server_databases import ServerDatabase
from ..support.sites import Site
from . import debian_server
from .debian_server import Primary

# With a single connection, opening a second one within a transaction would wait forever.
POOLERS = {
    "transaction": ("transaction", 3),
    "transaction, one connection": ("transaction", 1),
    "session": ("session", 3),
    "statement": ("statement", 3),
}
ROTATE = "secret-key rotate"


@pytest.fixture(scope="module")
def poolers(primary: Primary) -> Iterator[dict[str, Cluster]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                debian_server.pooler(primary.cluster, mode, connections=connections)
            )
            for name, (mode, connections) in POOLERS.items()
        }


@pytest.fixture
def pooler(request: pytest.FixtureRequest, poolers: dict[str, Cluster]) -> Cluster:
    return poolers[getattr(request, "param", "transaction")]


@pytest.fixture
def pooled(site: Site, server: ServerDatabase, pooler: Cluster) -> Site:
    """A site that uses its database through the pooler."""
    site.settings["LANGFLOW_DATABASE_URL"] = pooler.url(server.name)
    site.settings["LANGFLOW_CONFIG_DIR"] = str(site.folder / "config")
    return site


def states(pooler: Cluster, server: ServerDatabase) -> list[object]:
    """Return the settings and leftovers of each of the pooler's connections to the server."""
    with ExitStack() as stack:
        found = []
        for _ in range(3):
            connection = stack.enter_context(closing(pooler.connect("langflow", server.name)))
            connection.autocommit = False  # keep it, so that the next one gets another
            cursor = connection.cursor()
            cursor.execute(
                "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'),"
                " current_setting('idle_in_transaction_session_timeout'),"
                " current_setting('search_path'), (SELECT count(*) FROM pg_cursors),"
                " (SELECT count(*) FROM pg_prepared_statements),"
                " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
            )
            found.append(cursor.fetchone())
        return found


@pytest.mark.parametrize(
    "pooler", ["transaction", "transaction, one connection", "session"], indirect=True
)
def test_every_command_works_but_the_rotation_of_the_secret_key(
    pooled: Site, server: ServerDatabase, superuser: str
) -> None:
    for command in ALL:
        for table in ("apikey", "variable"):
            server.rows(f"DELETE FROM {table}")
        server.rows('DELETE FROM "user" WHERE username != ?', (SUPERUSER,))
        commands.fill(server, superuser)
        before = server.content()
        ask = pooled.run if command.path == "run" else pooled.call
        result = ask(*command.line, stdin=command.stdin)
        if command.path == ROTATE:
            result.failed(2, "through a pooler", "nothing was done")
            assert server.content() == before
            assert not (pooled.folder / "new-secret-key").exists()
        else:
            result.done()


def test_nothing_is_left_on_the_connections_that_others_share(
    pooled: Site, server: ServerDatabase, pooler: Cluster, superuser: str
) -> None:
    before = states(pooler, server)
    assert len(before) == 3
    pooled.call("api-key", "create", "--count", "300").done()
    assert len(pooled.call("api-key", "list").done().lines) == 300
    pooled.call("api-key", "prune", "--user", SUPERUSER, "--force", "--yes").done()
    pooled.call("api-key", "show", "none").failed(3)
    assert states(pooler, server) == before


@pytest.mark.parametrize("pooler", ["transaction", "transaction, one connection"], indirect=True)
def test_many_rows_pass_through(pooled: Site, server: ServerDatabase) -> None:
    assert len(pooled.call("api-key", "create", "--count", "2500").done().lines) == 2500
    assert len(pooled.call("api-key", "list").done().lines) == 2500
    pooled.call("api-key", "prune", "--user", SUPERUSER, "--force", "--yes").done()
    assert server.key_ids() == []


def test_processes_that_ensure_one_key_at_once_make_one_row(
    pooled: Site, server: ServerDatabase
) -> None:
    path = pooled.folder / "key"
    path.write_text("sk-" + "a" * 43)
    processes = [
        pooled.spawn("api-key", "ensure", "app", "--value-file", str(path)) for _ in range(4)
    ]
    for process in processes:
        with process:
            _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert len(server.key_ids()) == 1


def test_doctor_tells_of_it(pooled: Site, server: ServerDatabase) -> None:
    note = "reached through a pooler"
    assert note in pooled.call("doctor").stdout
    assert note not in pooled.call("doctor", LANGFLOW_DATABASE_URL=server.url).stdout


def test_a_program_verifies_in_threads_and_after_a_restart(
    pooled: Site, server: ServerDatabase, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [server.add_key(superuser, f"key {number}") for number in range(8)]
    failures: list[BaseException] = []
    for name, text in pooled.settings.items():
        monkeypatch.setenv(name, text)
    with langkeys.open_store() as store:

        def verify() -> None:
            try:
                for key in keys * 4:
                    found = store.verify(key.plaintext, count_use=True).api_key
                    assert found is not None
                    assert found.id == key.id
            except Exception as error:  # noqa: BLE001 - the main thread reports it
                failures.append(error)

        threads = [threading.Thread(target=verify) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        server.cluster.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            (server.name,),
        )
        assert store.verify(keys[0].plaintext).user.username == SUPERUSER
    assert server.rows("SELECT DISTINCT total_uses FROM apikey") == [(16,)]


@pytest.mark.parametrize("pooler", ["statement"], indirect=True)
def test_where_there_are_no_transactions_it_is_said(
    pooled: Site, server: ServerDatabase, superuser: str
) -> None:
    server.add_key(superuser, "ci")
    said = ("was lost at the beginning of a transaction", "pool_mode")
    pooled.call("api-key", "create").failed(6, *said)
    pooled.call("api-key", "revoke", "ci", "--yes").failed(6, *said)
    pooled.call(*ROTATE.split(), "--yes", "--new-key-file", "new").failed(2, "through a pooler")
    assert len(server.key_ids()) == 1
    assert pooled.call("whoami").done().lines


def test_what_the_pooler_refuses_is_one_sentence(
    pooled: Site, server: ServerDatabase, poolers: dict[str, Cluster]
) -> None:
    url = pooled.settings["LANGFLOW_DATABASE_URL"]
    for changed, words in (
        (url.replace(PASSWORD, "pass-of-nobody"), "the user or the password"),
        (url.replace("langflow:", "nobody:"), "the user or the password"),
        (url.replace(server.name, "none"), "no such database"),
        (f"{url}?options=-csearch_path%3Dx", "a parameter of the URL"),
    ):
        error = pooled.call("api-key", "list", "--json", LANGFLOW_DATABASE_URL=changed).failed(6)
        assert words in error.error["message"]
        assert "\n" not in error.error["message"]
        assert "pass-of" not in error.stderr
    # Another client uses its only connection.
    single = poolers["transaction, one connection"]
    with closing(single.connect("langflow", server.name)) as other:
        other.autocommit = False
        other.cursor().execute("SELECT 1")
        busy = pooled.call("api-key", "list", LANGFLOW_DATABASE_URL=single.url(server.name))
        busy.failed(6)
        assert "failed (" not in busy.stderr


def test_a_standby_behind_it_is_read_from_and_not_written_to(
    site: Site, server: ServerDatabase, primary: Primary
) -> None:
    with (
        debian_server.standby(primary) as standby,
        debian_server.pooler(standby, "transaction", connections=1) as pooler,
    ):
        debian_server.wait_for_standby(primary, standby)
        url = pooler.url(server.name)
        site.call("api-key", "list", LANGFLOW_DATABASE_URL=url).done()
        site.call("api-key", LANGFLOW_DATABASE_URL=url).failed(6, "replica", "the primary")
