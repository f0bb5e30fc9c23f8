"""A rotation on PostgreSQL in which langkeys, a session, the server or the network dies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support import own_postgresql, server_databases, server_vaults
from ..support.proxies import Proxy, proxied
from ..support.samples import SECRET_KEY
from ..support.server_databases import ServerDatabase
from ..support.server_vaults import RECOVER, ROTATE, ServerVault
from ..support.sites import Site

BEFORE = (
    "backed-up", "rewriting", "rewritten", "before-reading-back", "journal-written", "key-staged",
    "before-commit",
)  # fmt: skip
AFTER = ("committed", "renamed", "journal-removed")


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def vault(site: Site, superuser: str) -> ServerVault:
    return server_vaults.create(site, superuser)


@pytest.fixture
def network(vault: ServerVault) -> Iterator[Proxy]:
    """The proxy between the site and its server."""
    with proxied(vault.site, vault.server) as found:
        yield found


def journal_of(vault: ServerVault) -> Path:
    (path,) = vault.folder.glob(".127.0.0.1-*.langkeys-rotation")
    return path


def changed_journal(vault: ServerVault, **fields: object) -> None:
    path = journal_of(vault)
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_killed_at_a_point_the_next_command_completes_or_undoes_it(
    site: Site, vault: ServerVault, point: str
) -> None:
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT=point).code == -9
    # The server may still be executing statements of the killed process.
    site.call(*RECOVER).done()
    assert (vault.assert_whole() != SECRET_KEY) == (point in AFTER)
    site.call("secret-key", "check").done()


@pytest.mark.parametrize("point", ["key-staged", "committed"])
@pytest.mark.parametrize("spelling", ["name", "hostaddr", "PGHOST"])
def test_it_is_recovered_by_another_url_of_the_same_database(
    site: Site, vault: ServerVault, point: str, spelling: str
) -> None:
    port, name = vault.server.cluster.port, vault.server.name
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT=point).code == -9
    there = f"127.0.0.1:{port}/{name}"
    here = {
        "name": f"localhost:{port}/{name}",
        "hostaddr": f"/{name}?hostaddr=127.0.0.1&port={port}",
        "PGHOST": f"/{name}",
    }
    settings = {"LANGFLOW_DATABASE_URL": vault.server.url.replace(there, here[spelling])}
    if spelling == "PGHOST":
        settings |= {"PGHOST": "localhost", "PGPORT": str(port)}
    doctor = site.call("doctor", **settings)
    assert doctor.code == 1
    assert "a rotation of the secret key is unfinished" in doctor.stdout
    assert "can decrypt none" not in doctor.stdout
    assert "unfinished" in site.call("api-key", "list", **settings).done().stderr
    recovered = site.call(*RECOVER, **settings).done()
    said = "it was committed" if point == "committed" else "it was not committed"
    assert said in recovered.stderr
    assert (vault.assert_whole() != SECRET_KEY) == (point == "committed")
    assert not list(vault.folder.glob(".*rotation*"))


def test_a_journal_of_another_database_in_the_same_folder_is_left_alone(
    site: Site, vault: ServerVault
) -> None:
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT="committed").code == -9
    journal = journal_of(vault)
    other = server_databases.create(vault.server.cluster)
    try:
        other.add_user("administrator")
        settings = {"LANGFLOW_DATABASE_URL": other.url}
        result = site.call("api-key", "create", **settings).done()
        assert "rotation" not in result.stderr
        assert journal.exists()
    finally:
        other.give_back()
    site.call(*RECOVER).done()
    assert vault.assert_whole() != SECRET_KEY


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_a_session_that_is_ended_at_a_point_leaves_no_mix(
    site: Site, vault: ServerVault, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reach(name: str) -> None:
        if name == point:
            vault.terminate()

    monkeypatch.setattr("langkeys.failpoints.reach", reach)
    # The session's locks are gone, so the rotation fails if it has not committed yet.
    assert site.call(*ROTATE).code == (6 if point in BEFORE else 0)
    monkeypatch.undo()
    assert (vault.assert_whole() != SECRET_KEY) == (point in AFTER)
    site.call(*RECOVER).done()
    site.call("secret-key", "check").done()


def test_a_commit_whose_answer_is_lost_is_a_commit(
    site: Site, vault: ServerVault, network: Proxy
) -> None:
    network.loses_answer = True
    site.call(*ROTATE).done()
    assert network.commits == 1
    assert vault.assert_whole() != SECRET_KEY


def test_a_commit_that_never_arrives_is_none(
    site: Site, vault: ServerVault, network: Proxy
) -> None:
    network.loses_commit = True
    site.call(*ROTATE).failed(6, "was lost")
    assert vault.assert_whole() == SECRET_KEY


def test_a_session_that_is_ended_at_its_commit_leaves_no_mix(
    site: Site, vault: ServerVault, network: Proxy
) -> None:
    keys = [vault.key()]
    for number in range(6):
        network.after_commit = lambda: vault.terminate(patience=0)
        result = site.call(*ROTATE)
        network.heal()
        keys.append(vault.assert_whole())
        assert (keys[number] != keys[number + 1]) == (result.code == 0), result


def test_where_nobody_can_tell_a_later_command_does(
    site: Site, vault: ServerVault, network: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langkeys.store.postgresql.transactions.COMMIT_PATIENCE", 0.2)
    network.loses_answer = True
    network.after_commit = network.close
    site.call(*ROTATE).failed(6)
    assert vault.key() == SECRET_KEY
    site.settings["LANGFLOW_DATABASE_URL"] = vault.server.url
    # The journal's name contains the port that the rotation used, which is the proxy's.
    journal = journal_of(vault)
    journal.rename(journal.with_name(journal.name.replace(str(network.port), _port(vault))))
    assert "completed" in site.call(*RECOVER).done().stderr
    assert vault.assert_whole() != SECRET_KEY


def _port(vault: ServerVault) -> str:
    return str(vault.server.cluster.port)


def test_a_lost_answer_to_another_commit_is_no_failure(
    site: Site, vault: ServerVault, network: Proxy
) -> None:
    before = len(vault.server.key_ids())
    network.loses_answer = True
    key = site.call("api-key", "create", "--name", "ci").done().stdout.strip()
    network.heal()
    assert len(vault.server.key_ids()) == before + 1
    site.call("whoami", "--api-key", "-", stdin=key).done()
    network.loses_commit = True
    site.call("api-key", "create", "--name", "two").failed(6, "was lost")
    assert len(vault.server.key_ids()) == before + 1


# The server's answer about a transaction, and the sample values


@pytest.mark.parametrize("point", ["before-commit", "committed"])
@pytest.mark.parametrize("transaction", ["1", "?/5/700", "12345/5/700", None])
def test_a_transaction_of_another_database_counts_for_nothing(
    site: Site, vault: ServerVault, point: str, transaction: str | None
) -> None:
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT=point).code == -9
    vault.terminate()
    changed_journal(vault, transaction=transaction)
    site.call(*RECOVER).done()
    assert (vault.assert_whole() != SECRET_KEY) == (point == "committed")


@pytest.mark.parametrize("point", ["before-commit", "committed"])
@pytest.mark.parametrize("number", ["3", str(2**62), None])
def test_a_transaction_too_old_or_too_new_counts_for_nothing_another_one_stops(
    site: Site, vault: ServerVault, point: str, number: str | None
) -> None:
    committed = vault.server.rows("SELECT pg_current_xact_id()::text")[0][0]
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT=point).code == -9
    vault.terminate()
    transaction = json.loads(journal_of(vault).read_text())["transaction"]
    changed_journal(vault, transaction=f"{transaction.rpartition('/')[0]}/{number or committed}")
    if (number, point) == (None, "before-commit"):  # the server and the samples disagree
        site.call(*RECOVER).failed(7, "cannot determine")
        assert vault.is_encrypted_with(SECRET_KEY)
        assert vault.key() == SECRET_KEY
    else:
        site.call(*RECOVER).done()
        assert (vault.assert_whole() != SECRET_KEY) == (point == "committed")


def test_samples_that_contradict_each_other_stop_for_a_person(
    site: Site, vault: ServerVault
) -> None:
    old = vault.server.rows("SELECT api_key, id FROM apikey")
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT="committed").code == -9
    vault.server.rows("UPDATE apikey SET api_key = ? WHERE id = ?", old[0])
    site.call(*RECOVER).failed(7, "cannot determine", "secret-key check")
    assert vault.key() == SECRET_KEY
    assert journal_of(vault).exists()


@pytest.mark.parametrize("point", ["before-commit", "committed"])
def test_a_database_that_was_restored_is_told_by_its_samples(
    site: Site, vault: ServerVault, point: str
) -> None:
    """After a crash, an operator replaces the database by a copy, such as the rotation's backup."""
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT=point).code == -9
    vault.terminate()
    server, cluster = vault.server, vault.server.cluster
    copy = server_databases.ServerDatabase(cluster, f"{server.name}_copy", "langflow", server.shape)
    cluster.rows(f"CREATE DATABASE {copy.name} TEMPLATE {server.name} OWNER langflow")
    server.drop()
    cluster.rows(f"ALTER DATABASE {copy.name} RENAME TO {server.name}")
    site.call(*RECOVER).done()
    assert (vault.assert_whole() != SECRET_KEY) == (point == "committed")


@pytest.mark.parametrize("point", ["rewriting", "before-commit", "committed"])
def test_a_server_that_is_restarted_at_once_leaves_no_mix(
    empty_site: Site, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_postgresql.own_cluster() as cluster:
        monkeypatch.setenv("PATH", str(cluster.binaries), prepend=":")
        database = server_databases.create(cluster)
        owner = database.add_user("administrator")
        empty_site.server = database
        empty_site.settings = {
            "LANGFLOW_DATABASE_URL": database.url,
            "LANGFLOW_SECRET_KEY": SECRET_KEY,
            "LANGFLOW_AUTO_LOGIN": "true",
            "LANGFLOW_SUPERUSER": "administrator",
        }
        vault = server_vaults.create(empty_site, owner)
        with monkeypatch.context() as patched:
            patched.setattr(
                "langkeys.failpoints.reach", lambda name: name == point and cluster.restart()
            )
            assert empty_site.call(*ROTATE).code == (0 if point == "committed" else 6)
        assert (vault.assert_whole() != SECRET_KEY) == (point == "committed")
        empty_site.call(*RECOVER).done()


def test_what_was_never_under_a_key_is_told_by_the_transaction(
    site: Site, vault: ServerVault
) -> None:
    server: ServerDatabase = vault.server
    for table in ("apikey", "variable", "mcp_server", "message"):
        server.rows(f"DELETE FROM {table}")
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT="before-commit").code == -9
    vault.terminate()
    site.call(*RECOVER).done()
    assert vault.key() == SECRET_KEY
    assert site.run(*ROTATE, LANGKEYS_FAILPOINT="committed").code == -9
    site.call(*RECOVER).done()
    assert vault.key() != SECRET_KEY
