"""Connect to a database server, and translate the errors of the driver and the server.

Their messages are not repeated if they could contain a part of the URL or of a row. An error is
recognized by its code, or by a phrase in its message.
"""

from typing import Any

from langkeys.errors import ConflictError, LangkeysError, LockedError, StoreError, UnsupportedError
from langkeys.targets import Target

CONNECT_SECONDS = 10
APPLICATION = "langkeys"

_INSTALL = "pip install psycopg2-binary, where langkeys is; or pip install '.[postgresql]'"
_NO_HOST = "none of its hosts is what target_session_attrs asks for"
_NOT_READY = "the server is starting up, shutting down or recovering"

# Errors of libpq before there is a session have no code: a phrase, its meaning, and its hint.
_REFUSALS = (
    ("password authentication failed", "it refuses the user or the password", "password"),
    ("no password supplied", "it asks for a password, and none is set", "password"),
    ("fe_sendauth", "it asks for a password, and none is set", "password"),
    ("authentication failed", "it refuses the user", "password"),
    ("no pg_hba.conf entry", "it does not let this user in from this machine", "hba"),
    ("pg_hba.conf rejects", "it does not let this user in from this machine", "hba"),
    ("is not permitted to log in", "the user may not log in", "hba"),
    ("permission denied for database", "the user may not connect to this database", "hba"),
    ("timeout expired", "it does not answer", "network"),
    ("timed out", "it does not answer", "network"),
    ("Connection refused", "nothing listens there", "network"),
    ("could not translate host name", "its host name is not known", "network"),
    ("No route to host", "there is no route to it", "network"),
    ("Network is unreachable", "there is no route to it", "network"),
    ("No such file or directory", "there is no socket or file of that name", "network"),
    ("too many clients", "it has no connection left", "busy"),
    ("too many connections", "it has no connection left", "busy"),
    ("remaining connection slots", "it has no connection left", "busy"),
    ("the database system is", _NOT_READY, "busy"),
    ("server closed the connection", "it closed the connection", "network"),
    ("terminating connection", "it closed the connection", "network"),
    ("certificate", "its certificate, or ours, is not accepted", "tls"),
    ("SSL", "it and this client do not agree on TLS", "tls"),
    ("definition of service", "there is no such service", "service"),
    ("session is not read-only", _NO_HOST, "network"),
    ("session is read-only", _NO_HOST, "network"),
    ("server is in hot standby mode", _NO_HOST, "network"),
)  # fmt: skip
_HINTS = {
    "password": "check the user and the password in LANGFLOW_DATABASE_URL, PGPASSWORD or ~/.pgpass",
    "hba": "ask who runs the database to let this user in (pg_hba.conf, GRANT CONNECT)",
    "network": "check host and port in LANGFLOW_DATABASE_URL, and that the server runs",
    "busy": "try again in a moment",
    "tls": "check sslmode, sslrootcert, sslcert and sslkey in LANGFLOW_DATABASE_URL",
    "service": "check PGSERVICE and the service file",
}


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
    """Connect to a database; raise StoreError, with a message without secrets, if that fails."""
    psycopg2 = driver()
    parameters: dict[str, object] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": APPLICATION,
        **{name: text for name, text in target.parameters.items() if name != "application_name"},
        "client_encoding": "UTF8",
    }
    try:
        connection = psycopg2.connect(**parameters)
    except psycopg2.Error as error:
        raise _cannot_connect(target.location, str(error)) from None
    except (UnicodeError, ValueError, TypeError):
        raise StoreError(
            f"cannot connect to the database {target.location}: its URL is not valid",
            hint="check LANGFLOW_DATABASE_URL",
        ) from None
    _keep_times_and_json_as_text(psycopg2, connection)
    # Outside an explicit transaction, each statement is its own transaction.
    connection.autocommit = True
    return connection


def _keep_times_and_json_as_text(psycopg2: Any, connection: Any) -> None:
    """Make psycopg2 return times and JSON as text: Python has no infinity and no 44 BC."""
    numbers = (114, 1082, 1114, 1184, 3802)
    as_text = psycopg2.extensions.new_type(numbers, "LANGKEYS_TEXT", lambda value, _: value)
    psycopg2.extensions.register_type(as_text, connection)


def _cannot_connect(location: str, said: str) -> StoreError:
    if "database" in said and said.rstrip().endswith("does not exist"):
        what, kind = "it has no such database", "network"
        if "FATAL:  role" in said:
            what, kind = "it refuses the user or the password", "password"
    else:
        what, kind = next(
            ((what, kind) for start, what, kind in _REFUSALS if start in said),
            ("the connection failed", "network"),
        )
    return StoreError(f"cannot connect to the database {location}: {what}", hint=_HINTS[kind])


def is_lost(psycopg2: Any, error: Exception) -> bool:
    """Tell whether the connection was lost, so that a new one may succeed."""
    code = getattr(error, "pgcode", None)
    if code is not None:
        return code.startswith("08") or code in ("57P01", "57P02", "57P03")
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)


def store_error(psycopg2: Any, error: Exception, location: str, patience: float) -> LangkeysError:
    """Translate an error of the server, by its code."""
    code = getattr(error, "pgcode", None) or ""
    diagnostics = getattr(error, "diag", None)
    name = getattr(diagnostics, "constraint_name", None) or "a constraint"
    if code == "23503":
        return ConflictError(f"{location}: what the row refers to is not there ({name})")
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
    if code == "57014":
        return StoreError(
            f"the database {location} took too long to answer", hint="try again in a moment"
        )
    if code == "25006":
        return StoreError(
            f"the database {location} is read-only: it is a replica, or was opened for reading;"
            " nothing was written",
            hint="use the URL of the primary",
        )
    if code == "42501":
        return StoreError(
            f"the user of the database {location} lacks a right: {_primary(diagnostics)}",
            hint="connect as the server's own user, or GRANT SELECT, INSERT, UPDATE, DELETE ON"
            ' apikey, variable, "user" TO the user',
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
    # Used only for errors whose text names tables, columns and settings, and no values.
    return str(getattr(diagnostics, "message_primary", None) or "no reason was given")
