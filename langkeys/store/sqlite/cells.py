"""Find and replace Fernet tokens and envelopes in any text column."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from langkeys.errors import StoreError
from langkeys.models import FERNET_PREFIX
from langkeys.store.encrypted_columns import KINDS, find_row_columns
from langkeys.store.protocol import Cell
from langkeys.store.sqlite.connections import ROW_NUMBERS
from langkeys.store.sqlite.database import PAGE_ROWS, Database
from langkeys.store.sqlite.values import shown_name, text_or_bytes

PAGE_BYTES = 8 << 20
"""The number of bytes read at a time: flows and messages may be large, and many."""

_PREFIX = FERNET_PREFIX.encode()


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The columns that identify a row: the rowid, or the primary key if there is no rowid."""
    has_numbers: bool
    """Whether ``key`` is the rowid, under a name that no column uses."""
    label: str
    """SQL for the row's id in messages."""
    title: str
    """SQL for the row's name in messages."""

    @property
    def quoted_key(self) -> tuple[str, ...]:
        return tuple(map(_quoted, self.key))


class Cells(Database):
    """The part of a store that finds and replaces encrypted values in any table."""

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
        self._has_removed = True
        keys = {table.name: table.quoted_key for table in self._tables}
        values = [(cell, self._text_parameter(text_or_bytes(text))) for cell, text in changes]
        for (table, column, kind), some in groupby(values, _statement_key):
            # CAST keeps the value a text in the database's encoding, even if its bytes are not
            # valid.
            mark = "?" if kind is str else "CAST(? AS TEXT)"
            where = " AND ".join(f"{name} = ?" for name in keys[table])
            rows = [(value, *cell.position) for cell, value in some]
            with self._translated():
                done = self._connection.executemany(
                    f"UPDATE {_quoted(table)} SET {_quoted(column)} = {mark} WHERE {where}", rows
                )
            if done.rowcount != len(rows):
                raise StoreError(
                    f"{self.location}: rows of {table} cannot be changed",
                    hint="check the database's triggers",
                )

    def find_text(self, cell: Cell) -> bytes | None:
        for table in self._tables:
            if table.name == cell.table and cell.column in table.columns:
                where = " AND ".join(f"{column} = ?" for column in table.quoted_key)
                with self._texts_as(bytes):
                    row = self._connection.execute(
                        f"SELECT {_quoted(cell.column)} FROM {_quoted(table.name)} WHERE {where}",
                        cell.position,
                    ).fetchone()
                return row[0] if row is not None and isinstance(row[0], bytes) else None
        return None

    @cached_property
    def _tables(self) -> list[_Table]:
        rows = self._rows("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
        rows = [(self._text_name(name), shown_name(sql or "")) for name, sql in rows]
        virtual = tuple(
            f"{name}_" for name, sql in rows if sql.upper().startswith("CREATE VIRTUAL")
        )
        return [
            self._table(name)
            for name, _ in rows
            # Writes to the shadow tables of a virtual table would corrupt it.
            if not name.startswith("sqlite_") and not f"{name}_".startswith(virtual)
        ]

    def _table(self, name: str) -> _Table:
        info = self._rows("SELECT name, pk FROM pragma_table_info(?)", (name,))
        columns = tuple(self._text_name(column) for column, _ in info)
        folded = {column.lower() for column in columns}
        primary = tuple(column for column, pk in sorted(info, key=lambda row: row[1]) if pk)
        key, has_numbers = primary, False
        row_number = next((number for number in ROW_NUMBERS if number not in folded), None)
        if row_number is not None:
            try:
                self._connection.execute(f"SELECT {row_number} FROM {_quoted(name)} LIMIT 0")
                key, has_numbers = (row_number,), True
            except sqlite3.OperationalError:  # WITHOUT ROWID
                pass
        if not key:
            raise StoreError(
                f"the rows of table {name} in {self.location} cannot be identified: its"
                " columns use all names of SQLite's row number"
            )
        # In an old generation, the table of this name may lack these columns.
        label, title = find_row_columns(name) or ("id" if "id" in columns else key[0], "NULL")
        return _Table(
            name,
            columns,
            key,
            has_numbers,
            _quoted(label if label in columns else key[0]),
            _quoted(title) if title in columns else "NULL",
        )

    def _text_name(self, name: str | bytes) -> str:
        """Return the name of a table or column as text; StoreError if it is not UTF-8."""
        if isinstance(name, str):
            return name
        raise StoreError(
            f"{self.location} has a table or column whose name is not UTF-8:"
            f" {shown_name(name)}; what is in it cannot be read"
        )

    def _size(self, table: _Table) -> int:
        size = f"max({table.key[0]})" if table.has_numbers else "count(*)"
        sql = f"SELECT {size} FROM {_quoted(table.name)}"
        return int(self._rows(sql)[0][0] or 0)

    def _cell_pages(self, table: _Table) -> Iterator[tuple[list[Cell], int]]:
        """Yield pages of cells, each with the number of rows read so far."""
        conditions = {
            column: f"typeof({_quoted(column)}) = 'text' AND "
            + (
                f"{_quoted(column)} != ''"
                if KINDS.get((table.name, column)) == "envelope"
                else f"instr({_quoted(column)}, '{FERNET_PREFIX}')"
            )
            # Known columns first: if one matches, SQLite does not evaluate the others.
            for column in sorted(
                table.columns, key=lambda column: (table.name, column) not in KINDS
            )
            # Columns that identify a row must not change; Langflow stores no tokens in them.
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
        first_text = 2 + len(table.key)
        columns = [
            (index, column, KINDS.get((table.name, column), "other"))
            for index, column in enumerate(conditions, first_text)
        ]
        after: tuple[object, ...] = ()
        passed = 0
        while True:
            beyond = f"({keys}) > ({marks}) AND " if after else ""
            rows = self._byte_page(
                f"SELECT {table.label}, {table.title}, {keys}, {values}"
                f" FROM {_quoted(table.name)} WHERE {beyond}({found}) ORDER BY {keys}",
                after,
                first_text,
            )
            if not rows:
                return
            after = tuple(map(_decoded, rows[-1][2:first_text]))
            passed = after[0] if isinstance(after[0], int) else passed + len(rows)
            yield _cells(table.name, columns, rows), passed

    def _byte_page(
        self, sql: str, parameters: Sequence[object], first_text: int
    ) -> list[tuple[Any, ...]]:
        """Read a page of rows; texts are returned as bytes, because some may not be UTF-8."""
        rows = []
        size = 0
        with self._texts_as(bytes):
            cursor = self._connection.execute(sql, parameters)
            for row in cursor:
                rows.append(row)
                size += sum(map(len, filter(None, row[first_text:])))
                if len(rows) >= PAGE_ROWS or size >= PAGE_BYTES:
                    break
            cursor.close()
        return rows


def _cells(
    table: str, columns: Sequence[tuple[int, str, str]], rows: Sequence[tuple[Any, ...]]
) -> list[Cell]:
    cells = []
    first_text = columns[0][0]
    for row in rows:
        label, title = _shown(row[0]) or "?", _shown(row[1])
        position = row[2:first_text]
        if len(position) > 1 or not isinstance(position[0], int):
            position = tuple(map(_decoded, position))
        for index, column, kind in columns:
            text = row[index]
            if text is not None:
                if kind == "value" and not text.startswith(_PREFIX):
                    kind = "other"  # Langflow treats it as plaintext
                cells.append(Cell(table, column, label, title, kind, position, text))
    return cells


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _statement_key(change: tuple[Cell, object]) -> tuple[str, str, type]:
    cell, value = change
    return cell.table, cell.column, type(value)


def _shown(value: object) -> str | None:
    """Return an id or a name for messages; a value with a token is hidden."""
    if value is None:
        return None
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return "(a token)" if FERNET_PREFIX in text else text


def _decoded(value: object) -> object:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
