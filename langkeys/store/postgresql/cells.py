"""Find and replace Fernet tokens and envelopes in any text column."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from langkeys.errors import StoreError
from langkeys.models import FERNET_PREFIX
from langkeys.store.encrypted_columns import KINDS, find_row_columns
from langkeys.store.postgresql.catalog import require_all_rows
from langkeys.store.postgresql.database import Database
from langkeys.store.postgresql.sql import quoted
from langkeys.store.records import Cell

PAGE_CELLS = 200
"""The number of rows read at a time: flows and messages may be large, and many."""


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]
    """The columns that can contain text and are not part of the primary key."""
    key: tuple[str, ...]
    label: str
    title: str
    rows: int
    """The approximate number of rows, from the server's statistics."""


class Cells(Database):
    """The part of a store that finds and replaces encrypted values in any table."""

    def cells(self, progress: Callable[[int], None]) -> Iterator[Sequence[Cell]]:
        passed = 0
        for table in self._text_tables:
            yield from self._cell_pages(table)
            passed += table.rows
            progress(passed)

    def rows_to_pass(self) -> int:
        return sum(table.rows for table in self._text_tables)

    def replace_cells(self, changes: Sequence[tuple[Cell, bytes]]) -> None:
        self._require_more_than_ends()
        keys = {table.name: table.key for table in self._text_tables}
        for (table, column), some in groupby(changes, lambda change: change[0][:2]):
            where = " AND ".join(f"{quoted(name)} = %s" for name in keys[table])
            sql = f"UPDATE {quoted(table)} SET {quoted(column)} = %s WHERE {where}"
            for cell, text in some:
                if self._changed_rows(sql, (text.decode(), *cell.position)) != 1:
                    raise StoreError(
                        f"{self.location}: rows of {table} cannot be changed",
                        hint="check the database's triggers",
                    )

    def find_text(self, cell: Cell) -> bytes | None:
        for table in self._text_tables:
            if table.name == cell.table and cell.column in table.columns:
                where = " AND ".join(f"{quoted(column)} = %s" for column in table.key)
                rows = self._rows(
                    f"SELECT {quoted(cell.column)}::text FROM {quoted(table.name)} WHERE {where}",
                    cell.position,
                )
                return rows[0][0].encode() if rows and rows[0][0] is not None else None
        return None

    @cached_property
    def _text_tables(self) -> list[_Table]:
        require_all_rows(self._hidden, self.location)
        rows = self._rows(
            "SELECT c.relname, CASE WHEN c.reltuples > 0 THEN c.reltuples"
            " ELSE pg_relation_size(c.oid) / 100 END::bigint, a.attname,"
            " coalesce(array_position(i.indkey::smallint[], a.attnum), -1),"
            " coalesce(t.typname IN ('json', 'jsonb') OR t.typcategory = 'S', false)"
            " FROM pg_class c"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " JOIN pg_type t ON t.oid = a.atttypid"
            " LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND pg_table_is_visible(c.oid)"
            " AND c.relnamespace NOT IN ('pg_catalog'::regnamespace,"
            " 'information_schema'::regnamespace) AND c.relname != 'alembic_version'"
            " ORDER BY c.relname, a.attnum"
        )
        tables = []
        for name, some in groupby(rows, lambda row: row[0]):
            columns = list(some)
            key = tuple(
                column for _, _, column, place, _ in sorted(columns, key=lambda row: row[3])
                if place >= 0
            )  # fmt: skip
            texts = tuple(
                column for _, _, column, place, is_text in columns if is_text and place < 0
            )
            if texts:
                named = {row[2] for row in columns}
                tables.append(_described(name, texts, key, named, max(0, columns[0][1])))
        return tables

    def _cell_pages(self, table: _Table) -> Iterator[list[Cell]]:
        conditions = {
            column: f"{quoted(column)} != ''"
            if KINDS.get((table.name, column)) == "envelope"
            else f"strpos({quoted(column)}::text, '{FERNET_PREFIX}') > 0"
            for column in table.columns
        }
        found = " OR ".join(f"({condition})" for condition in conditions.values())
        if not table.key:
            if self._rows(f"SELECT 1 FROM {quoted(table.name)} WHERE {found} LIMIT 1"):
                raise StoreError(
                    f"the rows of table {table.name} in {self.location} cannot be identified: it"
                    " has no primary key, and encrypted values are in it"
                )
            return
        # Qualify the columns with the table's name: a bare name would mean the selected text, which
        # has no index and sorts numbers as text.
        keys = ", ".join(f"{quoted(table.name)}.{quoted(column)}" for column in table.key)
        shown_keys = ", ".join(f"{quoted(column)}::text" for column in table.key)
        values = ", ".join(
            f"CASE WHEN {condition} THEN {quoted(column)}::text END"
            for column, condition in conditions.items()
        )
        first_text = 2 + len(table.key)
        after: tuple[str, ...] = ()
        while True:
            beyond = f"({keys}) > ({', '.join(['%s'] * len(after))}) AND " if after else ""
            rows = self._rows(
                f"SELECT {table.label}::text, {table.title}::text, {shown_keys}, {values}"
                f" FROM {quoted(table.name)} WHERE {beyond}({found}) ORDER BY {keys}"
                f" LIMIT {PAGE_CELLS}",
                after,
            )
            if not rows:
                return
            after = tuple(rows[-1][2:first_text])
            yield _cells(table, rows, first_text)


def _described(
    name: str, texts: tuple[str, ...], key: tuple[str, ...], columns: set[str], rows: int
) -> _Table:
    # In an old generation, the table of this name may lack these columns.
    label, title = find_row_columns(name) or ("id", "NULL")
    if label not in columns:
        label = key[0] if key else texts[0]
    return _Table(
        name, texts, key, quoted(label), quoted(title) if title in columns else "NULL", rows
    )


def _cells(table: _Table, rows: Sequence[Sequence[str | None]], first_text: int) -> list[Cell]:
    cells = []
    for row in rows:
        label, title = _shown(row[0]) or "?", _shown(row[1])
        for column, text in zip(table.columns, row[first_text:], strict=True):
            if text is not None:
                kind = KINDS.get((table.name, column), "other")
                if kind == "value" and not text.startswith(FERNET_PREFIX):
                    kind = "other"  # Langflow treats it as plaintext
                position = tuple(row[2:first_text])
                cells.append(Cell(table.name, column, label, title, kind, position, text.encode()))
    return cells


def _shown(value: str | None) -> str | None:
    """Return an id or a name for messages; a value with a token is hidden."""
    if value is None:
        return None
    return "(a token)" if FERNET_PREFIX in value else value
