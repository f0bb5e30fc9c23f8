"""Certificates for the tests: a root, a server, a client, and another root with its client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "db.example"
"""The only host that the server's certificate is for."""
CLIENT = "certified"


@dataclass(frozen=True)
class Certificates:
    """Files of certificates; each private key is in a file next to its certificate."""

    root: Path
    server: Path
    client: Path
    stranger_root: Path
    stranger: Path
    """A client's certificate that is signed by ``stranger_root``."""

    @property
    def server_key(self) -> Path:
        return key_of(self.server)


def key_of(certificate: Path) -> Path:
    """Return the file of a certificate's private key."""
    return certificate.with_suffix(".key")


def make_certificates(folder: Path) -> Certificates:
    """Create all certificates in a new folder."""
    folder.mkdir()
    root, stranger_root = _Root(folder / "root.crt"), _Root(folder / "stranger-root.crt")
    return Certificates(
        root.path,
        root.sign(folder / "server.crt", HOST),
        root.sign(folder / "client.crt", CLIENT),
        stranger_root.path,
        stranger_root.sign(folder / "stranger.crt", CLIENT),
    )


class _Root:
    """A certificate authority, with its certificate in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(path.stem)
        certificate = _unsigned(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        _write(path, certificate.sign(self._key, hashes.SHA256()), self._key)

    def sign(self, path: Path, name: str) -> Path:
        """Create a certificate for a host or a user."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _unsigned(_named(name), self._name, key).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
        _write(path, certificate.sign(self._key, hashes.SHA256()), key)
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(minutes=5),
        not_valid_after=now + timedelta(days=1),
    )


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_of(path).touch(mode=0o600)
    key_of(path).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
