"""Langflow's ``variable`` table."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from langkeys.errors import UnreadableRowError
from langkeys.models import Variable
from langkeys.store.base import BadCellError
from langkeys.store.changes import unreadable_variable_deletion, variable_change
from langkeys.store.records import Change
from langkeys.store.sqlite.database import FIRST_ROW, PAGE_ROWS, Database
from langkeys.store.sqlite.values import (
    loaded_id,
    loaded_text,
    loaded_text_or_none,
    loaded_time_or_none,
    name_or_none,
    shown_cell,
    stored_time,
)

_COLUMNS = ("name", "value", "type", "default_fields", "created_at", "updated_at", "user_id")


class VariableTable(Database):
    """The part of a store for variables."""

    def variables(self, user_id: str | None = None) -> Iterator[Variable]:
        owned, parameters = ("", []) if user_id is None else (" AND v.user_id = ?", [user_id])
        last_row, number = FIRST_ROW, self._variable_row
        while True:
            rows = self._rows(
                f"{self._variable_select} WHERE {number} > ?{owned} ORDER BY {number} LIMIT ?",
                (last_row, *parameters, PAGE_ROWS),
            )
            yield from self._readable(rows, self._variable)
            if len(rows) < PAGE_ROWS:
                return
            last_row = rows[-1][-1]

    def variables_named(
        self, names: Collection[str], user_id: str | None = None
    ) -> Sequence[Variable]:
        # Langflow selects one row without ORDER BY. SQLite returns the one with the lowest rowid,
        # because no index covers name or owner. Without an index each query scans the table, so
        # one query finds all names.
        owned, parameters = ("", []) if user_id is None else (" AND v.user_id = ?", [user_id])
        rows = self._rows(
            f"{self._variable_select} WHERE v.name IN (SELECT value FROM json_each(?)){owned}"
            f" ORDER BY {self._variable_row}",
            (json.dumps(list(names)), *parameters),
        )
        if user_id is None:
            return list(self._readable(rows, self._variable))
        return [self._variable(row) for row in rows]

    def insert_variables(self, variables: Iterable[Variable]) -> None:
        variables = list(variables)
        self._allow_encrypted(variable.stored for variable in variables)
        self._note(variable_change("insert", variable) for variable in variables)
        columns = ["id", *_COLUMNS]
        if self._has_managed:
            columns.append("is_environment_managed")
        sql = (
            f"INSERT INTO variable ({', '.join(columns)})"
            f" VALUES ({', '.join(':' + column for column in columns)})"
        )
        with self._translated():
            self._connection.executemany(sql, map(_row, variables))

    def update_variables(self, variables: Iterable[Variable]) -> int:
        self._has_removed = True
        variables = list(variables)
        self._allow_encrypted(variable.stored for variable in variables)
        self._note(variable_change("update", variable) for variable in variables)
        columns = list(_COLUMNS)
        if self._has_managed:
            columns.append("is_environment_managed")
        changes = ", ".join(f"{column} = :{column}" for column in columns)
        with self._translated():
            return self._connection.executemany(
                f"UPDATE variable SET {changes} WHERE id = :id", map(_row, variables)
            ).rowcount

    def delete_variables(self, variable_ids: Sequence[str]) -> int:
        self._has_removed = True
        if self.commit_context is not None:
            rows = self._rows(
                f"{self._variable_select} WHERE v.id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(variable_ids)),),
            )
            self._note(map(self._noted_variable_end, rows))
        with self._translated():
            return self._connection.executemany(
                "DELETE FROM variable WHERE id = ?", ((row_id,) for row_id in variable_ids)
            ).rowcount

    @property
    def _has_managed(self) -> bool:
        return self._generation.has_environment_managed

    @cached_property
    def _variable_row(self) -> str:
        return f"v.{self._row_number('variable')}"

    @cached_property
    def _variable_select(self) -> str:
        columns = [f"v.{column}" for column in ("id", *_COLUMNS)]
        columns.append("v.is_environment_managed" if self._has_managed else "NULL")
        return (
            f"SELECT {', '.join(columns)}, u.username, {self._variable_row} FROM variable v"
            ' LEFT JOIN "user" u ON u.id = v.user_id'
        )

    def _variable(self, row: Sequence[Any]) -> Variable:
        row_id, name, value, kind, fields, created_at, updated_at, user_id, managed = row[:9]
        try:
            return Variable(
                id=loaded_id(row_id, "id"),
                name=loaded_text(name, "name"),
                user_id=loaded_id(user_id, "user_id"),
                stored=loaded_text(value, "value"),
                type=loaded_text_or_none(kind, "type"),
                default_fields=_loaded_fields(fields),
                created_at=loaded_time_or_none(created_at, "created_at"),
                updated_at=loaded_time_or_none(updated_at, "updated_at"),
                is_environment_managed=None if managed is None else bool(managed),
                username=name_or_none(row[9]),
            )
        except BadCellError as error:
            raise self._unreadable_row("variable", row_id, name, error) from None

    def _noted_variable_end(self, row: Sequence[Any]) -> Change:
        try:
            return variable_change("delete", self._variable(row))
        except UnreadableRowError as error:
            return unreadable_variable_deletion(
                shown_cell(row[0]),
                name=name_or_none(row[1]),
                user_id=name_or_none(row[7]),
                username=name_or_none(row[9]),
                column=error.column,
            )


def _loaded_fields(value: Any) -> tuple[str, ...] | None:
    try:
        fields = None if value is None else json.loads(loaded_text(value, "default_fields"))
    except (ValueError, RecursionError):
        raise BadCellError("default_fields") from None
    return tuple(map(str, fields)) if isinstance(fields, list) else None


def _row(variable: Variable) -> dict[str, object]:
    fields, managed = variable.default_fields, variable.is_environment_managed
    return {
        "id": variable.id,
        "name": variable.name,
        "value": variable.stored,
        "type": variable.type,
        "default_fields": None if fields is None else json.dumps(fields),
        "created_at": stored_time(variable.created_at),
        "updated_at": stored_time(variable.updated_at),
        "user_id": variable.user_id,
        "is_environment_managed": None if managed is None else int(managed),
    }
