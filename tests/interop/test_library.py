"""A gateway and a real server accept, refuse and count the same keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import langkeys
from langkeys.config.known_settings import KNOWN

from .database import Database
from .expectations import Expected
from .langflow_server import SUPERUSER, LangflowServer
from .test_api_keys import rest_made_key


@pytest.fixture
def gateway(
    server: LangflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[langkeys.LangflowStore]:
    monkeypatch.chdir(tmp_path)  # a folder without .env
    settings = {name: text for name, text in server.settings.items() if name in KNOWN}
    with langkeys.open_store(settings=settings) as store:
        yield store


def refused(gateway: langkeys.LangflowStore, api_key: str) -> str:
    with pytest.raises(langkeys.InvalidKeyError) as caught:
        gateway.verify(api_key)
    return caught.value.reason


def test_a_key_that_the_server_has_made_is_known_at_once_and_refused_at_once(
    gateway: langkeys.LangflowStore, server: LangflowServer, token: str, name: str
) -> None:
    made = rest_made_key(server, token, name)
    for _ in range(3):
        verified = gateway.verify(made["api_key"])
        assert verified.user.username == SUPERUSER
        assert verified.api_key is not None
        assert verified.api_key.name == name
    assert server.rest.delete_key(made["id"], key=made["api_key"]).status == 200
    deadline = time.monotonic() + 5
    # Up to 1.11, servers answer before they commit.
    while server.rest.whoami(made["api_key"]).status == 200:
        assert time.monotonic() < deadline
    assert refused(gateway, made["api_key"]) == "unknown"


def test_a_key_that_a_program_makes_rotates_and_revokes_is_so_to_the_server(
    gateway: langkeys.LangflowStore, server: LangflowServer, name: str
) -> None:
    made = gateway.api_keys.create(name)
    assert server.rest.whoami(made.plaintext).body["username"] == SUPERUSER
    rotated = gateway.api_keys.rotate(
        name, deliver=lambda api_key: _holds(server.rest.whoami(api_key).status == 200)
    )
    assert server.rest.whoami(made.plaintext).status == 403
    assert server.rest.whoami(rotated.new.plaintext).status == 200
    gateway.api_keys.revoke(rotated.new.plaintext)
    assert server.rest.whoami(rotated.new.plaintext).status == 403
    assert refused(gateway, rotated.new.plaintext) == "unknown"


def _holds(condition: bool) -> None:
    assert condition


def test_uses_are_counted_as_the_server_counts_them(
    gateway: langkeys.LangflowStore, server: LangflowServer, database: Database, name: str
) -> None:
    made = gateway.api_keys.create(name)
    gateway.verify(made.plaintext)
    assert database.key(made.row.id)["total_uses"] == 0
    for _ in range(3):
        gateway.verify(made.plaintext, count_use=True)
    ours = database.key(made.row.id)
    assert ours["total_uses"] == 3
    before = ours["total_uses"]
    assert server.rest.whoami(made.plaintext).status == 200
    theirs = database.key(made.row.id)
    assert theirs["total_uses"] > before
    # Both write times in the same format, so each can read the other's.
    assert len(theirs["last_used_at"]) == len(ours["last_used_at"])
    assert theirs["last_used_at"] >= ours["last_used_at"]
    gateway.verify(made.plaintext, count_use=True)
    assert database.key(made.row.id)["total_uses"] == theirs["total_uses"] + 1


def test_the_key_of_an_inactive_owner_is_what_it_is_to_the_server(
    gateway: langkeys.LangflowStore,
    server: LangflowServer,
    expected: Expected,
    database: Database,
    token: str,
    name: str,
) -> None:
    admin = gateway.api_keys.create(name)
    user_id = server.rest.create_user(name, "a-password-of-the-owner", key=admin.plaintext)
    made = gateway.api_keys.create(name, user=name)
    assert gateway.verify(made.plaintext).warning is None
    server.rest.update_user(user_id, {"is_active": False}, key=admin.plaintext)
    deadline = time.monotonic() + 5
    while server.rest.whoami(made.plaintext).status == 200:
        assert time.monotonic() < deadline
    if expected.inactive_owner_at_run == 403:
        assert refused(gateway, made.plaintext) == "owner inactive"
    else:
        assert "still lets the key run flows" in (gateway.verify(made.plaintext).warning or "")


def test_a_variable_that_a_program_sets_is_the_servers(
    gateway: langkeys.LangflowStore, server: LangflowServer, name: str
) -> None:
    made = gateway.api_keys.create(name)
    gateway.variables.set(name, "the value", type="Credential", default_fields=["Some Field"])
    (theirs,) = [v for v in server.rest.variables(made.plaintext).body if v["name"] == name]
    assert theirs["type"] == "Credential"
    assert theirs["default_fields"] == ["Some Field"]
    assert gateway.variables.reveal(name) == "the value"
    gateway.variables.delete(name)
    assert name not in {v["name"] for v in server.rest.variables(made.plaintext).body}
