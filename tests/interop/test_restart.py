"""Changes by langkeys survive a clean stop and a start of the server."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from .database import Database
from .expectations import Expected
from .langflow_rest import Via
from .langflow_server import SUPERUSER, LangflowServer
from .langkeys_process import Langkeys


@dataclass
class Before:
    """The keys that were created before the restart."""

    kept: str
    kept_id: str
    revoked: str
    made_while_down: str
    secret_key: bytes


@pytest.fixture(scope="module")
def before(server: LangflowServer, langkeys: Langkeys) -> Before:
    """Create keys, revoke one, and restart the server; create another key while it is down."""
    kept = langkeys("api-key", "create", "--name", "kept", "--json").done().json()
    revoked = langkeys("api-key", "create", "--name", "revoked").done().stdout.strip()
    assert server.rest.whoami(revoked).status == 200
    langkeys("api-key", "revoke", "revoked", "--yes").done()
    secret_key = (server.config_dir / "secret_key").read_bytes()
    server.stop()
    made_while_down = langkeys("api-key", "create", "--name", "while-down").done().stdout.strip()
    server.start()
    return Before(kept["api_key"], kept["id"], revoked, made_while_down, secret_key)


@pytest.mark.parametrize("via", ["header", "query"])
@pytest.mark.parametrize("key", ["kept", "made_while_down"])
def test_keys_are_accepted_after_a_restart(
    via: Via, key: str, before: Before, server: LangflowServer
) -> None:
    answer = server.rest.whoami(getattr(before, key), via)
    assert answer.status == 200
    assert answer.body["username"] == SUPERUSER
    assert answer.body["is_superuser"] is True


def test_a_revoked_key_stays_refused(before: Before, server: LangflowServer) -> None:
    assert server.rest.whoami(before.revoked).status == 403


def test_langkeys_left_the_secret_key_alone(before: Before, server: LangflowServer) -> None:
    assert (server.config_dir / "secret_key").read_bytes() == before.secret_key


def test_the_server_added_nothing_to_the_row_of_a_key(
    before: Before, server: LangflowServer, langkeys: Langkeys, expected: Expected
) -> None:
    server.rest.whoami(before.kept)
    database = Database(server.database)
    (row,) = database.query("SELECT * FROM apikey WHERE id = ?", uuid.UUID(before.kept_id).hex)
    assert row["api_key"].startswith("gAAAAA" if expected.at_rest == "fernet" else "sk-")
    shown = langkeys("api-key", "show", before.kept_id, "--json").done().json()
    assert shown["status"] == "active"
    assert shown["total_uses"] >= 1
