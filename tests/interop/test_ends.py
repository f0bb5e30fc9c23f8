"""Ends of a key other than revocation: expiry, deactivation, an inactive owner.

Some generations honour them and some do not. langkeys must not promise what the server does not
honour, and must say which keys the server still accepts.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta, timezone

from .database import Database
from .expectations import Expected
from .langflow_server import LangflowServer
from .langkeys_process import Langkeys, Run


def whoami_here(langkeys: Langkeys, key: str) -> Run:
    return langkeys("whoami", "--api-key", "-", "--json", stdin=key)


def test_an_expiring_key_is_refused_after_its_time_or_never_made(
    server: LangflowServer, langkeys: Langkeys, database: Database, expected: Expected, name: str
) -> None:
    before = database.count("apikey")
    run = langkeys("api-key", "create", "--name", name, "--expires", "3s", "--json")
    if not expected.has_expiry:
        assert run.refused(2).error()["code"] == "unsupported"
        assert database.count("apikey") == before
        return

    made = run.done().json()
    key = made["api_key"]
    assert server.rest.whoami(key).status == 200
    assert whoami_here(langkeys, key).done().json()["api_key"]["expires_at"] == made["expires_at"]
    expires_at = datetime.fromisoformat(made["expires_at"].replace("Z", "+00:00"))
    time.sleep(max(0.0, (expires_at - datetime.now(timezone.utc)).total_seconds()) + 0.1)

    assert server.rest.whoami(key, "header").status == 403
    assert server.rest.whoami(key, "query").status == 403
    assert whoami_here(langkeys, key).refused(4).error()["code"] == "invalid_key"
    expired = langkeys("api-key", "list", "--status", "expired", "--json").done().json()
    assert [(listed["id"], listed["status"]) for listed in expired if listed["name"] == name] == [
        (made["id"], "expired")
    ]


def test_a_key_of_ninety_days_is_accepted_today(
    server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    run = langkeys("api-key", "create", "--name", name, "--expires", "90d", "--json")
    if not expected.has_expiry:
        assert run.refused(2).error()["code"] == "unsupported"
        return
    made = run.done().json()
    assert server.rest.whoami(made["api_key"]).status == 200
    listed = {key["id"]: key for key in server.rest.keys(made["api_key"]).body["api_keys"]}
    assert listed[made["id"]]["expires_at"][:19] == made["expires_at"][:19]


def test_an_expiry_in_the_table_counts_where_the_server_counts_it(
    server: LangflowServer, langkeys: Langkeys, database: Database, expected: Expected, name: str
) -> None:
    if not expected.has_expiry:
        columns = database.query("SELECT name FROM pragma_table_info('apikey')")
        assert {"name": "expires_at"} not in columns
        return
    made = langkeys("api-key", "create", "--name", name, "--json").done().json()
    past = (datetime.now(timezone.utc) - timedelta(seconds=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    database.execute(
        "UPDATE apikey SET expires_at = ? WHERE id = ?", past, uuid.UUID(made["id"]).hex
    )
    assert server.rest.whoami(made["api_key"]).status == 403
    assert whoami_here(langkeys, made["api_key"]).refused(4).error()["code"] == "invalid_key"


def test_an_inactive_key_is_what_the_server_makes_of_it(
    server: LangflowServer, langkeys: Langkeys, database: Database, expected: Expected, name: str
) -> None:
    made = langkeys("api-key", "create", "--name", name, "--json").done().json()
    key = made["api_key"]
    flow = server.rest.create_flow(name, key=key)
    database.execute("UPDATE apikey SET is_active = 0 WHERE id = ?", uuid.UUID(made["id"]).hex)

    statuses = (server.rest.whoami(key).status, server.rest.run(flow, key).status)
    if expected.honours_inactive_key:
        assert statuses == (403, 403)
        assert whoami_here(langkeys, key).refused(4).error()["code"] == "invalid_key"
    else:
        assert statuses == (200, 200)
        run = whoami_here(langkeys, key).done()
        assert run.json()["api_key"]["id"] == made["id"]
        assert "inactive" in run.stderr
    (listed,) = langkeys("api-key", "list", "--status", "inactive", "--json").done().json()
    assert (listed["id"], listed["is_active"]) == (made["id"], False)
    langkeys("api-key", "revoke", made["id"], "--yes").done()
    assert server.rest.whoami(key).status == 403


def test_deactivation_is_refused_where_the_server_ignores_it(
    server: LangflowServer, langkeys: Langkeys, database: Database, expected: Expected, name: str
) -> None:
    made = langkeys("api-key", "create", "--name", name, "--json").done().json()
    run = langkeys("api-key", "deactivate", made["id"], "--json")
    if not expected.honours_inactive_key:
        assert run.refused(2).error()["code"] == "unsupported"
        assert database.key(made["id"])["is_active"] == 1
        assert server.rest.whoami(made["api_key"]).status == 200
        return
    run.done()
    assert server.rest.whoami(made["api_key"]).status == 403
    langkeys("api-key", "activate", made["id"]).done()
    assert server.rest.whoami(made["api_key"]).status == 200


def test_the_key_of_an_inactive_owner_is_what_the_server_makes_of_it(
    server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    admin = langkeys("api-key", "create", "--name", f"{name}-admin").done().stdout.strip()
    owner = server.rest.create_user(name, "a-password-of-the-owner", key=admin)
    made = langkeys("api-key", "create", "--user", name, "--name", name, "--json").done().json()
    key = made["api_key"]
    assert made["username"] == name
    flow = server.rest.create_flow(name, key=key)
    assert server.rest.whoami(key).body["username"] == name
    assert server.rest.run(flow, key).status == 200

    server.rest.update_user(owner, {"is_active": False}, key=admin)
    deadline = time.monotonic() + 5
    while server.rest.whoami(key).status == 200:
        assert time.monotonic() < deadline, "the owner deactivated over REST is still active"
    assert server.rest.whoami(key).status == expected.inactive_owner_at_whoami
    assert server.rest.run(flow, key).status == expected.inactive_owner_at_run

    run = whoami_here(langkeys, key)
    if expected.inactive_owner_at_run == 200:
        # /api/v1/run still accepts the key, so langkeys warns.
        assert run.done().json()["is_active"] is False
        assert name in run.stderr
        assert "inactive" in run.stderr
    else:
        assert run.refused(4).error()["code"] == "invalid_key"
        assert "inactive" in run.stderr
    # The server's own whoami refuses the key in every generation.
    remote = langkeys("whoami", "--url", server.url, "--api-key", "-", "--json", stdin=key)
    assert remote.refused(4).error()["code"] == "invalid_key"

    langkeys("api-key", "revoke", made["id"], "--yes").done()
    assert server.rest.run(flow, key).status == 403


def test_langkeys_does_not_act_by_the_key_of_an_inactive_owner(
    server: LangflowServer, langkeys: Langkeys, database: Database, name: str
) -> None:
    admin = langkeys("api-key", "create", "--name", f"{name}-admin").done().stdout.strip()
    owner = uuid.UUID(server.rest.create_user(name, "a-password-of-the-owner", key=admin)).hex
    made = langkeys("api-key", "create", "--user", name, "--name", name, "--json").done().json()
    database.execute("UPDATE user SET is_superuser = 1, is_active = 0 WHERE id = ?", owner)
    run = langkeys("api-key", "list", "--json", LANGKEYS_API_KEY=made["api_key"]).refused(4)
    assert run.error()["code"] in ("invalid_key", "forbidden")
