"""What is deleted is gone from the write-ahead log, too, as soon as nobody reads it any more."""

import os
import sqlite3
from pathlib import Path

WAIT_MS = 100
"""How long others are waited for, and kept waiting, to empty the log."""


def remaining_wal(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Empty the write-ahead log of a database; return its path where that is not possible now.

    Until then the log has pages as they were, and the database may have what was deleted since.
    Raises nothing: what was to be done has been done, and this alone has not.
    """
    wal = Path(f"{os.path.realpath(path)}-wal")
    try:
        if wal.stat().st_size == 0:
            return None
    except OSError:
        return None  # in another journal mode there is none
    try:
        connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
        row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return wal
    return wal if row is None or row[0] else None
