"""Explain in our own words why a connection to a server failed.

Messages of libpq and the server from before a session exists have no error code and may contain
parts of the URL. They are recognized by phrases, and never repeated.
"""

import re

from langkeys.errors import ConfigError, LangkeysError, StoreError

_NO_HOST = "none of its hosts is what target_session_attrs asks for"
_NOT_READY = "the server is starting up, shutting down or recovering"
_NOT_LET_IN = "it does not let this user in from this machine"
_CLIENT_FILES = (
    "the client certificate and its key (sslcert, sslkey) cannot be used: a file cannot be read, or"
    " they do not belong together"
)

# The first phrase found decides: if several hosts or methods were tried, the message contains
# several phrases.
_REFUSALS = (
    ("password authentication failed", "it refuses the user or the password", "password"),
    ("SASL authentication failed", "it refuses the user or the password", "password"),
    ("no password supplied", "it asks for a password, and none is set", "password"),
    ("fe_sendauth", "it asks for a password, and none is set", "password"),
    ("authentication method requirement", "it does not take require_auth's way", "require_auth"),
    (
        "requires a valid client certificate",
        "it asks for a client certificate, and none was sent",
        "client",
    ),
    ("authentication failed", "it refuses the user", "password"),
    ("SSL encryption", _NOT_LET_IN, "hba"),
    ("no encryption", f"{_NOT_LET_IN} without TLS", "encryption"),
    ("no pg_hba.conf entry", _NOT_LET_IN, "hba"),
    ("pg_hba.conf rejects", _NOT_LET_IN, "hba"),
    ("is not permitted to log in", "the user may not log in", "hba"),
    ("permission denied for database", "the user may not connect to this database", "hba"),
    ("alert unknown ca", "it does not accept the client certificate", "client"),
    ("alert bad certificate", "it does not accept the client certificate", "client"),
    ("alert certificate", "it does not accept the client certificate", "client"),
    ("does not match host name", "its certificate is for another host name", "name"),
    ("certificate verify failed", "its certificate cannot be verified", "root"),
    ("root certificate file", "the root certificates (sslrootcert) cannot be read", "root"),
    ("group or world access", "others can read the client's key (sslkey)", "mode"),
    ("private key", _CLIENT_FILES, "client"),
    ("certificate file", _CLIENT_FILES, "client"),
    ("does not support SSL", "it has no TLS", "tls"),
    ("timeout expired", "it does not answer", "network"),
    ("timed out", "it does not answer", "network"),
    ("timeout", "it does not answer", "network"),
    ("Connection refused", "nothing listens there", "network"),
    ("could not translate host name", "its host name is not known", "network"),
    ("No route to host", "there is no route to it", "network"),
    ("Network is unreachable", "there is no route to it", "network"),
    ("No such file or directory", "there is no socket or file of that name", "network"),
    ("too many clients", "it has no connection left", "busy"),
    ("too many connections", "it has no connection left", "busy"),
    ("no more connections allowed", "it has no connection left", "busy"),
    ("remaining connection slots", "it has no connection left", "busy"),
    ("the database system is", _NOT_READY, "busy"),
    ("the database does not accept", _NOT_READY, "busy"),
    ("server closed the connection", "it closed the connection", "network"),
    ("terminating connection", "it closed the connection", "network"),
    ("certificate", "its certificate, or ours, is not accepted", "tls"),
    ("SSL", "it and this client do not agree on TLS", "tls"),
    ("definition of service", "there is no such service", "service"),
    ("session is not read-only", _NO_HOST, "attributes"),
    ("session is read-only", _NO_HOST, "attributes"),
    ("server is in hot standby mode", _NO_HOST, "attributes"),
    ("server is not in hot standby mode", _NO_HOST, "attributes"),
    ("startup parameter", "it refuses a parameter of the URL", "options"),
    ("configuration parameter", "it refuses a parameter of the URL", "options"),
    ("invalid value for parameter", "it refuses a parameter of the URL", "options"),
)
_HINTS = {
    "password": "check the user and the password in LANGFLOW_DATABASE_URL, PGPASSWORD or ~/.pgpass",
    "require_auth": "remove require_auth from LANGFLOW_DATABASE_URL, or ask who runs the database",
    "hba": "ask who runs the database to let this user in (pg_hba.conf, GRANT CONNECT)",
    "encryption": "set sslmode=require, or verify-full with sslrootcert, in LANGFLOW_DATABASE_URL",
    "network": "check host and port in LANGFLOW_DATABASE_URL, and that the server runs",
    "database": "check the name of the database in LANGFLOW_DATABASE_URL, or PGDATABASE",
    "busy": "try again in a moment",
    "tls": "check sslmode, sslrootcert, sslcert and sslkey in LANGFLOW_DATABASE_URL",
    "client": "set sslcert and sslkey in LANGFLOW_DATABASE_URL to the certificate of this user and"
    " its key",
    "name": "use the host name that the certificate is for; hostaddr=ADDRESS may lead to it",
    "root": "set sslrootcert in LANGFLOW_DATABASE_URL to the certificate that has signed the"
    " server's, or to system",
    "mode": "chmod 600 the file of sslkey",
    "service": "check PGSERVICE and the service file",
    "attributes": "check the hosts and target_session_attrs in LANGFLOW_DATABASE_URL",
    "options": "remove the parameter options from LANGFLOW_DATABASE_URL, or PGOPTIONS, PGDATESTYLE"
    " or PGTZ from the environment",
}
_WITHOUT_VARIABLE = frozenset((
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "tcp_user_timeout",
))  # fmt: skip

# The parameter's name is a word of libpq; its value, before or after the name, comes from the user.
_INVALID = re.compile(
    r'\A(?:connection to server .* failed: )?invalid (?:"?(\w+)"? (?:value|number): '
    r'|integer value .* for connection option "(\w+)"$)'
)


def _variable(parameter: str) -> str:
    """Return the name of the environment variable for a parameter."""
    if parameter == "connect_timeout":
        return "PGCONNECT_TIMEOUT"
    return f"PG{parameter.replace('_', '').upper()}"


def refusal(location: str, said: str) -> LangkeysError:
    """Return the error for libpq's message about a failed connection to ``location``."""
    if invalid := _INVALID.match(said.rstrip()):
        parameter = invalid[1] or invalid[2]
        named = f", or {_variable(parameter)}" if parameter not in _WITHOUT_VARIABLE else ""
        return ConfigError(
            f"the parameter {parameter} of the database {location} has an invalid value",
            hint=f"correct {parameter} in LANGFLOW_DATABASE_URL{named}",
        )
    is_missing = said.rstrip().endswith("does not exist")
    if is_missing and "FATAL:  role" in said:
        what, kind = "it refuses the user or the password", "password"
    elif "no such database" in said or (is_missing and "database" in said):
        what, kind = "it has no such database", "database"
    else:
        what, kind = next(
            ((what, kind) for start, what, kind in _REFUSALS if start in said),
            ("the connection failed", "network"),
        )
    return StoreError(f"cannot connect to the database {location}: {what}", hint=_HINTS[kind])
