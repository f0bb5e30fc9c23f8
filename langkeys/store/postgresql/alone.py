"""Exclusive use of a database: no other session is connected, and starting servers wait."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from langkeys.errors import StoreError, UnsupportedError, UsageError
from langkeys.store.postgresql.cells import Cells
from langkeys.store.postgresql.database import OUR_LOCK
from langkeys.store.postgresql.sql import quoted
from langkeys.store.postgresql.transactions import Transactions

MIGRATION_LOCK = 0x4C616E67666C6F77
"""Langflow's own advisory lock, from 1.11 on: a starting server waits until it is released."""
_LOOK_SECONDS = 0.1
_SETTLE_SECONDS = 2.0
"""Seconds to wait until a closing session, such as pg_dump's, disappears from the list."""
_MOST_NAMED = 10


class Alone(Transactions, Cells):
    """The part of a store that keeps others out while it is open.

    No lock prevents other sessions from connecting. So this part looks for other sessions before
    the work, while it holds the locks, and right before the commit.
    """

    _is_alone = False
    _ignored: tuple[str, ...] = ()

    def take_alone(self, patience: float, ignored: Collection[str]) -> None:
        """Lock the database until the connection is closed; StoreError if others stay connected."""
        self._require_no_pooler()
        self._ignored = tuple(ignored)
        for (own,) in self._rows(
            # Sessions are listed by the user who logged in, whatever SET ROLE says since; the owner
            # of the tables is the user that made them, which is the server's.
            "SELECT session_user::text UNION SELECT current_user::text UNION"
            " SELECT pg_get_userbyid(relowner)::text FROM pg_class"
            " WHERE oid = to_regclass('apikey')"
        ):
            if own in self._ignored:
                raise UsageError(
                    f"--ignore-sessions-of {own} is the user of the database itself, which is the"
                    " server's; nothing was done",
                    hint="stop the server",
                )
        self._require_alone(patience)
        # The locks belong to the session: a new connection would not have them.
        self._may_reconnect = False
        for lock, holder in (
            (f"{OUR_LOCK}, 1", "another rotation of the secret key is running"),
            (f"{MIGRATION_LOCK}", "a Langflow server is starting"),
        ):
            ((is_ours,),) = self._rows(f"SELECT pg_try_advisory_lock({lock})")
            if not is_ours:
                raise StoreError(
                    f"the database {self.location} is in use: {holder}; nothing was done",
                    hint="wait until it is done, and run the command again",
                )
        self._is_alone = True
        self._require_alone()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            if self._is_alone:
                tables = ", ".join(quoted(table.name) for table in self._text_tables)
                # Others can still read. A server older than 1.11 waits at its first write.
                self._rows(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
                self._require_alone(_SETTLE_SECONDS)
            yield

    def _commit(self) -> None:
        if self._is_alone:
            self._require_alone()
        super()._commit()

    def _require_no_pooler(self) -> None:
        if self._is_pooled():
            raise UnsupportedError(
                f"{self.location} is reached through a pooler, where a session's locks do not hold;"
                " nothing was done",
                hint="use the URL of the PostgreSQL server itself",
            )

    def _require_alone(self, patience: float = 0.0) -> None:
        deadline = time.monotonic() + patience
        while others := self._others():
            if time.monotonic() >= deadline:
                raise self._in_use(others)
            time.sleep(_LOOK_SECONDS)

    def _others(self) -> list[tuple[str, int]]:
        # Background processes have no user. A role with few rights cannot see their type.
        return [
            (str(user), int(process))
            for user, process in self._rows(
                # Without this, all queries of a transaction see the snapshot of the first one.
                "SELECT pg_stat_clear_snapshot(); SELECT usename::text, pid FROM pg_stat_activity"
                " WHERE datname = current_database()"
                " AND pid != pg_backend_pid() AND usesysid IS NOT NULL"
                " AND usename::text != ALL(%s) ORDER BY pid",
                (list(self._ignored),),
            )
        ]

    def _in_use(self, others: list[tuple[str, int]]) -> StoreError:
        named = ", ".join(f"{user} (pid {process})" for user, process in others[:_MOST_NAMED])
        more = len(others) - _MOST_NAMED
        return StoreError(
            f"the database {self.location} is in use by other sessions: {named}"
            f"{f' and {more} more' if more > 0 else ''}; nothing was written",
            hint="stop the Langflow servers and all else that uses the database, then run the"
            " command again; for sessions that have nothing to do with Langflow, such as a"
            " monitor's, use --ignore-sessions-of ROLE",
        )
