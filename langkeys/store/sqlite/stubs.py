"""Describe rows, readable or not, so that each of them can be named and deleted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from langkeys.errors import UnreadableRowError
from langkeys.store.protocol import Change, RowStub
from langkeys.store.sqlite.api_keys import ApiKeyTable
from langkeys.store.sqlite.database import FIRST_ROW, PAGE_ROWS
from langkeys.store.sqlite.users import UserTable
from langkeys.store.sqlite.values import name_or_none, shown_cell
from langkeys.store.sqlite.variables import VariableTable

_KEY, _VARIABLE = "apikey", "variable"


class RowStubs(ApiKeyTable, UserTable, VariableTable):
    """The part of a store for rows that may be unreadable."""

    def unreadable_rows(self) -> Iterator[RowStub]:
        user_row = f"u.{self._row_number('user')}"
        users = f'SELECT {self._user_columns}, {user_row} FROM "user" u'
        yield from self._unreadable_of(users, user_row, self._user, self._user_stub)
        yield from self._unreadable_of(
            self._key_select, self._key_row, self._api_key, self._key_stub
        )
        yield from self._unreadable_of(
            self._variable_select, self._variable_row, self._variable, self._variable_stub
        )

    def _unreadable_of(
        self,
        select: str,
        number: str,
        load: Callable[[Sequence[Any]], object],
        stub: Callable[[Sequence[Any], str | None], RowStub],
    ) -> Iterator[RowStub]:
        last_row = FIRST_ROW
        while True:
            rows = self._rows(
                f"{select} WHERE {number} > ? ORDER BY {number} LIMIT ?", (last_row, PAGE_ROWS)
            )
            for row in rows:
                column = _problem(row, load)
                if column is not None:
                    yield stub(row, column)
            if len(rows) < PAGE_ROWS:
                return
            last_row = rows[-1][-1]

    def api_key_stubs(
        self,
        *,
        key_id: str | None = None,
        name: str | None = None,
        key_hash: str | None = None,
        stored: str | None = None,
    ) -> Sequence[RowStub]:
        found = []
        if key_id is not None:
            found += self._found(self._key_select, "k.id", _as_stored(key_id))
        if name is not None:
            found += self._found(self._key_select, "k.name", [name])
        if key_hash is not None and self._generation.has_key_hash:
            found += self._found(self._key_select, "k.api_key_hash", [key_hash])
        if stored is not None:
            found += self._found(self._key_select, "k.api_key", [stored, stored.encode()])
        return [self._key_stub(row, _problem(row, self._api_key)) for row in found]

    def variable_stubs(
        self, user_id: str, *, variable_id: str | None = None, name: str | None = None
    ) -> Sequence[RowStub]:
        rows = []
        if variable_id is not None:
            rows += self._found(self._variable_select, "v.id", _as_stored(variable_id))
        if name is not None:
            rows += self._found(self._variable_select, "v.name", [name])
        found = [self._variable_stub(row, _problem(row, self._variable)) for row in rows]
        return [stub for stub in found if stub.user_id == user_id]

    def delete_stubs(self, stubs: Sequence[RowStub]) -> int:
        self._has_removed = True
        deleted = 0
        for stub in stubs:
            is_key = stub.table == _KEY
            select = self._key_select if is_key else self._variable_select
            name, number = ("k", self._key_row) if is_key else ("v", self._variable_row)
            # Compare bytes, because an id that is not UTF-8 was read as bytes.
            same = f"{number} = ? AND CAST({name}.id AS BLOB) IS CAST(? AS BLOB)"
            rows = self._rows(f"{select} WHERE {same}", stub.position)
            if rows:
                changes: Iterable[Change] = map(
                    self._noted_end if is_key else self._noted_variable_end, rows
                )
                self._note(changes)
                deleted += self._changed_rows(
                    f"DELETE FROM {stub.table} WHERE {number.partition('.')[2]} = ?",
                    stub.position[:1],
                )
        return deleted

    def _found(self, select: str, column: str, values: Sequence[object]) -> list[Any]:
        marks = ", ".join("?" * len(values))
        return self._rows(f"{select} WHERE {column} IN ({marks})", values)

    def _key_stub(self, row: Sequence[Any], problem: str | None) -> RowStub:
        return _stub(_KEY, row[0], row[1], row[2], problem, row[-1])

    def _user_stub(self, row: Sequence[Any], problem: str | None) -> RowStub:
        return _stub("user", row[0], row[1], row[0], problem, row[-1])

    def _variable_stub(self, row: Sequence[Any], problem: str | None) -> RowStub:
        return _stub(_VARIABLE, row[0], row[1], row[7], problem, row[-1])


def _stub(
    table: str, row_id: object, name: object, user_id: object, problem: str | None, number: object
) -> RowStub:
    return RowStub(
        table,
        shown_cell(row_id),
        name_or_none(name),
        None if user_id is None else shown_cell(user_id),
        problem,
        (number, row_id),
    )


def _problem(row: Sequence[Any], load: Callable[[Sequence[Any]], object]) -> str | None:
    try:
        load(row)
    except UnreadableRowError as error:
        return error.column
    return None


def _as_stored(shown_id: str) -> list[object]:
    """Return the values that a displayed id may have in the database."""
    try:
        return [shown_id, bytes.fromhex(shown_id)]
    except ValueError:
        return [shown_id]
