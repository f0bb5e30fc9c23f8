"""A site with a PostgreSQL database that has a token in every kind of column."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from .samples import SECRET_KEY, encrypted
from .server_databases import ServerDatabase
from .sites import Site

_TOKEN = re.compile("gAAAAA[A-Za-z0-9_-]+={0,2}")
TOKENS = 4 + 1 + 2
ROTATE = ("secret-key", "rotate", "--yes")
RECOVER = ("api-key", "migrate")
"""A command that writes, so that it recovers a rotation, but changes nothing else here."""


@dataclass
class ServerVault:
    """The site, with methods that read its tokens and its secret key without langkeys."""

    site: Site
    server: ServerDatabase

    @property
    def folder(self) -> Path:
        return self.site.folder / "config"

    def key(self) -> str:
        return (self.folder / "secret_key").read_text()

    def tokens(self) -> list[str]:
        texts = [
            str(row[0])
            for sql in (
                "SELECT api_key FROM apikey", "SELECT value FROM variable",
                "SELECT config::text FROM mcp_server", "SELECT data::text FROM message",
            )
            for row in self.server.rows(sql)
        ]  # fmt: skip
        return [token for text in texts for token in _TOKEN.findall(text)]

    def decrypted(self, key: str) -> list[str]:
        """Return all values, decrypted with one key; InvalidToken if it does not decrypt all."""
        fernet = Fernet(key + "=" * (-len(key) % 4))
        return sorted(fernet.decrypt(token).decode() for token in self.tokens())

    def is_encrypted_with(self, key: str) -> bool:
        try:
            return len(self.decrypted(key)) == TOKENS
        except InvalidToken:
            return False

    def terminate(self, *, patience: int = 5000) -> None:
        """End all sessions of the database, as an administrator or a failing server does."""
        self.server.cluster.rows(
            "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE datname = %s",
            (patience, self.server.name),
        )

    def assert_whole(self) -> str:
        """Assert that the key in the file decrypts everything, and that nothing is staged."""
        key = self.key()
        assert self.is_encrypted_with(key)
        left = [path.name for path in self.folder.iterdir() if "rotation" in path.name]
        assert left == [], left
        return key


def create(site: Site, owner: str) -> ServerVault:
    """Fill a site whose database is on a PostgreSQL server."""
    server = site.database
    assert isinstance(server, ServerDatabase)
    for number in range(4):
        server.add_key(owner, f"key {number}")
    server.add_variable(owner, "MY_TOKEN", encrypted("value-of-token", SECRET_KEY))
    config = json.dumps({"env": {"A": encrypted("in json", SECRET_KEY)}, "z": 1, "b": [True]})
    data = json.dumps({"b": encrypted("in jsonb", SECRET_KEY), "a": "ü"})
    uuid = "gen_random_uuid()"
    server.rows(f"INSERT INTO mcp_server (id, name, config) VALUES ({uuid}, 'm', ?)", (config,))
    server.rows(f"INSERT INTO message (id, text, data) VALUES ({uuid}, 'x', ?)", (data,))
    folder = site.folder / "config"
    folder.mkdir()
    (folder / "secret_key").write_text(SECRET_KEY)
    site.settings["LANGFLOW_CONFIG_DIR"] = str(folder)
    del site.settings["LANGFLOW_SECRET_KEY"]
    return ServerVault(site, server)
