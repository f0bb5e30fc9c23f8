"""A substitute for a Langflow server in scenes: ``python -m tests.docs.server ADDRESS [OPTIONS]``.

With a database it answers ``whoami`` by the hash of the key, as a server does. Without one it is
the tests' fake Langflow, with a user ci whose key is written to a file.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from ..support.fake_langflow import Langflow, Refused
from ..support.servers import Request, serving


class OnDatabase(Langflow):
    """A server that looks up keys in a database and keeps it open, as Langflow does."""

    def __init__(self, path: Path) -> None:
        super().__init__("1.13.0")
        self.path = path
        self.connection = sqlite3.connect(path, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("SELECT count(*) FROM user").fetchone()

    def answer(self, request: Request) -> tuple[int, Any]:
        """Answer whoami from the database, and everything else like the fake Langflow."""
        if request.path != "/api/v1/users/whoami":
            return super().answer(request)
        key_hash = hashlib.sha256((request.api_key or "").encode()).hexdigest()
        with closing(sqlite3.connect(self.path)) as connection:
            row = connection.execute(
                "SELECT user.id, username, is_superuser FROM user JOIN apikey ON user.id = user_id"
                " WHERE api_key_hash = ? AND apikey.is_active = 1",
                (key_hash,),
            ).fetchone()
        if row is None:
            raise Refused(403, "Invalid API key")
        user = self.add_user(row[1], is_superuser=bool(row[2]), id=row[0])
        return 200, self._user(user)


def main() -> None:
    """Serve until killed. The file in HOME with the real address shows that the server is up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--database", type=Path)
    parser.add_argument("--version", default="1.13.0")
    parser.add_argument("--key", metavar="NAME=FILE")
    arguments = parser.parse_args()
    found = OnDatabase(arguments.database) if arguments.database else Langflow(arguments.version)
    if arguments.key:
        name, _, file = arguments.key.partition("=")
        path = Path(file)
        path.touch(0o600)
        path.write_text(found.add_key(found.add_user("ci"), name).value, encoding="utf-8")
    with serving() as server:
        server.behave = found.behave
        note = Path.home() / f".{re.sub(r'[^a-z0-9]+', '-', arguments.address)}"
        note.write_text(server.url, encoding="utf-8")
        signal.sigwait([signal.SIGTERM])
    sys.exit(0)


if __name__ == "__main__":
    main()
