"""Errors of engines get langkeys' own messages, which name the database, and hints."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from langkeys.errors import LangkeysError
from langkeys.store.postgresql.connections import is_lost
from langkeys.store.postgresql.connections import store_error as server_error
from langkeys.store.sqlite.connections import store_error as file_error

from ..support import postgresql, stores
from ..support.databases import Database

SERVER = "postgresql://langflow@db/langflow"
PATH = Path("/srv/langflow.db")

RAISE = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{}', MESSAGE = 'why'; END $$"
"""SQL that makes a server report an error with this code."""


def caught(code: str) -> psycopg2.Error:
    """Return the driver's exception for an error that a server reports with this code."""
    with closing(postgresql.cluster().connect()) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.Error) as raised:
            cursor.execute(RAISE.format(code))
        return raised.value


@pytest.mark.parametrize(
    ("code", "kind", "message", "hint"),
    [
        ("23503", "conflict", f"{SERVER}: the row refers to a row that does not exist (", None),
        ("23505", "conflict", f"{SERVER}: a row like this is there already, or must", None),
        ("55P03", "store", f"the database {SERVER} is locked: another session has", "try again;"),
        ("57014", "store", f"the database {SERVER} took too long to answer", "try again in a"),
        (
            "25006",
            "store",
            f"the database {SERVER} is read-only; nothing",
            "use the URL of the primary",
        ),
        ("42501", "store", f"the user of the database {SERVER} lacks a right: why", "connect as"),
        ("42P01", "store", f"the tables of the database {SERVER} have just changed: why", "run"),
        ("42703", "store", f"the tables of the database {SERVER} have just changed: why", "run"),
        ("22001", "store", f"the database {SERVER} cannot hold such a value (22001)", None),
        ("53100", "store", f"the database {SERVER} failed: why", None),
        ("58030", "store", f"the database {SERVER} failed: why", None),
        ("42601", "store", f"the database {SERVER} failed (42601)", None),
    ],
)
def test_a_servers_error_is_told_by_its_code(
    code: str, kind: str, message: str, hint: str | None
) -> None:
    error = server_error(psycopg2, caught(code), SERVER, 10.0)
    assert error.code == kind
    assert error.message.startswith(message)
    assert (error.hint is None) == (hint is None)
    assert str(error.hint).startswith(str(hint))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("08006", True),
        ("57P01", True),  # an administrator ends the session
        ("57P02", True),  # another process of the server crashed
        ("57P03", True),  # the server is starting up
        ("57014", False),
        ("40001", False),
    ],
)
def test_only_some_errors_are_a_lost_connection(code: str, expected: bool) -> None:
    assert is_lost(psycopg2, caught(code)) is expected


def test_a_connection_that_ends_was_lost() -> None:
    error = server_error(psycopg2, psycopg2.OperationalError("EOF"), SERVER, 10.0)
    assert error.message == f"the connection to the database {SERVER} was lost"
    assert error.hint == "run the command again"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("database is locked", "is locked: another process has held it for 10 seconds"),
        ("attempt to write a readonly database", "cannot be written: attempt to write a readonly"),
        ("unable to open database file", "cannot be opened: unable to open database file"),
        ("no such column: rowid", "has a table WITHOUT ROWID, which no server creates"),
        ("file is not a database", "is corrupt or not a SQLite database: file is not a database"),
        ("disk I/O error", "failed: disk I/O error"),
    ],
)
def test_an_error_of_sqlite_is_told_by_its_text(said: str, message: str) -> None:
    error = file_error(sqlite3.OperationalError(said), PATH, 10.0)
    assert error.message.startswith(f"the database {PATH} {message}")


def test_the_wait_for_a_locked_database_is_told(database: Database, superuser: str) -> None:
    database.add_key(superuser, "ci")
    with (
        closing(sqlite3.connect(database.path, isolation_level=None)) as server,
        stores.opened(database, writable=True, busy_timeout=0.05) as store,
    ):
        server.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LangkeysError) as raised, store.transaction():
            pass
    assert raised.value.message == (
        f"the database {database.path} is locked: another process has held it for 0.05 seconds"
    )
