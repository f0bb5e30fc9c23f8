"""Create a database that a Langflow 1.13 server can use."""

import os
import sqlite3
from pathlib import Path

from langkeys.errors import ConflictError, StoreError
from langkeys.files import ownership
from langkeys.files.new import publish_new
from langkeys.files.staged import sync_folder
from langkeys.models import User
from langkeys.store.sqlite.connections import store_error
from langkeys.store.sqlite.database import BUSY_TIMEOUT
from langkeys.store.sqlite.store import SqliteStore


def create_database(path: Path, superuser: User) -> str | None:
    """Create a database with Langflow 1.13's tables and one user, completely or not at all.

    The file has mode 0600. If root creates it, it gets the owner of the folder, as SQLite does with
    ``-wal``. Returns a warning if that fails, else None. Raises ConflictError if ``path`` exists,
    StoreError if the database cannot be created.
    """
    schema = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    staged = path.with_name(f".{path.name}.{os.urandom(4).hex()}.new")
    try:
        descriptor = os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            warning = ownership.chown_like_folder(descriptor, path.parent)
        finally:
            os.close(descriptor)
        try:
            connection = sqlite3.connect(staged, isolation_level=None)
            try:
                connection.executescript(schema)
            finally:
                connection.close()
            store = SqliteStore(staged, writable=True)
            try:
                with store.transaction():
                    store.insert_user(superuser)
            finally:
                store.close()
            publish_new(staged, path)
            sync_folder(path.parent)
        finally:
            staged.unlink(missing_ok=True)
        return None if warning is None else f"{path}: {warning}"
    except FileExistsError:
        raise ConflictError(f"{path} has just been created by another process") from None
    except OSError as error:
        raise StoreError(f"cannot create the database {path}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise store_error(error, path, BUSY_TIMEOUT) from None
