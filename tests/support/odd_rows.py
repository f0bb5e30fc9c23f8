"""Rows that no server writes, with every kind of invalid cell that SQLite accepts."""

from __future__ import annotations

import uuid
from typing import Any

from .databases import Database
from .samples import hash_of

MOMENT = "2026-01-01 00:00:00.000000"
BAD_UTF8 = "CAST(x'6162ff' AS TEXT)"

_BAD_TIMES = (
    "'soon'", "''", "5", "1.5", "x'00ff'", BAD_UTF8, "'2026-13-01 00:00:00.000000'",
    "'2026-02-30 00:00:00.000000'", "'9999-12-31T23:59:59-05:00'", "'0001-01-01T00:00:00+05:00'",
    "'0000-01-01 00:00:00.000000'", "'99999-01-01 00:00:00'",
)  # fmt: skip
_BAD_TEXTS = ("x'00ff'", BAD_UTF8)

BAD_KEY_CELLS = [
    *(("id", sql) for sql in ("'short'", "'" + "g" * 32 + "'", "5", f"x'{'ab' * 16}'", "''",
                              BAD_UTF8, "'0F" + "f" * 30 + "'")),
    *(("user_id", sql) for sql in ("'nobody'", "x'00'", "7")),
    *(("name", sql) for sql in _BAD_TEXTS),
    *(("api_key", sql) for sql in _BAD_TEXTS),
    *(("api_key_hash", sql) for sql in _BAD_TEXTS),
    *(("total_uses", sql) for sql in ("'many'", "1.5", "x'01'")),
    *(("created_at", sql) for sql in _BAD_TIMES),
    *(("last_used_at", sql) for sql in _BAD_TIMES),
    *(("expires_at", sql) for sql in _BAD_TIMES),
]  # fmt: skip
"""Columns of ``apikey``, each with SQL for an invalid value."""

BAD_USER_CELLS = [
    *(("id", sql) for sql in ("'short'", f"x'{'ab' * 16}'", BAD_UTF8)),
    *(("username", sql) for sql in _BAD_TEXTS),
    *(("password", sql) for sql in _BAD_TEXTS),
    *(("profile_image", sql) for sql in _BAD_TEXTS),
    *(("create_at", sql) for sql in _BAD_TIMES),
    *(("updated_at", sql) for sql in _BAD_TIMES),
    *(("last_login_at", sql) for sql in _BAD_TIMES),
    *(("optins", sql) for sql in ("'{'", "5", "x'7b7d'", "'" + "[" * 100_000 + "'", BAD_UTF8)),
]

BAD_VARIABLE_CELLS = [
    *(("id", sql) for sql in ("'short'", f"x'{'ab' * 16}'", BAD_UTF8)),
    *(("user_id", sql) for sql in ("'nobody'", "x'00'")),
    *(("name", sql) for sql in _BAD_TEXTS),
    *(("value", sql) for sql in _BAD_TEXTS),
    *(("type", sql) for sql in _BAD_TEXTS),
    *(("created_at", sql) for sql in _BAD_TIMES),
    *(("updated_at", sql) for sql in _BAD_TIMES),
    *(("default_fields", sql) for sql in ("'['", "5", "x'5b5d'", "'" + "[" * 100_000 + "'")),
]


def add_key(database: Database, owner: str, name: str = "odd", /, **cells: str) -> str:
    """Add an API key, with ``cells`` as SQL, and return its plaintext."""
    plaintext = f"sk-{uuid.uuid4().hex}{uuid.uuid4().hex[:11]}"
    values: dict[str, Any] = {
        "id": _quoted(uuid.uuid4().hex),
        "name": _quoted(name),
        "user_id": _quoted(owner),
        "api_key": _quoted(f"gAAAAA{uuid.uuid4().hex}"),
        "created_at": _quoted(MOMENT),
        "total_uses": "0",
        "is_active": "1",
    }
    if database.shape.key_hash:
        values["api_key_hash"] = _quoted(hash_of(plaintext))
    _insert(database, "apikey", {**values, **cells})
    return plaintext


def add_user(database: Database, username: str = "odd", /, **cells: str) -> None:
    values = {
        "id": _quoted(uuid.uuid4().hex),
        "username": _quoted(username),
        "password": "'$2b$04$nothing'",
        "is_active": "1",
        "is_superuser": "1",
        "create_at": _quoted(MOMENT),
        "updated_at": _quoted(MOMENT),
    }
    _insert(database, "user", {**values, **cells})


def add_variable(database: Database, owner: str, name: str = "ODD", /, **cells: str) -> None:
    values = {
        "id": _quoted(uuid.uuid4().hex),
        "name": _quoted(name),
        "user_id": _quoted(owner),
        "value": "'x'",
        "type": "'Generic'",
    }
    _insert(database, "variable", {**values, **cells})


def _insert(database: Database, table: str, cells: dict[str, str]) -> None:
    # As SQL, because a Python parameter cannot be text that is not UTF-8.
    database.rows(
        f'INSERT INTO "{table}" ({", ".join(cells)}) VALUES ({", ".join(cells.values())})'
    )


def _quoted(text: str) -> str:
    return f"'{text}'"
