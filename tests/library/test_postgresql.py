"""A program that verifies keys on a server's database: restarts, threads, revocations."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import langkeys
from langkeys import InvalidKeyError, LangflowStore

from ..support.server_databases import ServerDatabase
from ..support.sites import Site


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def gateway(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[LangflowStore]:
    for name, text in {**site.settings, "LANGFLOW_CONFIG_DIR": str(site.folder)}.items():
        monkeypatch.setenv(name, text)
    with langkeys.open_store() as store:
        yield store


def terminate(server: ServerDatabase) -> None:
    """End all connections to the database, as a restart of the server does."""
    server.cluster.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (server.name,)
    )


def test_a_key_is_verified_until_it_is_revoked(
    gateway: LangflowStore, server: ServerDatabase, superuser: str
) -> None:
    key = server.add_key(superuser, "ci")
    verified = gateway.verify(key.plaintext, count_use=True)
    assert verified.user.username == "administrator"
    assert server.rows("SELECT total_uses FROM apikey") == [(1,)]
    assert gateway.location == server.location
    assert gateway.verify(key.plaintext).api_key is not None
    server.rows("DELETE FROM apikey")
    with pytest.raises(InvalidKeyError):
        gateway.verify(key.plaintext)


def test_a_restart_of_the_database_is_survived(
    gateway: LangflowStore, server: ServerDatabase, superuser: str
) -> None:
    key = server.add_key(superuser, "ci")
    gateway.verify(key.plaintext, count_use=True)
    terminate(server)
    assert gateway.verify(key.plaintext).user.username == "administrator"
    terminate(server)
    gateway.verify(key.plaintext, count_use=True)
    assert server.rows("SELECT total_uses FROM apikey") == [(2,)]


def test_several_threads_may_verify(
    gateway: LangflowStore, server: ServerDatabase, superuser: str
) -> None:
    keys = [server.add_key(superuser, f"key {number}") for number in range(8)]
    failures: list[BaseException] = []

    def verify() -> None:
        try:
            for _ in range(5):
                for key in keys:
                    found = gateway.verify(key.plaintext).api_key
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


def test_keys_are_made_and_revoked(gateway: LangflowStore, server: ServerDatabase) -> None:
    made = gateway.api_keys.create(name="ci")
    assert gateway.verify(made.plaintext).api_key is not None
    gateway.api_keys.revoke("ci")
    assert server.key_ids() == []
    with pytest.raises(InvalidKeyError):
        gateway.verify(made.plaintext)
