"""A connection to a Langflow database file: opening, transactions, and translated errors."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from langkeys import failpoints
from langkeys.errors import ConflictError, LangkeysError, StoreError, UnreadableRowError
from langkeys.paths import absolute_path
from langkeys.store.base import BadCellError, BaseStore
from langkeys.store.encrypted_columns import KNOWN_TABLES
from langkeys.store.generations import (
    unsupported_write_error,
)
from langkeys.store.records import Observation
from langkeys.store.sqlite.cleaning import truncate_wal
from langkeys.store.sqlite.connections import (
    ROW_NUMBERS,
    OverwriteDetector,
    Snapshot,
    authorize_delete_only,
    is_open_error,
    is_wal,
    missing_database_error,
    open_connection,
    store_error,
)
from langkeys.store.sqlite.values import (
    comparable_time,
    name_or_none,
    shown_cell,
    shown_name,
    text_or_bytes,
)

BUSY_TIMEOUT = 10.0
"""Seconds to wait for a write lock that another process holds."""

MORE_CACHE = "PRAGMA main.cache_size = -8192"
"""A page cache of 8 MB instead of 2, and as much again for sorting, for work on many rows."""

PAGE_ROWS = 500
"""The number of rows read at a time. No lock is held between pages, even for a slow consumer."""

FIRST_ROW = -(1 << 63)
"""A number below all row numbers, which may be negative."""

Own = TypeVar("Own", bound="Database")
_FAILURES = (sqlite3.Error, OSError, UnicodeEncodeError, OverflowError)


class Database(BaseStore):
    """The part of a store that all tables need: connection, columns and generation."""

    def __init__(
        self,
        path: Path,
        *,
        writable: bool = False,
        alone: bool = False,
        busy_timeout: float = BUSY_TIMEOUT,
        cache_kib: int | None = None,
    ) -> None:
        super().__init__()
        self._path = absolute_path(path)
        self._writable = writable
        self._busy_timeout = busy_timeout
        self._has_written = False
        self._has_removed = False
        """Whether this connection has deleted or replaced values, to be erased from the disk."""
        # Held during a statement or a whole transaction, because threads share the connection.
        self._lock = threading.RLock()
        self._path_text = str(self._path)
        self._snapshot: Snapshot | None = None
        self._connection, self._identity = open_connection(self._path, busy_timeout)
        self._overwrites = OverwriteDetector(self._path)
        try:
            self._prepare(alone=alone, cache_kib=cache_kib)
            self._overwrites.version = self._data_version()
        except LangkeysError as error:
            self._connection.close()
            if writable or not is_open_error(error) or not is_wal(self._path):
                raise
            self._open_snapshot(cache_kib)

    def _open_snapshot(self, cache_kib: int | None) -> None:
        snapshot = Snapshot(self._path, self._identity)
        self._connection, self._identity = open_connection(
            self._path, self._busy_timeout, mode=Snapshot.MODE
        )
        self._snapshot = snapshot
        try:
            self._prepare(alone=False, cache_kib=cache_kib)
        except LangkeysError:
            self._connection.close()
            raise
        self._tell(
            f"{self.location} is read without a lock, because its folder is not"
            " writable: changes of a running server may be missing",
            is_warning=True,
        )

    def _prepare(self, *, alone: bool, cache_kib: int | None) -> None:
        # Make SQLite overwrite deleted values, whatever this build's default is.
        self._rows("PRAGMA secure_delete = ON" if self._writable else "PRAGMA query_only = ON")
        if cache_kib is not None:
            self._rows(f"PRAGMA cache_size = -{cache_kib:d}")
        if alone:
            self._take_alone()
        (self._encoding,) = self._rows("PRAGMA encoding")[0]
        self._connection.create_function(
            "langkeys_time",
            1,
            partial(comparable_time, encoding=self._encoding),
            deterministic=True,
        )
        self._columns = self._read_columns()
        self._recognize(self._columns, self._read_revisions(), writable=self._writable)
        if self._generation.delete_only:
            self._connection.set_authorizer(authorize_delete_only)

    @property
    def location(self) -> str:
        return str(self._path)

    @property
    def is_snapshot(self) -> bool:
        return self._snapshot is not None

    def observations(self) -> Sequence[Observation]:
        return ()  # a file has no server

    def is_replaced(self) -> bool:
        try:
            status = os.stat(self._path_text)  # noqa: PTH116 - os.stat is faster
        except OSError as error:
            raise missing_database_error(self._path, error) from None
        if (status.st_ino, status.st_dev) != self._identity:
            return True
        return self._overwrites.was_overwritten(status, self._data_version)

    def _data_version(self) -> int:
        return int(self._rows("PRAGMA data_version")[0][0])

    @contextmanager
    def reopened(self: Own) -> Iterator[Own]:
        store = type(self)(self._path, busy_timeout=self._busy_timeout)
        try:
            yield store
        finally:
            store.close()

    def _unreadable_row(
        self, table: str, row_id: object, name: object, error: BadCellError
    ) -> UnreadableRowError:
        return UnreadableRowError(
            self.location,
            table=table,
            row=shown_cell(row_id),
            name=name_or_none(name),
            column=error.column,
        )

    def close(self) -> None:
        with self._lock:
            remaining = None
            if self._has_written and not self._connection.in_transaction:
                self._has_written = False
                remaining = truncate_wal(self._connection, self._path)
            self._connection.close()
        if remaining is not None and self._has_removed:
            self._tell(
                f"another process is reading {self.location}: deleted and replaced values remain in"
                f" {remaining} or in the database file. They are removed by the next langkeys"
                " command that writes, or when the last process closes the database",
                is_warning=False,
            )

    def _take_alone(self) -> None:
        """Keep others out until the connection is closed; StoreError if others use the database.

        This must be the first access to the database. In WAL mode it fails if any other connection
        is open, even an idle one; in other modes, only if another connection is in use.
        """
        self._rows("PRAGMA locking_mode = EXCLUSIVE")
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
            self._connection.execute("COMMIT")  # in this mode, the lock is kept
            # Without this, a commit in WAL mode may return before it is on the disk.
            self._connection.execute("PRAGMA synchronous = EXTRA")
            self._connection.execute(MORE_CACHE)
        except sqlite3.Error as error:
            if "locked" not in str(error):
                raise store_error(error, self._path, self._busy_timeout) from None
            raise StoreError(
                f"the database {self._path} is in use: another process has it open; nothing was"
                " done",
                hint="stop the Langflow server and everything else that uses it, then run the"
                f" command again; to see which processes use it: fuser {self._path}",
            ) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            yield from self._transaction()

    def _transaction(self) -> Iterator[None]:
        self._rows("BEGIN IMMEDIATE")
        self._forget_changes()
        try:
            yield
            with self._commit_context():
                with self._translated():
                    failpoints.reach("before-commit")
                self._rows("COMMIT")
                self._has_written = self._overwrites.has_own_write = True
        finally:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):  # so that the first error is reported
                    self._connection.rollback()

    def transaction_id(self) -> str | None:
        return None  # recovery compares stored values instead

    def transaction_status(self, transaction_id: str) -> str | None:
        del transaction_id
        return None

    def _read_columns(self) -> dict[str, frozenset[str]]:
        # Of other tables only the names are needed to recognize the generation.
        columns: dict[str, frozenset[str]] = {}
        for (table,) in self._rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
            columns[shown_name(table)] = frozenset()
        for table in KNOWN_TABLES & columns.keys():
            rows = self._rows("SELECT name FROM pragma_table_info(?)", (table,))
            columns[table] = frozenset(shown_name(name) for (name,) in rows)
        return columns

    def _row_number(self, table: str) -> str:
        """Return the name of a table's row number; a column may use the usual name."""
        columns = {column.lower() for column in self._columns.get(table, ())}
        name = next((name for name in ROW_NUMBERS if name not in columns), None)
        if name is None:
            raise StoreError(f"{self.location}: table {table} has columns {', '.join(ROW_NUMBERS)}")
        return name

    def _read_revisions(self) -> list[str]:
        if "alembic_version" not in self._columns:
            return []
        return [shown_cell(row[0]) for row in self._rows("SELECT version_num FROM alembic_version")]

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        # Does not use _translated(), for speed: this runs for each API key that is verified.
        try:
            with self._lock:
                rows = self._connection.execute(sql, parameters).fetchall()
            if self._snapshot is not None:
                self._snapshot.check()
            return rows
        except _FAILURES as error:
            if "decode" not in str(error):
                raise self._as_ours(error) from None
        # A text is not UTF-8: read the rows again, with such texts as bytes.
        with self._texts_as(text_or_bytes):
            return self._connection.execute(sql, parameters).fetchall()

    @contextmanager
    def _texts_as(self, factory: Callable[[bytes], object]) -> Iterator[None]:
        with self._lock:  # no other thread may read with this factory
            self._connection.text_factory = factory
            try:
                with self._translated():
                    yield
                if self._snapshot is not None:
                    self._snapshot.check()
            finally:
                self._connection.text_factory = str

    def _text_parameter(self, value: object) -> object:
        """Return a parameter for which ``CAST(? AS TEXT)`` yields the original text.

        Bytes are UTF-8; they are converted to the database's encoding.
        """
        if isinstance(value, bytes) and self._encoding != "UTF-8":
            text = value.decode("utf-8", "surrogatepass")
            return text.encode(self._encoding, "surrogatepass")
        return value

    def _changed_rows(self, sql: str, parameters: Sequence[object] = ()) -> int:
        with self._translated(), self._lock:
            return self._connection.execute(sql, parameters).rowcount

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise self._as_ours(error) from None

    def _as_ours(self, error: Exception) -> LangkeysError:
        if isinstance(error, sqlite3.IntegrityError):
            return ConflictError(f"{self.location}: {error}")
        if "not authorized" in str(error):
            return unsupported_write_error(self._generation, self.location)
        return store_error(error, self._path, self._busy_timeout)
