"""Run transactions: take the lock, commit, and find out whether the commit succeeded."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from langkeys import failpoints
from langkeys.errors import LangkeysError, StoreError
from langkeys.store.postgresql.database import OUR_LOCK, Database

COMMIT_PATIENCE = 10.0
"""Seconds to keep asking the server for the result of a COMMIT after the connection was lost."""
_LOOK_SECONDS = 0.1
_UNKNOWN_ID = "22023"


class Transactions(Database):
    """The part of a store that runs transactions."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            yield from self._transaction()

    def _transaction(self) -> Iterator[None]:
        self._require_writable()
        try:
            # READ COMMITTED: a snapshot from before the lock would miss what the previous holder
            # wrote. Statements that rely on an earlier read repeat it in their condition.
            self._begin(
                "BEGIN ISOLATION LEVEL READ COMMITTED;"
                " SET LOCAL lock_timeout = %s; SET LOCAL statement_timeout = 0;"
                " SET LOCAL idle_in_transaction_session_timeout = '10min';"
                # A write that we report must survive a crash of the server.
                " SELECT set_config('synchronous_commit', 'on', true)"
                " WHERE current_setting('synchronous_commit') = 'off';"
                " SELECT pg_advisory_xact_lock(%s, 0)",
                (self._lock_milliseconds, OUR_LOCK),
            )
        except LangkeysError:
            self._end("ROLLBACK")
            raise
        self._in_transaction = True
        self._forget_changes()
        try:
            yield
            with self._commit_context():
                with self._translated():
                    failpoints.reach("before-commit")
                self._commit()
        finally:
            if self._in_transaction:
                self._in_transaction = False
                self._end("ROLLBACK")

    def transaction_id(self) -> str | None:
        ((number,),) = self._rows("SELECT pg_current_xact_id()::text")
        return f"{self._identity()}/{number}"

    def transaction_status(self, transaction_id: str) -> str | None:
        identity, _, number = transaction_id.rpartition("/")
        # Each server numbers its own transactions. On another server, or in a database that was
        # replaced by a copy, the same number belongs to another transaction.
        if identity != self._identity():
            return None
        try:
            ((status,),) = self._fetched("SELECT pg_xact_status(%s::xid8)", (number,))
        except self._psycopg2.Error as error:
            if error.pgcode == _UNKNOWN_ID:  # the server was restored from a backup
                return None
            raise self._as_ours(error) from None
        return None if status is None else str(status)

    def _identity(self) -> str:
        """Return an id that no other database has, on this or any other server."""
        ((oid, may_ask),) = self._rows(
            "SELECT oid::text, has_function_privilege('pg_control_system()', 'EXECUTE')"
            " FROM pg_database WHERE datname = current_database()"
        )
        server = "?"
        if may_ask:
            ((server,),) = self._rows("SELECT system_identifier::text FROM pg_control_system()")
        return f"{server}/{oid}"

    def _commit(self) -> None:
        ((number,),) = self._rows("SELECT pg_current_xact_id_if_assigned()::text")
        try:
            with self._translated():
                self._fetched("COMMIT", ())
        except StoreError:
            if number is None or not self._has_committed(str(number)):
                raise
        self._in_transaction = False

    def _has_committed(self, number: str) -> bool:
        """Reconnect, and tell whether a transaction was committed."""
        self._in_transaction = False
        self._disconnect()
        deadline = time.monotonic() + COMMIT_PATIENCE
        while True:
            # The server may still be starting, or may not have noticed the lost connection.
            with suppress(StoreError):
                self._connect()
                ((status,),) = self._rows("SELECT pg_xact_status(%s::xid8)", (number,))
                if status in ("committed", "aborted"):
                    return bool(status == "committed")
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_SECONDS)
        raise StoreError(
            f"the connection to the database {self.location} was lost at a commit, and it cannot be"
            " told whether it was written",
            hint="look at what is stored before you run the command again",
        )
