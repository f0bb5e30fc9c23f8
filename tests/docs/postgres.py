"""Create a scene's database on the test run's PostgreSQL: ``python -m tests.docs.postgres``.

It prints the settings of a Langflow server with this database, as lines of a ``.env``. The
documents call its host db.example.com; the real address is written to a file in the scene's HOME.
"""

from __future__ import annotations

import argparse
import os
import secrets
import time
from contextlib import closing
from pathlib import Path

from ..support import databases, postgresql, server_databases
from ..support.samples import PASSWORD

ADDRESS = "db.example.com:5432/langflow"


def main() -> None:
    """Create a database, or stay connected to one until this process is killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.postgres", description=__doc__)
    parser.add_argument("--stay", metavar="NAME", help="stay connected to a database like a server")
    name = parser.parse_args().stay
    cluster = postgresql.cluster()
    if name is not None:
        with closing(cluster.connect("langflow", name)):
            print("connected", flush=True)
            time.sleep(600)
        return
    database = server_databases.create(cluster, databases.NEWEST)
    database.add_user("administrator")
    address = f"127.0.0.1:{cluster.port}/{database.name}"
    (Path(os.environ["HOME"]) / ".db-example-com-5432-langflow").write_text(address)
    print(f"LANGFLOW_DATABASE_URL={database.url}")
    print("LANGFLOW_AUTO_LOGIN=false")
    print("LANGFLOW_SUPERUSER=administrator")
    print(f"LANGFLOW_SUPERUSER_PASSWORD={PASSWORD}")
    # The commands in the documents need the file of the secret key, and pg_dump.
    (Path.cwd() / "secret_key").write_text(secrets.token_urlsafe(32))
    (Path(os.environ["HOME"]) / ".binaries").write_text(str(cluster.binaries))


if __name__ == "__main__":
    main()
