"""Connect to a database server, and translate errors of the driver and the server.

A message is not repeated if it could contain a part of the URL or of a row. Errors are recognized
by their code, or by a phrase in their message.
"""

import os
import re
import threading
from contextlib import closing
from typing import Any

from langkeys.errors import ConflictError, LangkeysError, LockedError, StoreError, UnsupportedError
from langkeys.store.postgresql.calls import interruptible
from langkeys.store.postgresql.refusals import refusal
from langkeys.targets import Target

CONNECT_SECONDS = 10
_environment_lock = threading.Lock()
APPLICATION = "langkeys"

_INSTALL = "pip install psycopg2-binary, where langkeys is; or pip install '.[postgresql]'"


def driver() -> Any:
    """Return the module psycopg2; raise UnsupportedError if it is not installed."""
    try:
        import psycopg2
        import psycopg2.extensions
    except ImportError:
        raise UnsupportedError(
            "databases on PostgreSQL need the package psycopg2, which is not installed",
            hint=_INSTALL,
        ) from None
    return psycopg2


def connected(target: Target) -> Any:
    """Connect to a database; raise StoreError, without secrets in its message, if that fails."""
    psycopg2 = driver()
    try:
        connection = interruptible(lambda: _connected(target))
    except psycopg2.Error as error:
        raise refusal(target.location, str(error)) from None
    except (UnicodeError, ValueError, TypeError):
        raise StoreError(
            f"cannot connect to the database {target.location}: its URL is not valid",
            hint="check LANGFLOW_DATABASE_URL",
        ) from None
    _keep_times_and_json_as_text(psycopg2, connection)
    # Outside an explicit transaction, each statement is its own transaction.
    connection.autocommit = True
    return connection


def _connected(target: Target) -> Any:
    psycopg2 = driver()
    parameters = connection_parameters(target)
    if not target.environment:
        return psycopg2.connect(**parameters)
    # libpq has its own precedence rules, so the variables must be passed as variables.
    with _environment_lock:
        before = {name: os.environ.get(name) for name in target.environment}
        os.environ.update(target.environment)
        try:
            return psycopg2.connect(**parameters)
        finally:
            for name, text in before.items():
                if text is None:
                    del os.environ[name]
                else:
                    os.environ[name] = text


def connection_parameters(target: Target) -> dict[str, str]:
    """Return the connection parameters, for libpq and for PostgreSQL's own clients."""
    parameters = {**target.parameters, "application_name": APPLICATION, "client_encoding": "UTF8"}
    if not {**os.environ, **target.environment}.get("PGCONNECT_TIMEOUT"):
        parameters.setdefault("connect_timeout", str(CONNECT_SECONDS))
    return parameters


def answers(target: Target) -> bool:
    """Tell whether a server answers a new connection; a refusal is an answer too."""
    psycopg2 = driver()
    try:
        connection = _connected(target)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.OperationalError as error:
        return "FATAL" in str(error)
    return True


def _keep_times_and_json_as_text(psycopg2: Any, connection: Any) -> None:
    """Make psycopg2 return times and JSON as text: Python's times have no infinity and no 44 BC."""
    numbers = (114, 1082, 1114, 1184, 3802)
    as_text = psycopg2.extensions.new_type(numbers, "LANGKEYS_TEXT", lambda value, _: value)
    psycopg2.extensions.register_type(as_text, connection)


def is_lost(psycopg2: Any, error: Exception) -> bool:
    """Tell whether the connection was lost, so that a new one may succeed."""
    code = getattr(error, "pgcode", None)
    if code is not None:
        return code.startswith("08") or code in ("57P01", "57P02", "57P03")
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)


def silence_error(location: str) -> StoreError:
    """Return the error for a server that has stopped answering."""
    return StoreError(
        f"the database {location} does not answer",
        hint="check the server and the network, and run the command again",
    )


def store_error(psycopg2: Any, error: Exception, location: str, patience: float) -> LangkeysError:
    """Translate a server error by its code."""
    code = getattr(error, "pgcode", None) or ""
    diagnostics = getattr(error, "diag", None)
    name = getattr(diagnostics, "constraint_name", None) or "a constraint"
    if code == "23503":
        return ConflictError(f"{location}: the row refers to a row that does not exist ({name})")
    if code == "23502" and (column := getattr(diagnostics, "column_name", None)):
        table = getattr(diagnostics, "table_name", None)
        return StoreError(
            f"{location}: the column {table}.{column} must have a value, and langkeys writes none",
            hint="give the column a default, or use the langkeys for this version of Langflow",
        )
    if code.startswith("23"):
        return ConflictError(
            f"{location}: a row like this is there already, or must not be ({name})"
        )
    if code == "55P03":
        return LockedError(
            f"the database {location} is locked: another session has held a lock for"
            f" {patience:g} seconds",
            hint="try again; to see who holds it: SELECT * FROM pg_locks WHERE NOT granted",
        )
    if code in ("40001", "40P01"):
        return LockedError(
            f"the database {location} has rolled back the transaction, which conflicted with"
            " another session",
            hint="run the command again",
        )
    if code == "57014":
        return StoreError(
            f"the database {location} took too long to answer",
            hint="try again in a moment, or raise the statement_timeout of this user",
        )
    if code == "25006":
        return StoreError(
            f"the database {location} is read-only; nothing was written",
            hint="use the URL of the primary; if it is the primary, somebody has set"
            " default_transaction_read_only for the user, the database or the server",
        )
    if code == "42501":
        what = _primary(diagnostics)
        rights, tables = "SELECT, INSERT, UPDATE, DELETE", 'apikey, variable, "user"'
        if re.search("permission denied for table (?!(?:apikey|variable|user)$)", what):
            rights, tables = "SELECT", "ALL TABLES IN SCHEMA ..."
        return StoreError(
            f"the user of the database {location} lacks a right: {what}",
            hint=f"connect as the server's own user, or GRANT {rights} ON {tables} TO the user",
        )
    if code == "P0001":
        return StoreError(
            f"a trigger or a function of the database {location} has refused the change",
            hint="its message is in the server's log",
        )
    if code == "42P01" or code == "42703":
        return StoreError(
            f"the tables of the database {location} have just changed: {_primary(diagnostics)}",
            hint="run the command again",
        )
    if code.startswith("22"):
        return StoreError(f"the database {location} cannot hold such a value ({code})")
    if code[:2] in ("53", "57", "58"):
        return StoreError(f"the database {location} failed: {_primary(diagnostics)}")
    if not code and is_lost(psycopg2, error):
        return StoreError(
            f"the connection to the database {location} was lost", hint="run the command again"
        )
    return StoreError(f"the database {location} failed ({code or type(error).__name__})")


def _primary(diagnostics: Any) -> str:
    # Only called for errors whose text contains names and settings, but no values.
    return str(getattr(diagnostics, "message_primary", None) or "no reason was given")
