"""Keys are created, listed and revoked by langkeys and over REST, while the server runs."""

from __future__ import annotations

import hashlib
import re
import time

import pytest

from .database import Database
from .expectations import Expected
from .langflow_rest import Via
from .langflow_server import SUPERUSER, LangflowServer
from .langkeys_process import Langkeys

VIAS: tuple[Via, ...] = ("header", "query")


def rest_made_key(server: LangflowServer, token: str, name: str) -> dict[str, str]:
    """Create a key over REST, and wait until other connections can see it.

    Langflow 1.8 to 1.11 answers before it commits.
    """
    answer = server.rest.create_key(name, token=token)
    assert answer.status == 200, answer
    deadline = time.monotonic() + 5
    while server.rest.whoami(answer.body["api_key"]).status != 200:
        assert time.monotonic() < deadline, "the server never committed the key"
    made: dict[str, str] = answer.body
    return made


@pytest.mark.parametrize("via", VIAS)
def test_a_key_made_by_langkeys_is_accepted_at_once(
    via: Via, server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    run = langkeys("api-key", "create", "--name", name).done()
    assert re.fullmatch(r"sk-[A-Za-z0-9_-]{43}\n", run.stdout)

    answer = server.rest.whoami(run.stdout.strip(), via)
    assert answer.status == 200
    assert answer.body["username"] == SUPERUSER
    assert answer.body["is_superuser"] is True


def test_the_short_form_makes_a_key_that_runs_a_flow(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    key = langkeys("api-key").done().stdout.strip()
    flow = server.rest.create_flow(name, key=key)
    answer = server.rest.run(flow, key)
    assert answer.status == 200
    assert answer.body["outputs"][0]["inputs"] == {"input_value": "hello"}


def test_a_new_key_stands_in_its_row_as_this_server_would_have_put_it(
    server: LangflowServer,
    langkeys: Langkeys,
    database: Database,
    expected: Expected,
    token: str,
    name: str,
) -> None:
    ours = langkeys("api-key", "create", "--name", name, "--json").done().json()
    theirs = rest_made_key(server, token, f"{name}-rest")
    our_row, their_row = database.key(ours["id"]), database.key(theirs["id"])

    for made, row in ((ours, our_row), (theirs, their_row)):
        key = made["api_key"]
        if expected.at_rest == "plaintext":
            assert row["api_key"] == key
        else:
            assert row["api_key"].startswith("gAAAAA")
            assert key not in row["api_key"]
        assert ("api_key_hash" in row) is expected.has_hash
        if expected.has_hash:
            assert row["api_key_hash"] == hashlib.sha256(key.encode()).hexdigest()
        assert ("expires_at" in row) is expected.has_expiry
    assert {c: type(v) for c, v in our_row.items() if c != "last_used_at"} == {
        c: type(v) for c, v in their_row.items() if c != "last_used_at"
    }
    time_form = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
    assert re.fullmatch(time_form, our_row["created_at"])
    assert re.fullmatch(time_form, their_row["created_at"])

    listed = {key["id"]: key for key in langkeys("api-key", "list", "--json").done().json()}
    assert listed[ours["id"]]["at_rest"] == expected.at_rest
    assert listed[theirs["id"]]["at_rest"] == expected.at_rest


def test_langkeys_and_the_server_list_the_same_keys(
    server: LangflowServer, langkeys: Langkeys, token: str, name: str
) -> None:
    key = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    rest_made_key(server, token, f"{name}-rest")
    server.rest.whoami(key)

    theirs = {listed["id"]: listed for listed in server.rest.keys(key).body["api_keys"]}
    ours = {listed["id"]: listed for listed in langkeys("api-key", "list", "--json").done().json()}
    assert ours.keys() == theirs.keys()
    for key_id, listed in ours.items():
        for field in ("name", "api_key", "user_id", "total_uses", "is_active"):
            assert listed[field] == theirs[key_id][field], field
        for field in ("created_at", "last_used_at", "expires_at"):
            # Servers may lack expires_at, and 1.13 cuts times to the second.
            assert (listed[field] or "")[:19] == (theirs[key_id].get(field) or "")[:19], field


@pytest.mark.parametrize("reference", ["id", "name", "start of the key", "stdin"])
def test_a_key_made_over_rest_is_found_and_revoked_by_langkeys(
    reference: str,
    server: LangflowServer,
    langkeys: Langkeys,
    database: Database,
    token: str,
    name: str,
) -> None:
    made = rest_made_key(server, token, name)
    key = made["api_key"]
    argument = {"id": made["id"], "name": name, "start of the key": key[:12], "stdin": "-"}
    stdin = key + "\n" if reference == "stdin" else ""

    shown = langkeys("api-key", "show", argument[reference], "--json", stdin=stdin).done().json()
    assert shown["id"] == made["id"]
    assert shown["name"] == name
    assert shown["username"] == SUPERUSER
    assert shown["api_key"] == key[:8] + "*" * (len(key) - 8)

    run = langkeys("api-key", "revoke", argument[reference], "--yes", "--json", stdin=stdin).done()
    assert [revoked["id"] for revoked in run.json()] == [made["id"]]
    assert key not in run.stdout + run.stderr
    for via in VIAS:
        assert server.rest.whoami(key, via).status == 403
    assert database.query("SELECT id FROM apikey WHERE name = ?", name) == []


def test_a_revoked_key_is_refused_at_once_and_no_other(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    run = langkeys("api-key", "create", "--name", name, "--count", "3", "--json").done()
    first, second, third = run.json()
    assert [server.rest.whoami(made["api_key"]).status for made in run.json()] == [200] * 3

    run = langkeys("api-key", "revoke", first["id"], third["id"], "--yes").done()
    assert first["api_key"] not in run.stdout + run.stderr

    assert server.rest.whoami(first["api_key"]).status == 403
    assert server.rest.whoami(second["api_key"]).status == 200
    assert server.rest.whoami(third["api_key"]).status == 403
    refused = langkeys("whoami", "--api-key", "-", "--json", stdin=first["api_key"]).refused(4)
    assert refused.error()["code"] == "invalid_key"


def test_revoking_asks_first_and_a_dry_run_does_nothing(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    key = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    assert langkeys("api-key", "revoke", name, "--json").refused(2).error()["code"] == "usage"
    assert server.rest.whoami(key).status == 200
    langkeys("api-key", "revoke", name, "--dry-run", "--yes").done()
    assert server.rest.whoami(key).status == 200
    langkeys("api-key", "revoke", name, "--yes").done()
    assert server.rest.whoami(key).status == 403


def test_a_key_that_the_server_deletes_is_gone_for_langkeys(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    made = langkeys("api-key", "create", "--name", name, "--json").done().json()
    other = langkeys("api-key", "create", "--name", f"{name}-other").done().stdout.strip()
    assert server.rest.delete_key(made["id"], key=other).status == 200
    deadline = time.monotonic() + 5
    while server.rest.whoami(made["api_key"]).status == 200:
        assert time.monotonic() < deadline, "the key deleted over REST still works"

    refused = langkeys("api-key", "show", made["id"], "--json").refused(3)
    assert refused.error()["code"] == "not_found"


def test_fifty_keys_made_at_once_are_all_accepted(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    made = langkeys("api-key", "create", "--name", name, "--count", "50").done().stdout.split()
    assert len(set(made)) == 50
    assert {server.rest.whoami(key).status for key in made} == {200}


def test_langkeys_acts_by_an_api_key_as_the_server_lets_it(
    langkeys: Langkeys, server: LangflowServer, name: str
) -> None:
    first = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    run = langkeys(
        "api-key",
        "create",
        "--name",
        f"{name}-by-key",
        without="LANGFLOW_SUPERUSER_PASSWORD",
        LANGKEYS_API_KEY=first,
    ).done()
    assert server.rest.whoami(run.stdout.strip()).status == 200

    langkeys("api-key", "revoke", name, "--yes").done()
    refused = langkeys("api-key", "list", "--json", LANGKEYS_API_KEY=first).refused(4)
    assert refused.error()["code"] == "invalid_key"


def test_a_wrong_password_makes_no_key(langkeys: Langkeys, database: Database) -> None:
    before = database.count("apikey")
    refused = langkeys("api-key", "--json", LANGFLOW_SUPERUSER_PASSWORD="wrong").refused(4)
    assert refused.error()["code"] == "unauthenticated"
    assert database.count("apikey") == before
