"""Describe rows, readable or not, so that each of them can be named and deleted."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langkeys.store.postgresql.api_keys import ApiKeyTable
from langkeys.store.postgresql.database import PAGE_ROWS
from langkeys.store.postgresql.users import UserTable
from langkeys.store.postgresql.values import HEX_ID, shown_id
from langkeys.store.postgresql.variables import VariableTable
from langkeys.store.records import RowStub

_KEY, _VARIABLE = "apikey", "variable"


class RowStubs(ApiKeyTable, UserTable, VariableTable):
    """The part of a store for rows that may be unreadable."""

    def unreadable_rows(self) -> Iterator[RowStub]:
        users = f'SELECT {self._user_columns} FROM "user" u'
        yield from self._unreadable_of(users, "u.id", self._user, self._user_stub)
        yield from self._unreadable_of(self._key_select, "k.id", self._api_key, self._key_stub)
        yield from self._unreadable_of(
            self._variable_select, "v.id", self._variable, self._variable_stub
        )

    def _unreadable_of(
        self,
        select: str,
        key: str,
        load: Callable[[Sequence[Any]], object],
        stub: Callable[[Sequence[Any], str | None], RowStub],
    ) -> Iterator[RowStub]:
        last: str | None = None
        while True:
            beyond = "" if last is None else f" WHERE {key} > %s"
            rows = self._rows(
                f"{select}{beyond} ORDER BY {key} LIMIT {PAGE_ROWS}",
                () if last is None else (last,),
            )
            for row in rows:
                column = self._find_problem(row, load)
                if column is not None:
                    yield stub(row, column)
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1][0]

    def api_key_stubs(
        self,
        *,
        key_id: str | None = None,
        name: str | None = None,
        key_hash: str | None = None,
        stored: str | None = None,
    ) -> Sequence[RowStub]:
        wanted = [("k.name", name), ("k.api_key", stored)]
        if key_id is not None and HEX_ID(key_id):
            wanted.append(("k.id", key_id))
        if self._generation.has_key_hash:
            wanted.append(("k.api_key_hash", key_hash))
        found = []
        for column, value in wanted:
            if value is not None:
                found += self._rows(
                    f"{self._key_select} WHERE {column} = %s ORDER BY {self._key_order}", (value,)
                )
        return [self._key_stub(row, self._find_problem(row, self._api_key)) for row in found]

    def variable_stubs(
        self, user_id: str, *, variable_id: str | None = None, name: str | None = None
    ) -> Sequence[RowStub]:
        found = []
        if variable_id is not None and HEX_ID(variable_id):
            found += self._rows(f"{self._variable_select} WHERE v.id = %s", (variable_id,))
        if name is not None:
            found += self._rows(f"{self._variable_select} WHERE v.name = %s", (name,))
        stubs = [self._variable_stub(row, self._find_problem(row, self._variable)) for row in found]
        return [stub for stub in stubs if stub.user_id == user_id]

    def delete_stubs(self, stubs: Sequence[RowStub]) -> int:
        deleted = 0
        for stub in stubs:
            if stub.table == _KEY:
                deleted += self.delete_api_keys([str(stub.position[0])])
            else:
                deleted += self.delete_variables([str(stub.position[0])])
        return deleted

    def _key_stub(self, row: Sequence[Any], problem: str | None) -> RowStub:
        return _stub(_KEY, row[0], row[1], row[2], problem)

    def _user_stub(self, row: Sequence[Any], problem: str | None) -> RowStub:
        return _stub("user", row[0], row[1], row[0], problem)

    def _variable_stub(self, row: Sequence[Any], problem: str | None) -> RowStub:
        return _stub(_VARIABLE, row[0], row[1], row[7], problem)


def _stub(table: str, row_id: Any, name: str | None, user_id: Any, problem: str | None) -> RowStub:
    shown = shown_id(row_id)
    return RowStub(table, shown, name, shown_id(user_id), problem, (shown,))
