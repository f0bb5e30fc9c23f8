"""Remove deleted values from the write-ahead log as soon as no other process reads it."""

import os
import sqlite3
from pathlib import Path

WAIT_MS = 100
"""Milliseconds to wait for other processes, and to block them, to truncate the log."""


def truncate_wal(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Truncate the write-ahead log of a database; return its path if that is impossible now.

    Until then, deleted values remain in the log, and possibly in the database file. No error is
    raised, because the change itself is committed and only the cleaning has failed.
    """
    wal = Path(f"{os.path.realpath(path)}-wal")
    try:
        if wal.stat().st_size == 0:
            return None
    except OSError:
        return None  # other journal modes have no such file
    try:
        connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
        row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return wal
    return wal if row is None or row[0] else None
