"""The user whom an API key authenticates to a Langflow server: a short version of Langflow's code.

It follows ``langflow.services.database.models.api_key.crud`` of langflow-base 0.5.1, 0.8.4, 0.9.6,
0.10.3, 0.11.6 and 1.13.0, uses nothing of langkeys, and ignores LANGFLOW_API_KEY.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from cryptography.fernet import InvalidToken

from .databases import Database
from .samples import decrypted, hash_of

PLAINTEXT = ("1.5", "1.6", "1.7")
WITHOUT_HASH = (*PLAINTEXT, "1.8")
IGNORE_STATE = (*WITHOUT_HASH, "1.9")
IGNORE_OWNER = (*IGNORE_STATE, "1.10.0", "1.10")


def authenticated_username(database: Database, api_key: str) -> str | None:
    """Return the name of the user whom the key authenticates; None if a server refuses the key."""
    release = database.shape.release
    row = _row(database, api_key, release)
    if row is None:
        return None
    if release not in IGNORE_STATE and row["expires_at"] is not None:
        expires = datetime.fromisoformat(row["expires_at"]).replace(tzinfo=timezone.utc)
        if datetime.now(timezone.utc) > expires:
            return None
    users = database.rows('SELECT username, is_active FROM "user" WHERE id = ?', (row["user_id"],))
    if not users or (release not in IGNORE_OWNER and not users[0][1]):
        return None
    return str(users[0][0])


def _row(database: Database, api_key: str, release: str) -> dict[str, Any] | None:
    rows = _rows(database)
    if release in PLAINTEXT:
        return next((row for row in rows if row["api_key"] == api_key), None)
    if release not in IGNORE_STATE:
        rows = [row for row in rows if row["is_active"] == 1]
    if release not in WITHOUT_HASH:
        hashed = [row for row in rows if row["api_key_hash"] == hash_of(api_key)]
        if hashed:
            return hashed[0] if len(hashed) == 1 else None
        rows = [row for row in rows if row["api_key_hash"] is None]
    return next(
        (row for row in rows if api_key in (row["api_key"], _decrypt(row["api_key"]))), None
    )


def _rows(database: Database) -> list[dict[str, Any]]:
    columns = ["id", "user_id", "api_key", "is_active"]
    columns += ["expires_at"] if database.shape.key_expiry else []
    columns += ["api_key_hash"] if database.shape.key_hash else []
    found = database.rows(f"SELECT {', '.join(columns)} FROM apikey ORDER BY rowid")
    return [dict(zip(columns, row, strict=True)) for row in found]


def _decrypt(stored: str) -> str:
    if not stored.startswith("gAAAAA"):
        return stored
    try:
        return decrypted(stored)
    except InvalidToken:
        return ""
