"""The life of a key with a running server: rotation, ensure, prune, and many parallel calls."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

from .database import Database
from .expectations import Expected
from .langflow_server import LangflowServer
from .langkeys_process import Langkeys


def test_both_keys_work_during_the_grace_and_only_the_new_one_after(
    server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    old = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    if not expected.has_expiry:
        run = langkeys("api-key", "rotate", name, "--grace", "3s", "--json")
        assert run.refused(2).error()["code"] == "unsupported"
        new = langkeys("api-key", "rotate", name).done().stdout.strip()
        assert (server.rest.whoami(old).status, server.rest.whoami(new).status) == (403, 200)
        return

    rotated = langkeys("api-key", "rotate", name, "--grace", "4s", "--json").done().json()
    new = rotated["api_key"]
    assert (server.rest.whoami(old).status, server.rest.whoami(new).status) == (200, 200)
    ends = datetime.fromisoformat(rotated["replaces_expires_at"].replace("Z", "+00:00"))
    time.sleep(max(0.0, (ends - datetime.now(timezone.utc)).total_seconds()) + 0.2)
    assert (server.rest.whoami(old).status, server.rest.whoami(new).status) == (403, 200)
    # The expired row has the same name; the next rotation replaces the working key.
    again = langkeys("api-key", "rotate", name, "--json").done().json()
    assert again["replaces"] == rotated["id"]
    assert server.rest.whoami(new).status == 403
    assert server.rest.whoami(again["api_key"]).status == 200


def test_a_rotation_into_the_file_it_reads_replaces_that_key(
    server: LangflowServer, langkeys: Langkeys, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    langkeys("api-key", "ensure", name, "--value-file", str(path)).done()
    leaked = path.read_text().strip()
    assert server.rest.whoami(leaked).status == 200
    langkeys("api-key", "rotate", "-", "--write-to", str(path), stdin=leaked).done()
    assert server.rest.whoami(leaked).status == 403
    assert server.rest.whoami(path.read_text().strip()).status == 200


def test_an_ensured_key_works_and_stays_the_same(
    server: LangflowServer, langkeys: Langkeys, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    for changed in (True, False):
        run = langkeys("api-key", "ensure", name, "--value-file", str(path), "--json").done()
        assert run.json()["changed"] is changed
        assert server.rest.whoami(path.read_text().strip()).status == 200


def test_a_pruned_key_is_refused_and_others_are_not(
    server: LangflowServer, langkeys: Langkeys, database: Database, name: str
) -> None:
    stale, fresh = (
        langkeys("api-key", "create", "--name", f"{name}-{n}", "--json").done().json()
        for n in ("stale", "fresh")
    )
    database.execute(
        "UPDATE apikey SET created_at = '2001-01-01 00:00:00.000000' WHERE id = ?",
        stale["id"].replace("-", ""),
    )
    pruned = langkeys("api-key", "prune", "--older-than", "3650d", "--yes", "--json").done().json()
    assert [key["id"] for key in pruned] == [stale["id"]]
    assert server.rest.whoami(stale["api_key"]).status == 403
    assert server.rest.whoami(fresh["api_key"]).status == 200


def test_a_deactivated_key_is_refused_until_it_is_activated(
    server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    key = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    run = langkeys("api-key", "deactivate", name, "--json")
    if not expected.honours_inactive_key:
        assert run.refused(2).error()["code"] == "unsupported"
        assert server.rest.whoami(key).status == 200
        return
    run.done()
    assert server.rest.whoami(key).status == 403
    langkeys("api-key", "activate", name).done()
    assert server.rest.whoami(key).status == 200


def test_many_at_once_beside_a_server_that_answers(
    server: LangflowServer, langkeys: Langkeys, database: Database, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    known = langkeys("api-key", "create", "--name", f"{name}-known").done().stdout.strip()
    by_key = {"LANGKEYS_API_KEY": known}  # faster without the check of a password
    over, statuses = threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            statuses.append(server.rest.whoami(known).status)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        with ThreadPoolExecutor(max_workers=10) as pool:
            ensured = [
                pool.submit(
                    langkeys, "api-key", "ensure", name, "--value-file", str(path), **by_key
                )
                for _ in range(10)
            ]
            created = [
                pool.submit(langkeys, "api-key", "create", "--name", f"{name}-created", **by_key)
                for _ in range(50)
            ]
            for future in ensured:
                future.result().done()
            keys = [future.result().done().stdout.strip() for future in created]
    finally:
        over.set()
        asking.join()

    assert statuses
    assert set(statuses) == {200}
    assert len(database.query("SELECT id FROM apikey WHERE name = ?", name)) == 1
    assert len(database.query("SELECT id FROM apikey WHERE name = ?", f"{name}-created")) == 50
    for key in (path.read_text().strip(), *keys[::10]):
        assert server.rest.whoami(key).status == 200
