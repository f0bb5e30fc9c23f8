"""Read a server's database with plain SQL, without langkeys."""

from __future__ import annotations

import re
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

TABLES = ("user", "apikey", "variable")

_CONSTRAINTS = ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK", "CONSTRAINT")


class Database:
    """A SQLite database that a server may have open; each call opens its own connection."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def query(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.path, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, parameters)]

    def execute(self, sql: str, *parameters: object) -> None:
        """Change exactly one row, and commit."""
        with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            assert connection.execute(sql, parameters).rowcount == 1, sql

    def key(self, key_id: str) -> dict[str, Any]:
        """Return the row of the API key with this dashed id."""
        (row,) = self.query("SELECT * FROM apikey WHERE id = ?", uuid.UUID(key_id).hex)
        return row

    def count(self, table: str) -> int:
        return int(self.query(f'SELECT count(*) AS n FROM "{table}"')[0]["n"])

    def shape(self) -> dict[tuple[str, str], str | None]:
        """Return the SQL of the tables that langkeys knows and of their indexes, by kind and name.

        White space, quotes and the order of a table's constraints are normalised; the order differs
        even between two new databases of the same server.
        """
        marks = ", ".join("?" for _ in TABLES)
        rows = self.query(
            f"SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN ({marks})", *TABLES
        )
        return {(row["type"], row["name"]): _normalised(row["sql"]) for row in rows}


def _normalised(sql: str | None) -> str | None:
    if sql is None:
        return None
    words = re.sub(r"\s+", " ", re.sub(r"[\"'`\[\]]", "", sql)).strip()
    head, _, body = words.partition("(")
    if not head.startswith("CREATE TABLE"):
        return words
    parts = [part.strip() for part in _split(body.removesuffix(")"))]
    columns = [part for part in parts if not part.startswith(_CONSTRAINTS)]
    constraints = sorted(part for part in parts if part.startswith(_CONSTRAINTS))
    return f"{head.strip()} ({', '.join(columns + constraints)})"


def _split(body: str) -> list[str]:
    """Split the body of a CREATE TABLE at its own commas, not at those within parentheses."""
    parts, depth = [""], 0
    for character in body:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
