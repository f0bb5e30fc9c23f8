"""Opening a database file, as it is or as it was at one moment, and its errors in words."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from langkeys.errors import LangkeysError, LockedError, StoreError

ROW_NUMBERS = ("rowid", "_rowid_", "oid")
_TRIES = 5


class Opened(NamedTuple):
    """A connection, and the inode and device of the file that it has open."""

    connection: sqlite3.Connection
    identity: tuple[int, int]


def opened(path: Path, busy_timeout: float, *, mode: str = "mode=rw") -> Opened:
    """Open a database that exists; SQLite itself falls back to reading where it cannot write."""
    for _ in range(_TRIES):
        before = _status_of_database(path)
        try:
            connection = sqlite3.connect(
                f"{path.as_uri()}?{mode}",  # never create
                uri=True,
                timeout=busy_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise store_error(error, path, busy_timeout) from None
        after = _status_of_database(path)
        if (before.st_ino, before.st_dev) == (after.st_ino, after.st_dev):
            return Opened(connection, (after.st_ino, after.st_dev))
        connection.close()  # another file has come in between
    raise StoreError(f"the database {path} keeps being replaced")


def _status_of_database(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except OSError as error:
        raise no_database(path, error) from None
    if not path.is_file():
        raise StoreError(f"the database {path} is not a file")
    if status.st_size == 0:
        raise StoreError(
            f"{path} is empty, not a Langflow database",
            hint="remove it and run langkeys init, or specify the right one with --database",
        )
    return status


def no_database(path: Path, error: OSError) -> StoreError:
    """Say why there is no database at a path."""
    if not isinstance(error, FileNotFoundError):
        return StoreError(f"cannot open the database {path}: {error.strerror}")
    return StoreError(
        f"there is no database at {path}",
        hint="create one with langkeys init, or specify the server's with --database"
        " or LANGFLOW_DATABASE_URL",
    )


class Snapshot:
    """A database in WAL mode that lies where SQLite can make no -shm, read as an immutable file.

    That is only true for as long as nobody has it open: a server that does keeps its changes in
    -wal. So after each read it is looked whether there is one, and whether the file is the same.
    """

    MODE = "mode=ro&immutable=1"

    def __init__(self, path: Path, identity: tuple[int, int]) -> None:
        """Raise StoreError where it cannot be read so."""
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
        """Raise StoreError unless what has just been read was all there was."""
        if any(map(os.path.lexists, self._beside)) or self._read_state() != self._state:
            raise self._changed()

    def _read_state(self) -> tuple[int, int, int, int]:
        try:
            status = self._path.stat()
        except OSError as error:
            raise no_database(self._path, error) from None
        return status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns

    def _changed(self) -> StoreError:
        return StoreError(
            f"the database {self._path} changed while it was read without a lock",
            hint="run the command again; if a server is running, as its user",
        )


def is_wal(path: Path) -> bool:
    """Tell by its header whether a database is in WAL mode."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20] == b"\2\2"
    except OSError:
        return False


class Overwriting:
    """Notices that another database has been copied over a file that is open.

    SQLite tells a commit by a counter in the file, and two branches of one backup may have the same
    counter. In WAL mode the file changes with every checkpoint: there it is SQLite's to tell.
    """

    version = -1
    """SQLite's data_version when the file was last looked at."""
    is_own = False
    """Something has been written by this connection since, which its data_version does not tell."""
    _is_seen = False

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._stamp = _stamp(path.stat())
        except OSError as error:
            raise no_database(path, error) from None

    def is_seen(self, status: os.stat_result, data_version: Callable[[], int]) -> bool:
        """Tell whether the file has changed, and not by a commit, since it was opened."""
        stamp = _stamp(status)
        if stamp != self._stamp and not self._is_seen:
            version = data_version()
            is_commit = version != self.version or self.is_own
            self._stamp, self.version, self.is_own = stamp, version, False
            self._is_seen = not is_commit and not is_wal(self._path)
        return self._is_seen


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


def store_error(error: Exception, path: Path, busy_timeout: float) -> StoreError:
    """Say in words what SQLite reports; told by its text, as Python 3.10 has no error codes."""
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


def cannot_open(error: LangkeysError) -> bool:
    """Tell whether SQLite could not make or read what it needs beside a database."""
    return "readonly" in error.message or "unable to open" in error.message


def only_ends(
    action: int, table: str | None, column: str | None, database: str | None, _: str | None
) -> int:
    """Let a statement read, delete, and count the uses of a key, in the database itself."""
    counts = table == "apikey" and column in ("total_uses", "last_used_at")
    is_write = action == sqlite3.SQLITE_INSERT or (action == sqlite3.SQLITE_UPDATE and not counts)
    # SQLite's own tables: its functions on JSON write to the schema in memory.
    if is_write and database == "main" and not str(table).startswith("sqlite_"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
