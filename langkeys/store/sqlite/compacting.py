"""Rewrite the whole database, so that its free pages contain no deleted values."""

import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from langkeys import failpoints
from langkeys.errors import LangkeysError
from langkeys.store.sqlite.database import Database

STEPS_PER_CHECK = 100_000
"""SQLite checks for Ctrl-C each time it has run this many virtual machine instructions."""


class Compacting(Database):
    """The part of a store that cleans free pages."""

    def clean_free_pages(self, temporary: Sequence[str]) -> None:
        try:
            problem = self._missing_space(temporary)
            if problem is None:
                failpoints.reach("before-cleaning")
                with self._lock:
                    # Python handles Ctrl-C only in a callback, after which SQLite stops with
                    # "interrupted". That error is not raised: the rotation is complete, and its
                    # result must be reported.
                    self._connection.set_progress_handler(lambda: 0, STEPS_PER_CHECK)
                    try:
                        self._connection.execute("VACUUM")
                    finally:
                        self._connection.set_progress_handler(None, 0)
                self._has_written = self._has_removed = True
        except (sqlite3.Error, OSError, LangkeysError) as error:
            problem = str(error)
        except KeyboardInterrupt:
            problem = "interrupted"
        if problem is not None:
            self._tell(
                f"values deleted earlier from {self.location} may remain in its free"
                f" pages, which could not be cleaned ({problem}); with the server"
                f" stopped, run: sqlite3 {self.location} VACUUM",
                is_warning=True,
            )

    def _missing_space(self, temporary: Sequence[str]) -> str | None:
        """Say which folder lacks space for VACUUM, which needs a copy and an equal journal."""
        pages, page_size = (
            int(self._rows(f"PRAGMA {what}")[0][0]) for what in ("page_count", "page_size")
        )
        size = pages * page_size
        beside = Path(os.path.realpath(self._path)).parent
        copy = next(
            (
                Path(folder)
                for folder in temporary
                if Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)
            ),
            beside,
        )
        is_one = beside.stat().st_dev == copy.stat().st_dev
        wanted = {beside: size * 2} if is_one else {beside: size, copy: size}
        for folder, needed in wanted.items():
            free = shutil.disk_usage(folder).free
            if free < needed:
                return f"{folder} has {free} bytes free, and {needed} are needed"
        return None
