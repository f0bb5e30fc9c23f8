"""The same stores on PostgreSQL, copied from SQLite row by row, in a new cluster."""

import csv
import io
import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stores import Store, tests_module

_ROWS_AT_ONCE = 20_000

_COLUMNS = {
    '"user"': "id, username, password, is_active, is_superuser, create_at, updated_at, optins",
    "apikey": "id, name, user_id, api_key, api_key_hash, created_at, last_used_at, total_uses,"
    " is_active",
    "variable": "id, name, value, type, default_fields, created_at, updated_at,"
    " is_environment_managed, user_id",
}


@dataclass(frozen=True)
class ServerStore(Store):
    """A database of a cluster, and the config folder for commands on it."""

    cluster: Any
    database: str

    @property
    def url(self) -> str:
        """The database's URL, with the password."""
        return str(self.cluster.url(self.database))

    @property
    def environment(self) -> dict[str, str]:
        settings = super().environment
        # A rotation makes its backup with the pg_dump of the server's version.
        return {**settings, "PATH": f"{self.cluster.binaries}{os.pathsep}{settings['PATH']}"}

    def copied(self, folder: Path) -> "ServerStore":
        """Copy the database to another one in the cluster; no session may be connected to it."""
        copy = _store(folder, self.keys, self.cluster)
        # Copying the files instead of logging the rows keeps the copy identical to the original.
        self.cluster.rows(
            f"CREATE DATABASE {copy.database} TEMPLATE {self.database} STRATEGY FILE_COPY"
            " OWNER langflow"
        )
        return copy

    def column(self, sql: str) -> list[str]:
        return [value for (value,) in self.cluster.rows(sql, database=self.database)]

    def remove(self) -> None:
        super().remove()
        self.cluster.rows(f"DROP DATABASE {self.database}")


@contextmanager
def cluster() -> Iterator[Any]:
    """Start a cluster whose commits wait for the disk, as in production; stop it at the end."""
    postgresql = tests_module("support.postgresql")
    postgresql.prepare()
    try:
        yield postgresql.cluster(is_durable=True)
    finally:
        postgresql.stop()


def moved(store: Store, folder: Path, server: Any) -> ServerStore:
    """Copy a store's rows to a new database, and run ANALYZE."""
    databases = tests_module("support.server_databases")
    copy = _store(folder, store.keys, server)
    server.rows(f"CREATE DATABASE {copy.database} OWNER langflow")
    with (
        closing(server.connect("langflow", copy.database)) as connection,
        closing(sqlite3.connect(store.path)) as source,
    ):
        cursor = connection.cursor()
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute(databases.schema(databases.NEWEST, zoned=True))
        for table, columns in _COLUMNS.items():
            rows = source.execute(f"SELECT {columns} FROM {table}")
            while some := list(itertools.islice(rows, _ROWS_AT_ONCE)):
                lines = io.StringIO()
                csv.writer(lines).writerows(some)
                lines.seek(0)
                cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv)", lines)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT count(*) FROM apikey")
        assert cursor.fetchone() == (store.keys,), copy
    return copy


_numbers = itertools.count(1)


def _store(folder: Path, keys: int, server: Any) -> ServerStore:
    store = ServerStore(folder, keys, server, f"store_{next(_numbers)}")
    store.config.mkdir(parents=True)
    return store
