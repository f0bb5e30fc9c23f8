"""Connections with TLS: verification on both sides, and the errors if it fails."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from urllib.parse import urlencode

import pytest

from langkeys.store.postgresql import state

from ..support.clusters import PASSWORD
from ..support.server_databases import ServerDatabase
from ..support.sites import Site
from .certificates import HOST, Certificates, key_of
from .debian_server import CERTIFIED, SHIELDED, Primary

KEY = ("api-key", "create", "--name", "ci")


@pytest.fixture
def certificates(primary: Primary) -> Certificates:
    return primary.certificates


def url(server: ServerDatabase, user: str = "langflow", **parameters: object) -> str:
    """Return a URL with parameters; a value of None is left out."""
    password = "" if user == CERTIFIED else f":{PASSWORD}"
    given = {name: str(value) for name, value in parameters.items() if value is not None}
    return (
        f"postgresql://{user}{password}@127.0.0.1:{server.cluster.port}/{server.name}"
        f"?{urlencode(given)}"
    )


def test_each_mode_that_can_be_met_is(
    site: Site, server: ServerDatabase, certificates: Certificates
) -> None:
    verified = {"sslrootcert": certificates.root}
    at_host = {"host": HOST, "hostaddr": "127.0.0.1"}
    for number, (parameters, tls) in enumerate(
        (
            ({}, "with TLS"),  # libpq prefers TLS
            ({"sslmode": "disable"}, "no TLS"),
            ({"sslmode": "allow"}, "no TLS"),
            ({"sslmode": "require"}, "with TLS"),
            ({"ssl": "true"}, "with TLS"),
            ({"sslmode": "verify-ca", **verified}, "with TLS"),
            ({"sslmode": "verify-full", **verified, **at_host}, "with TLS"),
            ({"sslmode": "require", "ssl_min_protocol_version": "TLSv1.3"}, "with TLS"),
        )
    ):
        setting = url(server, **parameters)
        site.call(*KEY, LANGFLOW_DATABASE_URL=setting).done()
        assert len(server.key_ids()) == number + 1
        doctor = site.call("doctor", LANGFLOW_DATABASE_URL=setting).stdout
        assert f"schema public, {tls}" in doctor
        assert "not encrypted" not in doctor  # not for a server on this machine


def test_doctor_notes_a_connection_over_a_network_without_tls(
    site: Site, server: ServerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "is_local", lambda descriptor: False)
    for mode, is_noted in (("disable", True), ("require", False)):
        report = site.call("doctor", LANGFLOW_DATABASE_URL=url(server, sslmode=mode))
        assert ("the connection to the database is not encrypted" in report.stdout) is is_noted


def test_this_machine_is_told_from_others() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as connection,
    ):
        assert state.is_local(connection.fileno())
    here, there = socket.socketpair()
    with here, there:
        assert state.is_local(here.fileno())


@pytest.mark.parametrize(
    ("parameters", "what", "hint"),
    [
        ({"sslmode": "verify-ca"}, "the root certificates (sslrootcert) cannot be read", "system"),
        (
            {"sslmode": "verify-ca", "sslrootcert": "/none/root.crt"},
            "the root certificates (sslrootcert) cannot be read",
            "sslrootcert",
        ),
        (
            {"sslmode": "verify-ca", "sslrootcert": "{stranger_root}"},
            "its certificate cannot be verified",
            "sslrootcert",
        ),
        # With a root certificate, sslmode=require means verify-ca.
        (
            {"sslmode": "require", "sslrootcert": "{stranger_root}"},
            "its certificate cannot be verified",
            "sslrootcert",
        ),
        (
            {"sslmode": "verify-full", "sslrootcert": "{root}"},
            "its certificate is for another host name",
            "host name",
        ),
        (
            {
                "sslmode": "verify-full", "sslrootcert": "{root}", "host": "other.example",
                "hostaddr": "127.0.0.1",
            },
            "its certificate is for another host name",
            "host name",
        ),
        (
            {"channel_binding": "require", "sslmode": "disable"},
            "do not agree on TLS",
            "sslmode",
        ),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_trusted_is_refused(
    site: Site,
    server: ServerDatabase,
    certificates: Certificates,
    parameters: dict[str, str],
    what: str,
    hint: str,
) -> None:
    files = {"root": certificates.root, "stranger_root": certificates.stranger_root}
    given = {name: value.format(**files) for name, value in parameters.items()}
    result = site.call(*KEY, "--json", LANGFLOW_DATABASE_URL=url(server, **given)).failed(6)
    assert result.error["code"] == "store"
    message = result.error["message"]
    assert message.startswith("cannot connect to the database postgresql://")
    assert what in message
    assert "\n" not in message
    assert hint in result.error["hint"]
    assert server.key_ids() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sslmode", "nonsense"),
        ("ssl_min_protocol_version", "TLSv9"),
        ("gssencmode", "x"),
        ("target_session_attrs", "any2"),
        ("connect_timeout", "soon"),
        ("channel_binding", "no2"),
        ("port", "99999"),
    ],
)
def test_an_invalid_value_is_named_by_its_parameter(
    site: Site, server: ServerDatabase, name: str, value: str
) -> None:
    setting = url(server, **{name: value})
    error = site.call(*KEY, "--json", LANGFLOW_DATABASE_URL=setting).failed(2).error
    assert error["code"] == "config"
    assert f"the parameter {name} " in error["message"]
    # The address of a server is not a secret.
    assert value not in (error["hint"] if name == "port" else error["message"] + error["hint"])


def test_a_server_that_wants_tls_refuses_a_plain_connection(
    site: Site, server: ServerDatabase
) -> None:
    site.call(*KEY, LANGFLOW_DATABASE_URL=url(server, SHIELDED)).done()
    plain = url(server, SHIELDED, sslmode="disable")
    site.call(*KEY, LANGFLOW_DATABASE_URL=plain).failed(6, "without TLS", "sslmode=require")
    report = site.call("doctor", LANGFLOW_DATABASE_URL=plain)
    assert report.code == 1
    assert "without TLS" in report.stdout
    # A wrong password is reported, although libpq's second attempt, without TLS, fails otherwise.
    wrong = url(server, SHIELDED).replace(PASSWORD, "pass-of-nobody")
    refused = site.call(*KEY, LANGFLOW_DATABASE_URL=wrong).failed(6, "the user or the password")
    assert "pass-of-nobody" not in refused.stderr


def test_a_client_certificate_stands_for_a_password(
    site: Site, server: ServerDatabase, certificates: Certificates, tmp_path: Path
) -> None:
    def refused(*words: str, certificate: Path | None = None, key: Path | None = None) -> None:
        setting = url(server, CERTIFIED, sslmode="require", sslcert=certificate, sslkey=key)
        site.call(*KEY, LANGFLOW_DATABASE_URL=setting).failed(6, *words)

    ours, stranger = certificates.client, certificates.stranger
    setting = url(server, CERTIFIED, sslmode="require", sslcert=ours, sslkey=key_of(ours))
    site.call(*KEY, LANGFLOW_DATABASE_URL=setting).done()
    assert "as certified" in site.call("doctor", LANGFLOW_DATABASE_URL=setting).stdout
    site.call("backup", str(tmp_path / "copy"), LANGFLOW_DATABASE_URL=setting).done()
    refused("asks for a client certificate", "sslcert")
    refused("does not accept the client certificate", certificate=stranger, key=key_of(stranger))
    unusable = "the client certificate and its key (sslcert, sslkey) cannot be used"
    refused(unusable, certificate=ours, key=tmp_path / "none")
    refused(unusable, certificate=ours, key=key_of(stranger))
    refused(unusable, certificate=key_of(ours), key=key_of(ours))
    shown = Path(shutil.copy(key_of(ours), tmp_path / "shown.key"))
    shown.chmod(0o644)
    refused("others can read the client's key", "chmod 600", certificate=ours, key=shown)
