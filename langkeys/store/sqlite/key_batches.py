"""Batches of API keys in a temporary table, so that a million keys need little memory.

A temporary table belongs to the connection. SQLite moves a large one to a separate unnamed file, so
nothing is added to Langflow's database.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby, zip_longest
from typing import Any

from langkeys.batches import in_batches
from langkeys.errors import LangkeysError, StoreError, UnreadableRowError
from langkeys.models import FERNET_PREFIX, ApiKey
from langkeys.progress import Advance
from langkeys.store.changes import key_deletion, key_insertions
from langkeys.store.encrypted_columns import PAST_FERNET
from langkeys.store.key_columns import COUNTED_COLUMNS, KEY_CELLS, KEY_COLUMNS
from langkeys.store.records import Change, KeyFilter
from langkeys.store.sqlite.api_keys import ApiKeyTable, key_row
from langkeys.store.sqlite.database import MORE_CACHE, PAGE_ROWS
from langkeys.store.sqlite.values import JOINED_OWNER

_TABLE = "temp.langkeys_batch"
_CELLS = ", ".join((*KEY_COLUMNS, "username"))
_DELETED_AT_ONCE = 5000
_MANY = 1000


class KeyBatches(ApiKeyTable):
    """The part of a store that creates batches."""

    @contextmanager
    def key_batch(self) -> Iterator["SqliteKeyBatch"]:
        with self._lock:
            self._rows(f"DROP TABLE IF EXISTS {_TABLE}")
            self._rows(f"CREATE TABLE {_TABLE} ({_CELLS})")
            try:
                yield SqliteKeyBatch(self)
            finally:
                # A failure (no space for temporary files) is harmless: the table disappears with
                # the connection, and the command's own result must be reported.
                with suppress(LangkeysError):
                    self._rows(f"DROP TABLE {_TABLE}")


@contextmanager
def _in_temporary_file(store: KeyBatches) -> Iterator[None]:
    """Explain a failure to write the temporary file, which SQLite reports as the database's."""
    try:
        yield
    except StoreError as error:
        if "unable to open" not in error.message and "full" not in error.message:
            raise
        raise StoreError(
            f"cannot prepare so many API keys for {store.location}: there is no space"
            " for a temporary file; nothing was done",
            hint="set TMPDIR to a writable folder with free space",
        ) from None


class SqliteKeyBatch:
    """A batch of a store in a SQLite file; see ``langkeys.store.key_batch.KeyBatch``."""

    def __init__(self, store: KeyBatches) -> None:
        self._store = store
        self._count = 0
        self._before = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[ApiKey]:
        return map(self._store._api_key, self._rows(_CELLS))

    def add(self, keys: Iterable[ApiKey]) -> None:
        store = self._store
        rows = [(*key_row(key), key.username) for key in keys]
        # Use one transaction for all keys. It takes no lock, because the table belongs to this
        # connection.
        with _in_temporary_file(store), store._translated():
            store._connection.execute("BEGIN")
            try:
                store._connection.executemany(
                    f"INSERT INTO {_TABLE} VALUES ({', '.join('?' * KEY_CELLS)})", rows
                )
            except BaseException:
                store._connection.rollback()  # no effect if a full disk has rolled back
                raise
            store._connection.execute("COMMIT")
        self._count += len(rows)

    def add_matching(self, wanted: KeyFilter, *, spared: str | None = None) -> None:
        where, parameters = self._store._conditions(wanted)
        store = self._store
        (before,) = store._rows(f"SELECT coalesce(max(rowid), 0) FROM {_TABLE}")[0]
        with _in_temporary_file(store):
            self._count += store._changed_rows(
                f"INSERT INTO {_TABLE} SELECT {store._key_columns} FROM apikey k"
                f"{JOINED_OWNER}"
                f" WHERE {where} AND k.id IS NOT ? ORDER BY {store._key_row}",
                (*parameters, spared),
            )
            self._leave_out_unreadable(before)

    def _leave_out_unreadable(self, before: int) -> None:
        """Remove unreadable rows, because it is unknown whether they match the filter."""
        unreadable = []
        for row in self._rows(_CELLS, before):
            try:
                self._store._api_key(row)
            except UnreadableRowError as error:
                self._store._tell_unreadable(error)
                unreadable.append((row[-1],))
        for row in unreadable:
            self._count -= self._store._changed_rows(f"DELETE FROM {_TABLE} WHERE rowid = ?", row)

    def ids_among(self, key_ids: Collection[str]) -> set[str]:
        rows = self._store._rows(
            f"SELECT id FROM {_TABLE} WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(key_ids)),),
        )
        return {row[0] for row in rows}

    def discard(self, key_ids: Collection[str]) -> None:
        self._count -= self._store._changed_rows(
            f"DELETE FROM {_TABLE} WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(key_ids)),),
        )

    def insert(self) -> None:
        store = self._store
        columns = ", ".join(store._own_columns)
        store._rows(MORE_CACHE)
        store._allow_encrypted(
            row[0]
            for row in store._rows(
                f"SELECT api_key FROM {_TABLE} WHERE api_key >= ? AND api_key < ? LIMIT 1",
                (FERNET_PREFIX, PAST_FERNET),
            )
        )
        (self._before,) = store._rows(f"SELECT coalesce(max({store._key_row}), 0) FROM apikey k")[0]
        # Use OR FAIL to avoid the statement journal: a failure rolls back the whole transaction
        # anyway.
        store._rows(
            f"INSERT OR FAIL INTO apikey ({columns})"
            f" SELECT {columns} FROM {_TABLE} ORDER BY {self._order}"
        )
        if self._count:
            store._note_unread(self._insertions())

    def _insertions(self) -> Iterator[Change]:
        rows = self._rows("name, user_id, username, expires_at, id")
        for like, some in groupby(rows, lambda row: row[:4]):
            name, user_id, username, expires_at = like
            for alike in in_batches(some, PAGE_ROWS):
                yield key_insertions(
                    [row[4] for row in alike],
                    name=name,
                    user_id=user_id,
                    username=username,
                    expires_at=expires_at,
                )

    def _rows(self, columns: str, last_row: int = 0) -> Iterator[tuple[Any, ...]]:
        while True:
            rows = self._store._rows(
                f"SELECT {columns}, rowid FROM {_TABLE} WHERE rowid > ? ORDER BY rowid LIMIT ?",
                (last_row, PAGE_ROWS),
            )
            yield from rows
            if len(rows) < PAGE_ROWS:
                return
            last_row = rows[-1][-1]

    @property
    def _order(self) -> str:
        # Hashes and ids are random. Inserting a large batch in the order of one of these indexes
        # halves the number of pages that are read and written.
        if self._count < _MANY:
            return "rowid"
        return "api_key_hash" if self._store.generation.has_key_hash else "id"

    def find_unwritten(self) -> str | None:
        columns = ", ".join(
            column for column in self._store._own_columns if column not in COUNTED_COLUMNS
        )
        number = self._store._row_number("apikey")
        mine = self._store._connection.execute(
            f"SELECT {columns} FROM {_TABLE} ORDER BY {self._order}"
        )
        with self._store.reopened() as fresh:
            # Rows that one transaction inserts have consecutive row numbers.
            last = self._before + self._count
            for row in range(self._before, last, PAGE_ROWS):
                theirs = fresh._rows(
                    f"SELECT {columns} FROM apikey WHERE {number} > ? AND {number} <= ?"
                    f" ORDER BY {number}",
                    (row, min(row + PAGE_ROWS, last)),
                )
                for my_key, their_key in zip_longest(mine.fetchmany(PAGE_ROWS), theirs):
                    if my_key != their_key:
                        return str((my_key or their_key)[0])
        return None

    def keep_matching(self, wanted: KeyFilter | None = None) -> None:
        store = self._store
        where, parameters = ("1", []) if wanted is None else store._conditions(wanted)
        self._count -= store._changed_rows(
            f"DELETE FROM {_TABLE} WHERE NOT EXISTS"
            f" (SELECT 1 FROM apikey k WHERE k.id = langkeys_batch.id AND {where})",
            parameters,
        )

    def delete(self, wanted: KeyFilter | None = None, *, done: Advance = lambda _: None) -> None:
        store = self._store
        store._has_removed = True
        store._rows(MORE_CACHE)
        self.keep_matching(wanted)
        if self._count:
            store._note_unread(map(key_deletion, self))
        deleted = 0
        (last_row,) = store._rows(f"SELECT coalesce(max(rowid), 0) FROM {_TABLE}")[0]
        for row in range(0, last_row, _DELETED_AT_ONCE):
            deleted += store._changed_rows(
                "DELETE FROM apikey WHERE id IN"
                f" (SELECT id FROM {_TABLE} WHERE rowid > ? AND rowid <= ?)",
                (row, row + _DELETED_AT_ONCE),
            )
            done(deleted)

    def find_undeleted(self) -> str | None:
        with self._store.reopened() as fresh:
            for keys in in_batches(self, PAGE_ROWS):
                ids = json.dumps([key.id for key in keys])
                found = fresh._rows(
                    "SELECT id FROM apikey WHERE id IN (SELECT value FROM json_each(?))", (ids,)
                )
                if found:
                    return str(found[0][0])
        return None
