"""What a server's catalog says about the tables of a Langflow database."""

from collections.abc import Callable, Collection
from typing import Any

from langkeys.errors import NoTablesError, StoreError
from langkeys.store.encrypted_columns import KNOWN_TABLES

ADMINISTERED = frozenset(("apikey", "user", "variable", "alembic_version"))
"""The tables that every command may read."""

Rows = Callable[..., list[Any]]
"""Runs a statement, and returns its rows."""


def read_types(rows: Rows) -> tuple[dict[str, dict[str, str]], set[str]]:
    """Return the column types of all tables, and those of which rows may be hidden from this user.

    Tables that are not known have no columns.
    """
    types: dict[str, dict[str, str]] = {}
    hidden = set()
    for table, column, column_type, may_hide in rows(
        "SELECT c.relname, a.attname, format_type(a.atttypid, NULL), row_security_active(c.oid)"
        " FROM pg_class c"
        " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " AND NOT a.attisdropped AND c.relname = ANY(%s)"
        " WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid)"
        " AND c.relnamespace NOT IN ('pg_catalog'::regnamespace,"
        " 'information_schema'::regnamespace)",
        (sorted(KNOWN_TABLES),),
    ):
        found = types.setdefault(table, {})
        if column is not None:
            found[column] = column_type
        if may_hide:
            hidden.add(table)
    return types, hidden


def missing_tables(rows: Rows, location: str, *, is_empty: bool) -> StoreError:
    """Return the error for a database without a visible table apikey."""
    found = rows(
        "SELECT DISTINCT quote_ident(n.nspname), has_schema_privilege(n.oid, 'USAGE'),"
        " quote_ident(current_user) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relname = 'apikey' AND c.relkind IN ('r', 'p') ORDER BY 1 LIMIT 5"
    )
    if found and not any(may_use for _, may_use, _ in found):
        schema, _, user = found[0]
        return StoreError(
            f"the user of the database {location} may not use the schema of its Langflow tables:"
            f" {schema}",
            hint=f"connect as the server's own user, or GRANT USAGE ON SCHEMA {schema} TO {user}",
        )
    if found:
        schemas = ", ".join(row[0] for row in found)
        return StoreError(
            f"{location} has its Langflow tables in another schema: {schemas}",
            hint="connect as the server's own user, or ALTER ROLE ... SET search_path as the"
            " server's user has it",
        )
    if is_empty:
        return NoTablesError(
            f"{location} is empty: no Langflow server has used it yet",
            hint="start the Langflow server once with this database: it makes the tables and"
            " the superuser",
        )
    return StoreError(
        f"{location} is not a Langflow database: it has no table apikey",
        hint="specify the right one with --database or LANGFLOW_DATABASE_URL",
    )


def require_all_rows(hidden: Collection[str], location: str) -> None:
    """Raise StoreError if row-level security may hide rows of tables from this user.

    A hidden API key could not be found, and would keep working.
    """
    if hidden:
        raise StoreError(
            f"row-level security may hide rows in {location} from its user"
            f" ({', '.join(sorted(hidden))}); nothing was done",
            hint="connect as the owner of the tables, or ALTER ROLE ... BYPASSRLS",
        )
