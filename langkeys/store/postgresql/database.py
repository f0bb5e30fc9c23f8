"""A connection to a Langflow database on a server: statements, transactions, column types."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, TypeVar

from langkeys.errors import LangkeysError, StoreError, UnreadableRowError
from langkeys.store.base import BadCellError, BaseStore
from langkeys.store.generations import (
    require_writable,
)
from langkeys.store.postgresql import catalog
from langkeys.store.postgresql.calls import Calls
from langkeys.store.postgresql.connections import (
    answers,
    connected,
    driver,
    is_lost,
    silence_error,
    store_error,
)
from langkeys.store.postgresql.spool import Row, Spool
from langkeys.store.postgresql.values import shown_id, utc_time
from langkeys.targets import Target

PATIENCE = 10.0
"""Seconds to wait for a lock that another session holds."""
PAGE_ROWS = 500
CURSOR_ROWS = 2000
OUR_LOCK = 0x4C4B6579
"""The first of the two numbers in langkeys' advisory locks; servers' locks have one number."""

Parameters = Sequence[object] | Mapping[str, object]
Own = TypeVar("Own", bound="Database")


class Database(BaseStore):
    """The part of a store that all tables need: connection, columns and generation."""

    def __init__(
        self, target: Target, *, writable: bool = False, patience: float = PATIENCE
    ) -> None:
        super().__init__()
        self._target = target
        self._writable = writable
        self._patience = patience
        self._psycopg2 = driver()
        # Held during a statement or a whole transaction, because threads share the connection.
        self._lock = threading.RLock()
        self._in_transaction = False
        self._is_closed = False
        self._may_reconnect = True
        self._rereads = False
        self._versions, self._cursors = itertools.count(), itertools.count()
        self._connect()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        self._connection = connected(self._target)
        self._calls = Calls(self._connection, lambda: answers(self._target))

    def _disconnect(self) -> None:
        self._calls.close()
        with suppress(self._psycopg2.Error):
            self._connection.close()

    def _prepare(self) -> None:
        if self._connection.get_parameter_status("server_encoding") == "SQL_ASCII":
            raise StoreError(f"the database {self.location} has no encoding (SQL_ASCII)")
        if self._writable and self._connection.get_parameter_status("in_hot_standby") == "on":
            raise StoreError(
                f"the database {self.location} is a replica (standby), which is read-only; nothing"
                " was written",
                hint="use the URL of the primary",
            )
        self._types, self._hidden = catalog.read_types(self._rows)
        columns = {table: frozenset(types) for table, types in self._types.items()}
        if "apikey" not in columns:
            raise catalog.missing_tables(self._rows, self.location, is_empty=not columns)
        catalog.require_all_rows(self._hidden & catalog.ADMINISTERED, self.location)
        self._recognize(columns, self._read_revisions(columns), writable=self._writable)

    def _read_revisions(self, columns: dict[str, frozenset[str]]) -> list[str]:
        if "alembic_version" not in columns:
            return []
        return [str(row[0]) for row in self._rows("SELECT version_num FROM alembic_version")]

    @property
    def location(self) -> str:
        return self._target.location

    @property
    def is_snapshot(self) -> bool:
        return False

    def is_replaced(self) -> bool:
        return False

    def version(self) -> int:
        # Langflow servers write a heartbeat every second, which changes every cheap counter. So
        # nothing that was read before is known to be current.
        return next(self._versions)

    def schema_version(self) -> int:
        rows = self._rows(
            "SELECT hashtext(string_agg(concat(attrelid, attname, atttypid), ',' ORDER BY attrelid,"
            " attnum)) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid IN"
            " (to_regclass('apikey'), to_regclass('variable'), to_regclass('\"user\"'))"
        )
        return int(rows[0][0] or 0)

    @contextmanager
    def reopened(self: Own) -> Iterator[Own]:
        try:
            store = self._fresh() or self
            try:
                yield store
            finally:
                if store is not self:
                    store.close()
        except UnreadableRowError:
            raise
        except StoreError as error:
            raise StoreError(
                f"the change was written, but could not be read back: {error.message}",
                hint="look at what is stored before you run the command again",
            ) from None

    def _fresh(self: Own) -> Own | None:
        """Open another connection; None if the server grants none, but still answers this one."""
        try:
            return type(self)(self._target, patience=self._patience)
        except StoreError as error:
            try:
                with self._lock:
                    self._fetched("SELECT 1", ())
            except self._psycopg2.Error:
                raise error from None
            if not self._rereads:
                self._rereads = True
                self._tell(
                    f"{error.message}; what was written is read back through the connection that"
                    " wrote it",
                    is_warning=True,
                )
            return None

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._disconnect()

    # Statements

    def _rows(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        with self._lock:
            if not self._in_transaction and not sql.startswith("BEGIN"):
                # A plain SELECT waits for an exclusive lock, too. A pooler may give the session to
                # others, so the limit is set for this statement only.
                sql = f"SET LOCAL lock_timeout = {self._lock_milliseconds}; {sql}"
            if self._connection.closed and self._is_replaceable:
                self._disconnect()
                self._connect()
            try:
                return self._fetched(sql, parameters)
            except self._psycopg2.Error as error:
                if not self._reconnects_after(error):
                    raise self._as_ours(error) from None
            except (ValueError, UnicodeError) as error:
                raise self._as_ours(error) from None
            # The server was restarted, or ended an idle session. No transaction was active, so
            # retry.
            self._disconnect()
            self._connect()
            with self._translated():
                return self._fetched(sql, parameters)

    @property
    def _is_replaceable(self) -> bool:
        """Whether a new connection can replace this one, because nothing depends on the session."""
        return self._may_reconnect and not self._in_transaction and not self._is_closed

    def _reconnects_after(self, error: Exception) -> bool:
        if not self._is_replaceable:
            return False
        # A server that has just been given up would cost another wait.
        if self._calls.is_given_up:
            self._disconnect()
            return False
        return is_lost(self._psycopg2, error)

    def _fetched(self, sql: str, parameters: Parameters) -> list[Any]:
        with self._connection.cursor() as cursor:
            with self._calls:
                cursor.execute(sql, parameters or None)
            return list(cursor.fetchall()) if cursor.description is not None else []

    @property
    def _lock_milliseconds(self) -> int:
        return max(1, int(self._patience * 1000))

    def _changed_rows(self, sql: str, parameters: Parameters = ()) -> int:
        self._require_writable()
        with self._translated(), self._lock, self._connection.cursor() as cursor:
            with self._calls:
                cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    def _require_writable(self) -> None:
        if not self._writable:
            raise StoreError(f"{self.location} was opened for reading; nothing was written")

    def _require_more_than_ends(self) -> None:
        """Raise UnsupportedError if langkeys only deletes rows of this generation."""
        require_writable(self._generation, self.location)

    def _copy(self, sql: str, lines: IO[str]) -> None:
        with self._translated(), self._connection.cursor() as cursor, self._calls:
            cursor.copy_expert(sql, lines)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (self._psycopg2.Error, OSError, ValueError, UnicodeError) as error:
            raise self._as_ours(error) from None

    def _as_ours(self, error: Exception) -> LangkeysError:
        if isinstance(error, LangkeysError):
            return error
        if self._calls.is_given_up:
            return silence_error(self.location)
        if isinstance(error, self._psycopg2.Error):
            return store_error(self._psycopg2, error, self.location, self._patience)
        if isinstance(error, OSError):
            return StoreError(f"the database {self.location} failed: {error.strerror}")
        return StoreError(f"the database {self.location} cannot hold such a text")

    def _streamed(
        self, sql: str, parameters: Sequence[object] = (), *, order: str, limit: int | None,
        offset: int = 0,
    ) -> Iterator[Row]:  # fmt: skip
        """Yield any number of rows in an order without an index, to a consumer of any speed.

        All rows are read first; large results go to a temporary file. An open cursor would block
        the server's VACUUM, and migrations, for as long as the consumer takes.
        """
        ordered = f"{sql} ORDER BY {order}"
        if limit is not None and limit <= CURSOR_ROWS:
            yield from self._rows(f"{ordered} LIMIT %s OFFSET %s", (*parameters, limit, offset))
            return
        spool = Spool()
        try:
            with self._lock, self._reading():
                name = f"langkeys_{next(self._cursors)}"
                self._rows(
                    f"DECLARE {name} NO SCROLL CURSOR FOR {ordered} LIMIT %s OFFSET %s",
                    (*parameters, limit, offset),
                )
                while rows := self._rows(f"FETCH {CURSOR_ROWS} FROM {name}"):
                    spool.add(rows)
                self._rows(f"CLOSE {name}")
            yield from spool
        finally:
            spool.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Run the block in the active transaction, or else in a read-only transaction."""
        if self._in_transaction:
            yield
            return
        self._begin(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;"
            f" SET LOCAL lock_timeout = {self._lock_milliseconds}"
        )
        self._in_transaction = True
        try:
            yield
        finally:
            self._in_transaction = False
            self._end("COMMIT")

    def _begin(self, sql: str, parameters: Parameters = ()) -> None:
        try:
            self._rows(sql, parameters)
        except StoreError:
            # This was already the second attempt: ``_rows`` has reconnected.
            if self._connection.closed and not self._calls.is_given_up:
                raise StoreError(
                    f"the connection to the database {self.location} was lost at the beginning of a"
                    " transaction; nothing was written",
                    hint="a pooler in statement mode has no transactions: set its pool_mode to"
                    " transaction or session; without one, run the command again",
                ) from None
            raise

    def _end(self, sql: str) -> None:
        with suppress(self._psycopg2.Error):  # so that the first error is reported
            self._fetched(sql, ())

    def _is_pooled(self) -> bool:
        """Tell whether the connection leads to a pooler."""
        # A pooler reports a process id of its own, and may change the server process between
        # queries.
        ((process,),) = self._rows("SELECT pg_backend_pid()")
        return bool(process != self._connection.info.backend_pid)

    # Columns

    def _utc(self, table: str, column: str, alias: str) -> str:
        """Return SQL for a time column as UTC without a zone; NULL if the column does not exist."""
        column_type = self._types[table].get(column)
        return (
            "NULL::timestamp" if column_type is None else utc_time(f"{alias}.{column}", column_type)
        )

    def _has(self, table: str, column: str) -> bool:
        return column in self._types.get(table, {})

    def _unreadable_row(
        self, table: str, row_id: object, name: str | None, error: BadCellError
    ) -> UnreadableRowError:
        return UnreadableRowError(
            self.location, table=table, row=shown_id(row_id), name=name, column=error.column
        )

    def _find_problem(
        self, row: Sequence[Any], load: Callable[[Sequence[Any]], object]
    ) -> str | None:
        try:
            load(row)
        except UnreadableRowError as error:
            return error.column
        return None
