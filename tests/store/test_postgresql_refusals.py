"""Each reason for which a server refuses a connection has its own message and hint."""

from __future__ import annotations

import pytest

from langkeys.store.postgresql.refusals import refusal

LOCATION = "postgresql://langflow@db/langflow"
AT = 'connection to server at "db" (10.0.0.1), port 5432 failed: '
NETWORK, PASSWORD, BUSY = "check host and port", "check the user and the password", "try again"


@pytest.mark.parametrize(
    ("said", "what", "hint"),
    [
        ('FATAL:  password authentication failed for user "x"', "refuses the user", PASSWORD),
        ("fe_sendauth: no password supplied", "asks for a password", PASSWORD),
        ('FATAL:  role "x" is not permitted to log in', "may not log in", "ask who runs"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.2"', "from this machine", "ask who runs"),
        ("Connection refused", "nothing listens there", NETWORK),
        ("timeout expired", "does not answer", NETWORK),
        ("Network is unreachable", "no route to it", NETWORK),
        ("server closed the connection unexpectedly", "closed the connection", NETWORK),
        ("FATAL:  terminating connection due to a command", "closed the connection", NETWORK),
        ('FATAL:  database "x" does not exist', "no such database", "name of the database"),
        ('FATAL:  role "x" does not exist', "refuses the user", PASSWORD),
        ("something that no release has said before", "the connection failed", NETWORK),
        ("FATAL:  sorry, too many clients already", "no connection left", BUSY),
        ("FATAL:  the database system is starting up", "starting up", BUSY),
        ("server does not support SSL, but SSL was required", "has no TLS", "check sslmode"),
        ("session is read-only", "target_session_attrs", "check the hosts"),
    ],
)
def test_what_is_wrong_and_what_to_do_are_said(said: str, what: str, hint: str) -> None:
    error = refusal(LOCATION, AT + said)
    assert what in error.message
    assert LOCATION in error.message
    assert hint in str(error.hint)
    assert "10.0.0" not in f"{error.message}{error.hint}"


@pytest.mark.parametrize(
    ("parameter", "hint"),
    [
        (
            "connect_timeout",
            "correct connect_timeout in LANGFLOW_DATABASE_URL, or PGCONNECT_TIMEOUT",
        ),
        ("target_session_attrs", ", or PGTARGETSESSIONATTRS"),
        ("keepalives", "correct keepalives in LANGFLOW_DATABASE_URL"),
    ],
)
def test_the_variable_of_an_invalid_parameter_is_named_if_there_is_one(
    parameter: str, hint: str
) -> None:
    said = f'invalid integer value "secret" for connection option "{parameter}"\n'
    error = refusal(LOCATION, said)
    assert str(error.hint).endswith(hint)
    assert parameter in error.message
    assert "secret" not in f"{error.message}{error.hint}"
