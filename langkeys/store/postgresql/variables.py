"""Langflow's ``variable`` table."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from langkeys.errors import UnreadableRowError
from langkeys.models import Variable
from langkeys.store.base import BadCellError
from langkeys.store.changes import unreadable_variable_deletion, variable_change
from langkeys.store.postgresql.database import Database
from langkeys.store.postgresql.values import (
    HEX_ID,
    ids_only,
    loaded_id,
    loaded_json,
    loaded_time_or_none,
    shown_id,
    stored_time,
)
from langkeys.store.records import Change

_COLUMNS = ("name", "value", "type", "default_fields", "created_at", "updated_at", "user_id")
_ORDER = "v.created_at NULLS FIRST, v.id"


class VariableTable(Database):
    """The part of a store for variables."""

    def variables(self, user_id: str | None = None) -> Iterator[Variable]:
        if user_id is not None and not HEX_ID(user_id):
            return
        rows = self._streamed(
            f"{self._variable_select}{'' if user_id is None else ' WHERE v.user_id = %s'}",
            () if user_id is None else (user_id,),
            order=_ORDER,
            limit=None,
        )
        yield from self._readable(rows, self._variable)

    def variables_named(
        self, names: Collection[str], user_id: str | None = None
    ) -> Sequence[Variable]:
        # Langflow selects one row without ORDER BY. PostgreSQL then guarantees no order, but
        # usually returns the oldest row that has not been changed.
        if user_id is not None and not HEX_ID(user_id):
            return []
        rows = self._rows(
            f"{self._variable_select} WHERE v.name = ANY(%s::text[])"
            f"{'' if user_id is None else ' AND v.user_id = %s'} ORDER BY {_ORDER}",
            (list(names), *(() if user_id is None else (user_id,))),
        )
        if user_id is None:
            return list(self._readable(rows, self._variable))
        return [self._variable(row) for row in rows]

    def insert_variables(self, variables: Iterable[Variable]) -> None:
        self._require_more_than_ends()
        variables = list(variables)
        self._allow_encrypted(variable.stored for variable in variables)
        self._note(variable_change("insert", variable) for variable in variables)
        columns = ["id", *self._own_variable_columns]
        marks = ", ".join(f"%({column})s" for column in columns)
        for variable in variables:
            self._rows(
                f"INSERT INTO variable ({', '.join(columns)}) VALUES ({marks})", _row(variable)
            )

    def update_variables(self, variables: Iterable[Variable]) -> int:
        self._require_more_than_ends()
        variables = list(variables)
        self._allow_encrypted(variable.stored for variable in variables)
        self._note(variable_change("update", variable) for variable in variables)
        changes = ", ".join(f"{column} = %({column})s" for column in self._own_variable_columns)
        sql = f"UPDATE variable SET {changes} WHERE id = %(id)s"
        return sum(self._changed_rows(sql, _row(variable)) for variable in variables)

    def delete_variables(self, variable_ids: Sequence[str]) -> int:
        ids = ids_only(variable_ids)
        if self.commit_context is not None:
            rows = self._rows(f"{self._variable_select} WHERE v.id = ANY(%s::uuid[])", (ids,))
            self._note(map(self._noted_variable_end, rows))
        return self._changed_rows("DELETE FROM variable WHERE id = ANY(%s::uuid[])", (ids,))

    @property
    def _own_variable_columns(self) -> list[str]:
        columns = list(_COLUMNS)
        if self._generation.has_environment_managed:
            columns.append("is_environment_managed")
        return columns

    @cached_property
    def _variable_select(self) -> str:
        created, updated = (
            self._utc("variable", column, "v") for column in ("created_at", "updated_at")
        )
        managed = self._generation.has_environment_managed
        return (
            "SELECT v.id, v.name, v.value, v.type, v.default_fields::text,"
            f" {created}, {updated}, v.user_id,"
            f" {'v.is_environment_managed' if managed else 'NULL'}, u.username FROM variable v"
            ' LEFT JOIN "user" u ON u.id = v.user_id'
        )

    def _variable(self, row: Sequence[Any]) -> Variable:
        row_id, name, value, kind, fields, created_at, updated_at, user_id, managed = row[:9]
        try:
            loaded = loaded_json(fields, "default_fields")
            return Variable(
                id=loaded_id(row_id, "id"),
                name=name,
                user_id=loaded_id(user_id, "user_id"),
                stored=value,
                type=kind,
                default_fields=tuple(map(str, loaded)) if isinstance(loaded, list) else None,
                created_at=loaded_time_or_none(created_at, "created_at"),
                updated_at=loaded_time_or_none(updated_at, "updated_at"),
                is_environment_managed=managed,
                username=row[9],
            )
        except BadCellError as error:
            raise self._unreadable_row("variable", row_id, name, error) from None

    def _noted_variable_end(self, row: Sequence[Any]) -> Change:
        try:
            return variable_change("delete", self._variable(row))
        except UnreadableRowError as error:
            return unreadable_variable_deletion(
                shown_id(row[0]),
                name=row[1],
                user_id=shown_id(row[7]),
                username=row[9],
                column=error.column,
            )


def _row(variable: Variable) -> dict[str, object]:
    fields = variable.default_fields
    return {
        "id": variable.id,
        "name": variable.name,
        "value": variable.stored,
        "type": variable.type,
        "default_fields": None if fields is None else json.dumps(fields),
        "created_at": stored_time(variable.created_at),
        "updated_at": stored_time(variable.updated_at),
        "user_id": variable.user_id,
        "is_environment_managed": variable.is_environment_managed,
    }
