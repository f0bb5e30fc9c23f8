"""Batches of API keys in a local temporary file, so that a million keys need little memory.

A temporary table would need an additional right, and a pooler would lose it after each transaction.
"""

import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby

from langkeys.batches import in_batches
from langkeys.errors import UnreadableRowError
from langkeys.models import FERNET_PREFIX, ApiKey
from langkeys.progress import Advance
from langkeys.store.changes import key_deletion, key_insertions
from langkeys.store.key_columns import COUNTED_COLUMNS, KEY_COLUMNS
from langkeys.store.postgresql.api_keys import ApiKeyTable, key_row
from langkeys.store.postgresql.database import PAGE_ROWS
from langkeys.store.postgresql.spool import Row, Spool
from langkeys.store.postgresql.values import shown_id
from langkeys.store.records import Change, KeyFilter

_AT_ONCE = 5000
_COPIED_AT_ONCE = 1000
_NAME, _USER, _STORED, _EXPIRES, _USERNAME = 1, 2, 3, 9, 10


class KeyBatches(ApiKeyTable):
    """The part of a store that creates batches."""

    @contextmanager
    def key_batch(self) -> Iterator["ServerKeyBatch"]:
        batch = ServerKeyBatch(self)
        try:
            yield batch
        finally:
            batch.close()


class ServerKeyBatch:
    """A batch of a store on a server; see ``langkeys.store.key_batch.KeyBatch``."""

    def __init__(self, store: KeyBatches) -> None:
        self._store = store
        self._spool = Spool()
        self._discarded: set[str] = set()

    def close(self) -> None:
        """Delete the temporary file."""
        self._spool.close()

    def __len__(self) -> int:
        return len(self._spool) - len(self._discarded)

    def __iter__(self) -> Iterator[ApiKey]:
        return map(self._store._api_key, self._rows())

    def _rows(self) -> Iterator[Row]:
        rows = iter(self._spool)
        if not self._discarded:
            return rows
        return (row for row in rows if shown_id(row[0]) not in self._discarded)

    def add(self, keys: Iterable[ApiKey]) -> None:
        self._spool.add((*_as_read(key_row(key)), key.username) for key in keys)

    def add_matching(self, wanted: KeyFilter, *, spared: str | None = None) -> None:
        self._spool.add(self._readable(self._store._matching_rows(wanted), spared))

    def _readable(self, rows: Iterable[Row], spared: str | None) -> Iterator[Row]:
        """Skip unreadable rows, because it is unknown whether they match the filter."""
        for row in rows:
            try:
                key = self._store._api_key(row)
            except UnreadableRowError as error:
                self._store._tell_unreadable(error)
            else:
                if key.id != spared:
                    yield row

    def ids_among(self, key_ids: Collection[str]) -> set[str]:
        wanted = set(key_ids)
        return {row_id for row in self._rows() if (row_id := shown_id(row[0])) in wanted}

    def discard(self, key_ids: Collection[str]) -> None:
        self._discarded |= self.ids_among(key_ids)

    def _keep(self, kept: Iterable[Row]) -> None:
        spool = Spool()
        spool.add(kept)
        self._spool.close()
        self._spool, self._discarded = spool, set()

    def insert(self) -> None:
        store = self._store
        store._require_more_than_ends()
        store._allow_encrypted(
            row[_STORED] for row in self._rows() if row[_STORED].startswith(FERNET_PREFIX)
        )
        columns = store._own_key_columns
        cells = [KEY_COLUMNS.index(column) for column in columns]
        sql = f"COPY apikey ({', '.join(columns)}) FROM STDIN"
        for rows in in_batches(self._rows(), _COPIED_AT_ONCE):
            text = "".join(
                "\t".join(
                    _copied(row[cell], column) for cell, column in zip(cells, columns, strict=True)
                )
                + "\n"
                for row in rows
            )
            store._copy(sql, io.StringIO(text))
        if len(self):
            store._note_unread(self._insertions())

    def _insertions(self) -> Iterator[Change]:
        def alike(row: Row) -> tuple[object, ...]:
            return row[_NAME], row[_USER], row[_USERNAME], row[_EXPIRES]

        for _, some in groupby(self._rows(), alike):
            for rows in in_batches(some, PAGE_ROWS):
                yield key_insertions(
                    [shown_id(row[0]) for row in rows],
                    name=rows[0][_NAME],
                    user_id=shown_id(rows[0][_USER]),
                    username=rows[0][_USERNAME],
                    expires_at=rows[0][_EXPIRES],
                )

    def find_unwritten(self) -> str | None:
        store = self._store
        read = [name for name in store._own_key_columns if name not in COUNTED_COLUMNS]
        cells = [KEY_COLUMNS.index(name) for name in read]
        columns = ", ".join(
            store._key_time(name) if cell in _TIME_CELLS else f"k.{name}"
            for cell, name in zip(cells, read, strict=True)
        )
        with store.reopened() as fresh:
            for rows in in_batches(self._rows(), PAGE_ROWS):
                found = {
                    shown_id(row[0]): list(map(_comparable, row, cells))
                    for row in fresh._rows(
                        f"SELECT {columns} FROM apikey k WHERE k.id = ANY(%s::uuid[])",
                        ([shown_id(row[0]) for row in rows],),
                    )
                }
                for row in rows:
                    row_id = shown_id(row[0])
                    if found.get(row_id) != [_comparable(row[cell], cell) for cell in cells]:
                        return row_id
        return None

    def keep_matching(self, wanted: KeyFilter | None = None) -> None:
        self._keep(self._still_matching(wanted))

    def _still_matching(self, wanted: KeyFilter | None) -> Iterator[Row]:
        store = self._store
        where, parameters = ("true", []) if wanted is None else store._conditions(wanted)
        # Within a transaction, lock the rows so that they cannot change before it ends.
        locked = " FOR UPDATE" if store._in_transaction else ""
        for rows in in_batches(self._rows(), _AT_ONCE):
            found = store._rows(
                f"SELECT k.id FROM apikey k WHERE k.id = ANY(%s::uuid[]) AND {where}{locked}",
                ([shown_id(row[0]) for row in rows], *parameters),
            )
            there = {shown_id(row[0]) for row in found}
            yield from (row for row in rows if shown_id(row[0]) in there)

    def delete(self, wanted: KeyFilter | None = None, *, done: Advance = lambda _: None) -> None:
        store = self._store
        store._require_writable()
        self.keep_matching(wanted)
        if len(self):
            store._note_unread(map(key_deletion, self))
        deleted = 0
        for rows in in_batches(self._rows(), _AT_ONCE):
            deleted += store._changed_rows(
                "DELETE FROM apikey WHERE id = ANY(%s::uuid[])",
                ([shown_id(row[0]) for row in rows],),
            )
            done(deleted)

    def find_undeleted(self) -> str | None:
        with self._store.reopened() as fresh:
            for rows in in_batches(self._rows(), PAGE_ROWS):
                found = fresh._rows(
                    "SELECT id FROM apikey WHERE id = ANY(%s::uuid[]) LIMIT 1",
                    ([shown_id(row[0]) for row in rows],),
                )
                if found:
                    return shown_id(found[0][0])
        return None


_ID_CELLS = frozenset((0, _USER))
_TIME_CELLS = frozenset(
    KEY_COLUMNS.index(name) for name in ("created_at", "last_used_at", "expires_at")
)


def _comparable(cell: object, number: int) -> object:
    """Return a cell in a form in which it is equal to itself, written and read."""
    if cell is None:
        return None
    if number in _TIME_CELLS:
        # Without the zeros at its end, which the server omits.
        return str(cell).rstrip("0").removesuffix(".") if "." in str(cell) else str(cell)
    return shown_id(cell) if number in _ID_CELLS else cell


def _as_read(row: tuple[object, ...]) -> Row:
    """Convert a row from the form that is stored to the form that is read: times without a zone."""
    return tuple(
        str(cell).removesuffix("+00") if index in _TIME_CELLS and cell is not None else cell
        for index, cell in enumerate(row)
    )


def _copied(cell: object, column: str) -> str:
    """Format a cell for COPY; times get an offset: the session's time zone may not be UTC."""
    if cell is None:
        return "\\N"
    if isinstance(cell, bool):
        return "t" if cell else "f"
    text = str(cell)
    if column.endswith("_at"):
        return f"{text}+00"
    for char, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(char, escaped)
    return text
