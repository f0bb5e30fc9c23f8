"""Open a database file, or a snapshot of it, and translate SQLite's errors."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from langkeys.errors import LangkeysError, LockedError, StoreError

ROW_NUMBERS = ("rowid", "_rowid_", "oid")
_TRIES = 5


class FileConnection(NamedTuple):
    """A connection, and the inode and device of the open file."""

    connection: sqlite3.Connection
    identity: tuple[int, int]


def open_connection(path: Path, busy_timeout: float, *, mode: str = "mode=rw") -> FileConnection:
    """Open an existing database; if it is not writable, SQLite opens it read-only."""
    for _ in range(_TRIES):
        before = _status_of_database(path)
        try:
            connection = sqlite3.connect(
                f"{path.as_uri()}?{mode}",  # SQLite must not create it
                uri=True,
                timeout=busy_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise store_error(error, path, busy_timeout) from None
        after = _status_of_database(path)
        if (before.st_ino, before.st_dev) == (after.st_ino, after.st_dev):
            return FileConnection(connection, (after.st_ino, after.st_dev))
        connection.close()  # another process replaced the file
    raise StoreError(f"the database {path} keeps being replaced")


def _status_of_database(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except OSError as error:
        raise missing_database_error(path, error) from None
    if not path.is_file():
        raise StoreError(f"the database {path} is not a file")
    if status.st_size == 0:
        raise StoreError(
            f"{path} is empty, not a Langflow database",
            hint="remove it and run langkeys init, or specify the right one with --database",
        )
    return status


def missing_database_error(path: Path, error: OSError) -> StoreError:
    """Return the error for a path at which no database can be opened."""
    if not isinstance(error, FileNotFoundError):
        return StoreError(f"cannot open the database {path}: {error.strerror}")
    return StoreError(
        f"there is no database at {path}",
        hint="create one with langkeys init, or specify the server's with --database"
        " or LANGFLOW_DATABASE_URL",
    )


class Snapshot:
    """A database in WAL mode in a read-only folder, opened as an immutable file.

    SQLite cannot create the -shm file in such a folder. The file is immutable only while no server
    has the database open, because a server writes changes to a -wal file. So ``check`` must be
    called after each read.
    """

    MODE = "mode=ro&immutable=1"

    def __init__(self, path: Path, identity: tuple[int, int]) -> None:
        """Raise StoreError if the database has a -wal or -journal file, or has changed."""
        self._path = path
        real = os.path.realpath(path)
        self._beside = [Path(f"{real}-wal"), Path(f"{real}-journal")]
        for other in self._beside:
            if os.path.lexists(other):
                raise StoreError(
                    f"the database {path} has a file {other.name} next to it that cannot be read",
                    hint="run langkeys as the server's user or as one who can write"
                    f" to the folder; or let this user read {path.name} and,"
                    " while the server runs, its -wal and -shm files",
                )
        self._state = self._read_state()
        if self._state[:2] != identity:
            raise self._changed()

    def check(self) -> None:
        """Raise StoreError if the database has changed since it was opened."""
        if any(map(os.path.lexists, self._beside)) or self._read_state() != self._state:
            raise self._changed()

    def _read_state(self) -> tuple[int, int, int, int]:
        try:
            status = self._path.stat()
        except OSError as error:
            raise missing_database_error(self._path, error) from None
        return status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns

    def _changed(self) -> StoreError:
        return StoreError(
            f"the database {self._path} changed while it was read without a lock",
            hint="run the command again; if a server is running, as its user",
        )


def is_wal(path: Path) -> bool:
    """Tell from its header whether a database is in WAL mode."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20] == b"\2\2"
    except OSError:
        return False


class OverwriteDetector:
    """Detects that another database was copied over the open file.

    SQLite recognizes a commit by a counter in the file. But two copies of the same backup may have
    the same counter after different commits. In WAL mode, nothing is detected, because every
    checkpoint changes the file.
    """

    version = -1
    """SQLite's data_version at the last check."""
    has_own_write = False
    """Whether this connection has written since then; data_version ignores its own writes."""
    _was_overwritten = False

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._stamp = _stamp(path.stat())
        except OSError as error:
            raise missing_database_error(path, error) from None

    def was_overwritten(self, status: os.stat_result, data_version: Callable[[], int]) -> bool:
        """Tell whether the file has changed since it was opened, other than by a commit."""
        stamp = _stamp(status)
        if stamp != self._stamp and not self._was_overwritten:
            version = data_version()
            is_commit = version != self.version or self.has_own_write
            self._stamp, self.version, self.has_own_write = stamp, version, False
            self._was_overwritten = not is_commit and not is_wal(self._path)
        return self._was_overwritten


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


def store_error(error: Exception, path: Path, busy_timeout: float) -> StoreError:
    """Translate an error of SQLite by its text, because errors have no codes in Python 3.10."""
    text = str(error)
    if "locked" in text:
        return LockedError(
            f"the database {path} is locked: another process has held it for"
            f" {busy_timeout:g} seconds",
            hint="try again; if it stays locked, look for a stuck process with: fuser " + str(path),
        )
    if "readonly" in text or "unable to open" in text:
        wal = (
            "in WAL mode the folder of the database must be writable too, for its -wal"
            " and -shm files"
        )
        return StoreError(
            f"the database {path} cannot be "
            f"{'written' if 'readonly' in text else 'opened'}: {text}",
            hint=f"run langkeys as the server's user; {wal}",
        )
    if "no such column" in text and text.endswith(ROW_NUMBERS):
        return StoreError(f"the database {path} has a table WITHOUT ROWID, which no server creates")
    if "malformed" in text or "not a database" in text or "decode" in text:
        return StoreError(
            f"the database {path} is corrupt or not a SQLite database: {text}",
            hint="nothing was written; restore a backup, or specify the right file with --database",
        )
    return StoreError(f"the database {path} failed: {text}")


def is_open_error(error: LangkeysError) -> bool:
    """Tell whether SQLite could not open or create the files that it needs next to a database."""
    return "readonly" in error.message or "unable to open" in error.message


def authorize_delete_only(
    action: int, table: str | None, column: str | None, database: str | None, _: str | None
) -> int:
    """Allow statements that read, delete, or count uses of an API key; deny all other writes."""
    counts = table == "apikey" and column in ("total_uses", "last_used_at")
    is_write = action == sqlite3.SQLITE_INSERT or (action == sqlite3.SQLITE_UPDATE and not counts)
    # Exempt SQLite's own tables: its JSON functions update the schema table in memory.
    if is_write and database == "main" and not str(table).startswith("sqlite_"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
