"""A program that verifies keys from several threads while its database is restarted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

import langkeys
from langkeys import InvalidKeyError
from langkeys.errors import LangkeysError

from ..support import own_postgresql, server_databases
from ..support.own_postgresql import OwnCluster
from ..support.samples import SECRET_KEY

THREADS = 8
SECONDS = 2.0


@pytest.fixture(scope="module")
def own() -> Iterator[OwnCluster]:
    with own_postgresql.own_cluster() as cluster:
        yield cluster


def test_threads_that_verify_survive_restarts_and_ended_sessions(
    own: OwnCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = server_databases.create(own)
    owner = database.add_user("administrator")
    keys = [database.add_key(owner, f"key {number}") for number in range(THREADS)]
    revoked = database.add_key(owner, "revoked")
    monkeypatch.setenv("LANGFLOW_DATABASE_URL", database.url)
    monkeypatch.setenv("LANGFLOW_SECRET_KEY", SECRET_KEY)
    outcomes: Counter[str] = Counter()
    last: dict[int, str] = {}
    until = time.monotonic() + 3600

    def work(number: int, counts: bool) -> None:
        while time.monotonic() < until:
            try:
                verified = store.verify(keys[number].plaintext, count_use=counts)
                assert verified.api_key is not None
                assert verified.api_key.id == keys[number].id
                outcome = "accepted"
            except LangkeysError as error:
                outcome = f"{error.code}: {error.message}"
                time.sleep(0.01)
            except Exception as error:  # noqa: BLE001 - checked below
                outcome = repr(error)
            outcomes[outcome] += 1
            last[number] = outcome

    with langkeys.open_store() as store:
        threads = [
            threading.Thread(target=work, args=(number, number % 2 == 0))
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for disturb in (
            own.restart,
            lambda: own.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (database.name,),
            ),
            own.restart,
        ):
            time.sleep(SECONDS / 4)
            disturb()
        until = time.monotonic() + SECONDS / 4
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        # While the server is down, `verify` raises StoreError; it never calls a valid key invalid.
        assert {outcome.partition(":")[0] for outcome in outcomes} <= {"accepted", "store"}, (
            outcomes
        )
        assert set(last.values()) == {"accepted"}, last
        assert outcomes["accepted"] > THREADS
        database.rows("DELETE FROM apikey WHERE id = ?", (revoked.id,))
        with pytest.raises(InvalidKeyError):
            store.verify(revoked.plaintext)
        # A pooler may give the session to another client, so nothing must be left in it.
        kept = store._store._rows("SELECT count(*) FROM pg_prepared_statements")  # type: ignore[attr-defined]
        assert kept == [(0,)]
