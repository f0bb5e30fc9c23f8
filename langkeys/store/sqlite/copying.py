"""Copies of a live database without its deleted values."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from langkeys.errors import ConflictError, FailedError
from langkeys.files.new import publish_new
from langkeys.files.staged import sync_folder
from langkeys.paths import absolute_path
from langkeys.store.sqlite.connections import is_wal, store_error
from langkeys.store.sqlite.database import Database
from langkeys.store.sqlite.values import text_or_bytes

STEP_PAGES = 2000
STEPS_PER_CHECK = 20_000
"""SQLite checks for Ctrl-C and progress each time it has run this many instructions."""


class Copying(Database):
    """The part of a store that copies the database."""

    def copy_size(self) -> int:
        return int(self._rows("PRAGMA page_count")[0][0])

    def copy_to(
        self, path: Path, progress: Callable[[int, int], None], *, with_indexes: bool = True
    ) -> None:
        path = absolute_path(path)
        if path.exists() or path.is_symlink():
            raise ConflictError(
                f"{path} already exists, and a backup never replaces a file",
                hint="choose another file",
            )
        staged = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
        try:
            os.close(os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            try:
                self._copy(staged, progress)
                self._check_copy(staged, with_indexes=with_indexes)
                descriptor = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                publish_new(staged, path)
            finally:
                for suffix in ("", "-journal", "-wal", "-shm"):
                    staged.with_name(staged.name + suffix).unlink(missing_ok=True)
            sync_folder(path.parent)
        except FileExistsError:
            raise ConflictError(f"{path} has just been created by another process") from None
        except OSError as error:
            raise FailedError(f"cannot write the backup {path}: {error.strerror}") from None

    def _copy(self, staged: Path, progress: Callable[[int, int], None]) -> None:
        try:
            with self._lock:
                try:
                    self._vacuum_into(staged, progress)
                except sqlite3.OperationalError as error:
                    if "no such" not in str(error):
                        raise
                    # This SQLite lacks a module or collation that the tables use: copy the pages
                    # unchanged.
                    os.truncate(staged, 0)
                    self._copy_pages(staged, progress)
                    self._tell(
                        f"{self.location} could not be compacted ({error}): the copy"
                        " still has deleted values in its free pages",
                        is_warning=True,
                    )
            if self._snapshot is not None:
                self._snapshot.check()
            mode = "WAL" if is_wal(self._path) else "DELETE"
            with closing(sqlite3.connect(staged, isolation_level=None)) as copy:
                copy.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.Error as error:
            text = str(error)
            if text == "interrupted":
                raise KeyboardInterrupt from None
            if "full" in text or "I/O" in text:
                raise FailedError(
                    f"cannot write the backup in {staged.parent}: {text}",
                    hint="free some disk space, or choose a file on another disk",
                ) from None
            raise store_error(error, self._path, self._busy_timeout) from None

    def _vacuum_into(self, staged: Path, progress: Callable[[int, int], None]) -> None:
        """Rewrite the current state of the database into a new file, without its free pages."""
        (size,) = self._rows("PRAGMA page_size")[0]
        (total,) = self._rows("PRAGMA page_count")[0]

        def tell() -> int:
            progress(min(staged.stat().st_size // size, total), total)
            return 0

        # VACUUM INTO writes only to the other file, but query_only forbids it.
        self._rows("PRAGMA query_only = OFF")
        self._connection.set_progress_handler(tell, STEPS_PER_CHECK)
        try:
            self._connection.execute("VACUUM INTO ?", (str(staged),))
        finally:
            self._connection.set_progress_handler(None, 0)
            if not self._writable:
                self._rows("PRAGMA query_only = ON")
        progress(total, total)

    def _copy_pages(self, staged: Path, progress: Callable[[int, int], None]) -> None:
        # Use one read transaction for the whole copy: otherwise each write by a server restarts it.
        self._rows("BEGIN")
        try:
            self._rows("SELECT 1 FROM sqlite_master")
            with closing(sqlite3.connect(staged, isolation_level=None)) as copy:
                self._connection.backup(
                    copy,
                    pages=STEP_PAGES,
                    progress=lambda _, remaining, total: progress(total - remaining, total),
                )
        finally:
            with suppress(sqlite3.Error):
                self._connection.rollback()

    def _check_copy(self, staged: Path, *, with_indexes: bool) -> None:
        """Check that the copy is intact and has the same schema."""
        try:
            # Without immutable, opening a copy in WAL mode would create -shm and -wal files.
            with closing(
                sqlite3.connect(f"{staged.as_uri()}?mode=ro&immutable=1", uri=True)
            ) as copy:
                check = "integrity_check" if with_indexes else "quick_check"
                said = copy.execute(f"PRAGMA {check}").fetchall()
                copy.text_factory = text_or_bytes
                schema = copy.execute(_SCHEMA).fetchall()
        except sqlite3.Error as error:
            raise FailedError(f"the backup cannot be opened: {error}") from None
        if said != [("ok",)]:
            raise FailedError(
                f"the copy of {self.location} is damaged, and the database may be too:"
                f" {said[0][0]}",
                hint="check it with: sqlite3 FILE 'PRAGMA integrity_check'",
            )
        if schema != self._rows(_SCHEMA):
            raise FailedError(f"the tables in {self.location} have just changed")


_SCHEMA = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
