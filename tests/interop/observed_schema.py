"""The schema of a server's database, and the columns that contain secrets or may contain them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .database import TABLES, Database
from .langflow_install import install

_SECRET_NAME = re.compile(r"secret|encrypt|credential|passw|token|api_key|auth_settings|signing")
_ENCRYPTING = re.compile(r"\bencrypt\w*\(|\.encrypt\(")


@dataclass
class Schema:
    """The schema of a release's database."""

    revisions: list[str]
    columns: Mapping[str, Mapping[str, str]]
    """For each table, its columns by name, each with its type and constraints."""
    indexes: Mapping[str, str]
    """The SQL of each index, by name, except for implicit indexes, which have none."""
    shape: Mapping[tuple[str, str], str | None]
    """The normalised SQL of the tables that langkeys writes to."""
    tokens: list[str]
    """Columns that contain Fernet tokens after some use."""
    secret_names: list[str]
    """Text columns whose names suggest that they contain secrets."""
    encrypting: list[str]
    """Source files of the release that encrypt something."""


def observe_schema(version: str, path: Path) -> Schema:
    """Read the database of a running server."""
    database = Database(path)
    tables = [
        str(row["name"])
        for row in database.query("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not row["name"].startswith("sqlite_")
    ]
    described = {
        table: database.query(f'SELECT * FROM pragma_table_info("{table}")') for table in tables
    }
    columns = {
        table: {str(row["name"]): _described(row) for row in rows}
        for table, rows in described.items()
    }
    texts = [
        (table, column)
        for table in sorted(columns)
        for column, kind in columns[table].items()
        if re.match(r"VARCHAR|TEXT|JSON|CHAR\b|AutoString|$", kind)
    ]
    indexes = database.query(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    )
    return Schema(
        revisions=[row["version_num"] for row in database.query("SELECT * FROM alembic_version")],
        columns=columns,
        indexes={row["name"]: " ".join(row["sql"].split()) for row in indexes},
        shape=database.shape(),
        tokens=[f"{table}.{name}" for table, name in texts if _has_tokens(database, table, name)],
        secret_names=[f"{table}.{name}" for table, name in texts if _SECRET_NAME.search(name)],
        encrypting=_encrypting_files(version),
    )


def _described(row: Mapping[str, object]) -> str:
    words = [str(row["type"])]
    if row["notnull"]:
        words.append("NOT NULL")
    if row["dflt_value"] is not None:
        words.append(f"DEFAULT {row['dflt_value']}")
    if row["pk"]:
        words.append("PRIMARY KEY")
    return " ".join(words)


def _has_tokens(database: Database, table: str, column: str) -> bool:
    sql = f"""SELECT 1 FROM "{table}" WHERE "{column}" LIKE '%gAAAAA%' LIMIT 1"""
    return bool(database.query(sql))


def _encrypting_files(version: str) -> list[str]:
    (packages,) = (install(version) / "lib").glob("python*/site-packages")
    return sorted(
        str(path.relative_to(packages))
        for package in ("langflow", "lfx")
        for path in (packages / package).rglob("*.py")
        if _ENCRYPTING.search(path.read_text(encoding="utf-8", errors="replace"))
    )


def schema_changes(old: Schema, new: Schema) -> list[str]:
    """Return the differences, one per line."""
    lines = []
    if old.revisions != new.revisions:
        lines.append(f"revision: {_list(old.revisions)} -> {_list(new.revisions)}")
    for table in sorted(old.columns.keys() | new.columns.keys()):
        before, after = old.columns.get(table), new.columns.get(table)
        if before is None or after is None:
            there = after if before is None else before
            assert there is not None
            change = "new" if before is None else "gone"
            lines.append(f"{change} table {table}: {', '.join(there)}")
            continue
        for column in sorted(before.keys() | after.keys()):
            one, other = before.get(column, "none"), after.get(column, "none")
            if one != other:
                lines.append(f"column {table}.{column}: {one} -> {other}")
    known = old.columns.keys() & new.columns.keys()
    for name in sorted(old.indexes.keys() | new.indexes.keys()):
        one, other = old.indexes.get(name, "none"), new.indexes.get(name, "none")
        if one != other and _table_of(other if other != "none" else one) in known:
            lines.append(f"index {name}: {one} -> {other}")
    for key in sorted(old.shape.keys() | new.shape.keys()):
        if key[0] == "table" and old.shape.get(key) != new.shape.get(key):
            lines.append(f"SQL of {key[1]}: {old.shape.get(key)} -> {new.shape.get(key)}")
    for title, before_list, after_list in (
        ("columns with Fernet tokens", old.tokens, new.tokens),
        ("columns that may hold a secret, by their names", old.secret_names, new.secret_names),
        ("source files that encrypt", old.encrypting, new.encrypting),
    ):
        lines += [f"{title}, new: {one}" for one in after_list if one not in before_list]
        lines += [f"{title}, gone: {one}" for one in before_list if one not in after_list]
    return lines


def telling_column(old: Schema, new: Schema) -> str | None:
    """Return a column, or else a table, that only the new release has."""
    for table in TABLES:
        for column in new.columns[table]:
            if column not in old.columns[table]:
                return f"{table}.{column}"
    return min(new.columns.keys() - old.columns.keys(), default=None)


def _list(values: list[str]) -> str:
    return ", ".join(values) or "none"


def _table_of(sql: str) -> str:
    found = re.search(r"\bON [\"'`]?(\w+)", sql)
    return found.group(1) if found else ""
