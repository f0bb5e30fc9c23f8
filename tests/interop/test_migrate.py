"""`langkeys api-key migrate` with a running server: every key keeps working."""

from __future__ import annotations

import hashlib
import secrets
import uuid

from .database import Database
from .expectations import Expected
from .langflow_server import SUPERUSER, LangflowServer
from .langkeys_process import Langkeys


def plaintext_key(database: Database, name: str) -> tuple[str, str]:
    """Insert a key as Langflow 1.5 to 1.7 stored it; return its id and the key."""
    key = "sk-" + secrets.token_urlsafe(32)
    key_id = uuid.uuid4()
    database.execute(
        "INSERT INTO apikey (id, name, api_key, user_id, total_uses, is_active, created_at)"
        " SELECT ?, ?, ?, id, 0, 1, '2025-06-01 12:00:00.000000' FROM user WHERE username = ?",
        key_id.hex,
        name,
        key,
        SUPERUSER,
    )
    return str(key_id), key


def test_a_key_from_before_is_brought_into_this_server_s_form(
    server: LangflowServer, langkeys: Langkeys, database: Database, expected: Expected, name: str
) -> None:
    key_id, key = plaintext_key(database, name)
    langkeys("api-key", "migrate", "--dry-run").done()
    assert database.key(key_id)["api_key"] == key

    langkeys("api-key", "migrate").done()
    row = database.key(key_id)
    if expected.at_rest == "plaintext":
        assert row["api_key"] == key
    else:
        assert row["api_key"].startswith("gAAAAA")
    if expected.has_hash:
        assert row["api_key_hash"] == hashlib.sha256(key.encode()).hexdigest()
    # Only after the check above, because a server adds a missing hash at the first use.
    assert server.rest.whoami(key).status == 200
    assert server.rest.whoami(key, "query").status == 200
    shown = langkeys("api-key", "show", key_id, "--json").done().json()
    assert shown["at_rest"] == expected.at_rest
    assert shown["api_key"] == key[:8] + "*" * (len(key) - 8)


def test_a_second_migration_finds_nothing_to_do(
    server: LangflowServer, langkeys: Langkeys, database: Database
) -> None:
    assert server.is_running
    langkeys("api-key", "migrate").done()
    before = database.query("SELECT * FROM apikey ORDER BY id")
    assert langkeys("api-key", "migrate").done().stdout == ""
    assert database.query("SELECT * FROM apikey ORDER BY id") == before
