"""Texts that may have something in them for the secret key, in whatever table they are."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

from langkeys.errors import StoreError
from langkeys.models import FERNET_PREFIX
from langkeys.store.base import Cell
from langkeys.store.sqlite.database import PAGE_ROWS, Database
from langkeys.store.sqlite.places import (
    ENCRYPTED_COLUMNS,
    ENCRYPTED_JSON_COLUMNS,
    ENVELOPE_COLUMNS,
    KINDS,
)

PAGE_BYTES = 8 << 20
"""Text read at a time: flows and messages may be large, and many."""

_ROW_NAMES = ("rowid", "_rowid_", "oid")


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """What finds a row: the rowid, or the primary key where there is none."""
    label: str
    title: str

    @property
    def quoted_key(self) -> tuple[str, ...]:
        return tuple(map(_quoted, self.key))


class Cells(Database):
    """The part of a store that finds tokens wherever they are, and replaces them."""

    def cells(self, progress: Callable[[int], None]) -> Iterator[Sequence[Cell]]:
        before = 0
        for table in self._tables:
            for page, passed in self._cell_pages(table):
                progress(before + passed)
                yield page
            before += self._size(table)

    def rows_to_pass(self) -> int:
        return sum(map(self._size, self._tables))

    def replace_cells(self, changes: Sequence[tuple[Cell, bytes]]) -> None:
        tables = {table.name: table for table in self._tables}
        for cell, text in changes:
            where = " AND ".join(f"{column} = ?" for column in tables[cell.table].quoted_key)
            # As text in the database's own encoding, and untouched where it is not valid.
            value, mark = _text_or_none(text), "?"
            if value is None:
                mark = "CAST(? AS TEXT)"
            with self._translated():
                done = self._connection.execute(
                    f"UPDATE {_quoted(cell.table)} SET {_quoted(cell.column)} = {mark}"
                    f" WHERE {where}",
                    (text if value is None else value, *cell.position),
                )
            if done.rowcount != 1:
                raise StoreError(f"{self.location}: {cell.table} row {cell.row} is gone")

    def find_text(self, cell: Cell) -> bytes | None:
        for table in self._tables:
            if table.name == cell.table and cell.column in table.columns:
                where = " AND ".join(f"{column} = ?" for column in table.quoted_key)
                rows = self._byte_rows(
                    f"SELECT {_quoted(cell.column)} FROM {_quoted(table.name)} WHERE {where}",
                    cell.position,
                )
                value = next((row[0] for row in rows), None)
                return value if isinstance(value, bytes) else None
        return None

    @cached_property
    def _tables(self) -> list[_Table]:
        rows = self._rows("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
        virtual = tuple(
            f"{name}_" for name, sql in rows if (sql or "").upper().startswith("CREATE VIRTUAL")
        )
        return [
            self._described(name)
            for name, _ in rows
            # An index of full texts and its shadow tables are not to be written behind its back.
            if not name.startswith("sqlite_") and not f"{name}_".startswith(virtual)
        ]

    def _described(self, name: str) -> _Table:
        info = self._rows("SELECT name, pk FROM pragma_table_info(?)", (name,))
        columns = tuple(column for column, _ in info)
        folded = {column.lower() for column in columns}
        primary = tuple(column for column, pk in sorted(info, key=lambda row: row[1]) if pk)
        key = primary
        for row_name in _ROW_NAMES:
            if row_name not in folded:
                try:
                    self._connection.execute(f"SELECT {row_name} FROM {_quoted(name)} LIMIT 0")
                except sqlite3.OperationalError:  # WITHOUT ROWID
                    break
                key = (row_name,)
                break
        places = ENCRYPTED_COLUMNS + ENCRYPTED_JSON_COLUMNS + ENVELOPE_COLUMNS
        known = next((place[2:] for place in places if place[0] == name), None)
        # Where columns are missing, an old generation's table of that name has others.
        label, title = known or ("id" if "id" in columns else key[0], "NULL")
        return _Table(
            name,
            columns,
            key,
            _quoted(label if label in columns or label in _ROW_NAMES else key[0]),
            _quoted(title) if title in columns else "NULL",
        )

    def _size(self, table: _Table) -> int:
        sql = f"SELECT max(rowid) FROM {_quoted(table.name)}"
        if table.key[0] not in _ROW_NAMES:
            sql = f"SELECT count(*) FROM {_quoted(table.name)}"
        return int(self._rows(sql)[0][0] or 0)

    def _cell_pages(self, table: _Table) -> Iterator[tuple[list[Cell], int]]:
        """Yield pages of cells with the number of rows passed by their ends."""
        conditions = {
            column: f"typeof({_quoted(column)}) = 'text' AND "
            + (
                f"{_quoted(column)} != ''"
                if KINDS.get((table.name, column)) == "envelope"
                else f"instr({_quoted(column)}, '{FERNET_PREFIX}')"
            )
            for column in table.columns
            # What finds a row must stay: no table of Langflow's has its rows by tokens.
            if column not in table.key
        }
        if not conditions:
            return
        keys = ", ".join(table.quoted_key)
        values = ", ".join(
            f"CASE WHEN {condition} THEN {_quoted(column)} END"
            for column, condition in conditions.items()
        )
        found = " OR ".join(f"({condition})" for condition in conditions.values())
        marks = ", ".join("?" * len(table.key))
        after: tuple[object, ...] = ()
        passed = 0
        while True:
            beyond = f"({keys}) > ({marks}) AND " if after else ""
            rows = self._byte_rows(
                f"SELECT {table.label}, {table.title}, {keys}, {values}"
                f" FROM {_quoted(table.name)} WHERE {beyond}({found}) ORDER BY {keys}",
                after,
            )
            page: list[Cell] = []
            count = size = 0
            position: tuple[object, ...] = ()
            for row in rows:
                texts = row[2 + len(table.key) :]
                position = tuple(map(_decoded, row[2 : 2 + len(table.key)]))
                for column, text in zip(conditions, texts, strict=True):
                    if text is not None:
                        page.append(self._cell(table, column, row, position, text))
                        size += len(text)
                count += 1
                if count >= PAGE_ROWS or size >= PAGE_BYTES:
                    break
            rows.close()
            passed = position[0] if position and isinstance(position[0], int) else passed + count
            if page:
                yield page, passed
            if not count:
                return
            after = position

    def _cell(
        self,
        table: _Table,
        column: str,
        row: Sequence[Any],
        position: tuple[object, ...],
        text: bytes,
    ) -> Cell:
        kind = KINDS.get((table.name, column), "other")
        if kind == "value" and not text.startswith(FERNET_PREFIX.encode()):
            kind = "other"  # plaintext, to Langflow, with a token in its midst
        label, title = (None if value is None else _shown(value) for value in row[:2])
        return Cell(table.name, column, label or "?", title, kind, position, text)

    def _byte_rows(self, sql: str, parameters: Sequence[object]) -> "_ByteRows":
        return _ByteRows(self, sql, parameters)


class _ByteRows:
    """Rows whose texts are bytes as they are stored: one that is no UTF-8 must survive, too."""

    def __init__(self, database: Database, sql: str, parameters: Sequence[object]) -> None:
        self._database = database
        self._connection = database._connection
        # Python 3.10 reads the first row here, and each next one with the one before it.
        with self._as_bytes():
            self._cursor = self._connection.execute(sql, parameters)

    @contextmanager
    def _as_bytes(self) -> Iterator[None]:
        self._connection.text_factory = bytes
        try:
            with self._database._translated():
                yield
        finally:
            self._connection.text_factory = str

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while True:
            with self._as_bytes():
                row = self._cursor.fetchone()
            if row is None:
                return
            yield row

    def close(self) -> None:
        self._cursor.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text_or_none(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None


def _shown(value: object) -> str:
    """Return an id or a name as it may be shown: not where it is a token itself."""
    text = str(_decoded(value))
    return "(a token)" if FERNET_PREFIX in text else text


def _decoded(value: object) -> object:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
