"""A site with encrypted values in every column that can have them, read without langkeys."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import databases
from .samples import SECRET_KEY, encrypted
from .sites import Site

HEADER = "lf-sso:v1:hkdf-sha256-v1:aes-256-gcm"
_TOKEN = re.compile("gAAAAA[A-Za-z0-9_-]+={0,2}")

_TABLES = """
    DROP TABLE IF EXISTS sso_config;
    DROP TABLE IF EXISTS mcp_server;
    CREATE TABLE folder (id CHAR(32) PRIMARY KEY, name VARCHAR, auth_settings JSON);
    CREATE TABLE mcp_server (id CHAR(32) PRIMARY KEY, name VARCHAR, config JSON);
    CREATE TABLE sso_config (
        id CHAR(32) PRIMARY KEY, slug VARCHAR NOT NULL, client_secret_encrypted VARCHAR,
        CHECK (client_secret_encrypted IS NULL OR substr(client_secret_encrypted, 1, 37)
            = 'lf-sso:v1:hkdf-sha256-v1:aes-256-gcm:'));
    CREATE TRIGGER trg_sso_config_slug_immutable BEFORE UPDATE OF slug ON sso_config
        FOR EACH ROW WHEN NEW.slug IS NOT OLD.slug
        BEGIN SELECT RAISE(ABORT, 'SSOConfig.slug is immutable after insert'); END;
    CREATE TABLE message (id CHAR(32) PRIMARY KEY, text TEXT);
    CREATE TABLE "of ""somebody"" else" (a TEXT, b TEXT, PRIMARY KEY (a)) WITHOUT ROWID;
"""


_INSERT_FOREIGN = 'INSERT INTO "of ""somebody"" else" VALUES (?, ?)'


def sealed(plaintext: str, secret_key: str) -> str:
    """Encrypt an SSO client secret as Langflow does, without langkeys."""
    nonce = os.urandom(12)
    data = AESGCM(_sso_key(secret_key)).encrypt(nonce, plaintext.encode(), HEADER.encode())
    parts = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (nonce, data))
    return ":".join((HEADER, *parts))


def unsealed(envelope: str | None, secret_key: str) -> str | None:
    if envelope is None:
        return None
    nonce, data = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in envelope.split(":")[-2:]
    )
    try:
        return AESGCM(_sso_key(secret_key)).decrypt(nonce, data, HEADER.encode()).decode()
    except InvalidTag:
        return None


def _sso_key(secret_key: str) -> bytes:
    salt, info = (
        b"langflow/sso/client-secret/hkdf-salt/v1",
        b"langflow/sso/client-secret/encryption",
    )
    return HKDF(SHA256(), 32, salt, info).derive(secret_key.encode())


@dataclass
class Vault:
    """A site whose secret key is in its secret_key file and in its .env."""

    site: Site
    plain_dump: list[str]
    """The whole database, decrypted with its own secret key; see ``decrypted_dump``."""

    @property
    def key_file(self) -> Path:
        return self.site.folder / "config" / "secret_key"

    @property
    def database(self) -> Path:
        return self.site.folder / self.site.path

    def leftovers(self) -> list[str]:
        """Return the staged files that a rotation has left."""
        return sorted(
            str(path.relative_to(self.site.folder))
            for path in self.site.folder.rglob("*")
            if ".langkeys-rotation" in path.name or path.name.endswith(".tmp")
        )

    def env_key(self) -> str:
        text = (self.site.folder / ".env").read_text()
        (key,) = re.findall(r"^LANGFLOW_SECRET_KEY='(.*)'  # of all$", text, re.MULTILINE)
        return str(key)

    def decrypted_dump(self, secret_key: str, path: Path | None = None) -> list[str]:
        """Return the database as SQL, with all values decrypted that the key decrypts."""
        fernet = Fernet(secret_key + "=")

        def plain(match: re.Match[str]) -> str:
            try:
                return f"<{fernet.decrypt(match[0].encode()).decode()}>"
            except InvalidToken:
                return match[0]

        with closing(sqlite3.connect(path or self.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.create_function("unsealed", 1, lambda text: unsealed(text, secret_key))
            secrets = connection.execute("SELECT unsealed(client_secret_encrypted) FROM sso_config")
            lines = [str(secrets.fetchall())]
            for line in connection.iterdump():
                if HEADER not in line or "INSERT" not in line:
                    lines.append(_TOKEN.sub(plain, line))
        return lines

    def assert_whole(self) -> str:
        """Assert that both files have the key that decrypts everything, and no file is staged."""
        key = self.key_file.read_text()
        assert self.env_key() == key
        assert self.decrypted_dump(key) == self.plain_dump
        left = self.leftovers()
        assert left == [], left
        return key


def create(site: Site, owner: str, *, keys: int = 20, wal: bool = True) -> Vault:
    """Fill a site with encrypted values of every kind, and a secret key in two files."""
    database = site.database
    if wal:
        database.use_wal()
    with closing(sqlite3.connect(database.path)) as connection:
        connection.executescript(_TABLES)
    samples = [databases.hash_of(str(number)) for number in range(keys)]
    fill_keys(database.path, owner, samples)
    for number, kind in ((1, "Credential"), (2, "Credential"), (3, "Generic")):
        value = encrypted(f"variable {number}") if kind == "Credential" else "plain gAAAAA"
        database.add_variable(owner, f"V{number}", value, kind)
    settings = {"auth_type": "oauth", "oauth_client_secret": encrypted("client"), "api_key": ""}
    config = {
        "env": {"TOKEN": encrypted("env"), "HOME": "/"},
        "headers": {"Authorization": encrypted("header é")},
        "args": ["--headers", "x", encrypted("argument")],
    }
    rows = database.rows
    rows("INSERT INTO folder VALUES ('f1', 'Home', ?)", (json.dumps(settings),))
    rows("INSERT INTO folder VALUES ('f2', 'None', NULL)")
    rows("INSERT INTO mcp_server VALUES ('m1', 'tools', ?)", (json.dumps(config),))
    rows("INSERT INTO sso_config VALUES ('s1', 'okta', ?)", (sealed("sso", SECRET_KEY),))
    rows("INSERT INTO sso_config VALUES ('s2', 'none', NULL)")
    text = f"My token is {encrypted('said')}, \U0001f511 and gAAAAA is how they begin.\n"
    rows("INSERT INTO message VALUES ('t1', ?)", (text,))
    rows("INSERT INTO message VALUES ('t2', CAST(? AS TEXT))", (b"\xff\xfe " + text.encode(),))
    rows(_INSERT_FOREIGN, ("key", encrypted("value")))
    folder = site.folder / "config"
    folder.mkdir()
    (folder / "secret_key").write_text(SECRET_KEY)
    (folder / "secret_key").chmod(0o600)
    env = (
        "# settings\r\nexport LANGFLOW_AUTO_LOGIN=true\n\n"
        f"LANGFLOW_SECRET_KEY='{SECRET_KEY}'  # of all\nOTHER=\"$HOME\"\n"
    )
    (site.folder / ".env").write_bytes(env.encode())
    (site.folder / ".env").chmod(0o600)
    site.settings["LANGFLOW_CONFIG_DIR"] = str(folder)
    del site.settings["LANGFLOW_SECRET_KEY"]
    # A text that is not UTF-8 cannot be dumped; tests check it separately.
    vault = Vault(site, [])
    rows("DELETE FROM message WHERE id = 't2'")
    vault.plain_dump = vault.decrypted_dump(SECRET_KEY)
    return vault


def fill_keys(path: Path, owner: str, names: list[str]) -> None:
    """Add API keys in one transaction; ``Database.add_key`` uses a transaction for each key."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO apikey (id, name, user_id, api_key, api_key_hash, created_at, total_uses,"
            " is_active) VALUES (?, ?, ?, ?, ?, '2026-01-01 00:00:00.000000', 0, 1)",
            (
                (name[:32], name[:8], owner, encrypted(f"sk-{name}"), databases.hash_of(name))
                for name in names
            ),
        )


def copied(vault: Vault, folder: Path) -> Vault:
    """Copy a vault's site into another folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(vault.site.folder, folder)
    settings = {
        name: value.replace(str(vault.site.folder), str(folder))
        for name, value in vault.site.settings.items()
    }
    return Vault(Site(folder, settings), vault.plain_dump)
