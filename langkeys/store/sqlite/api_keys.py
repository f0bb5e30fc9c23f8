"""Langflow's ``apikey`` table."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from langkeys.errors import UnreadableRowError
from langkeys.models import FERNET_PREFIX, ApiKey
from langkeys.store.base import BadCellError
from langkeys.store.changes import (
    key_change,
    key_deletion,
    key_insertion,
    key_update,
    unreadable_key_deletion,
)
from langkeys.store.encrypted_columns import PAST_FERNET
from langkeys.store.key_columns import KEY_COLUMNS
from langkeys.store.records import Change, KeyFilter
from langkeys.store.sqlite.database import FIRST_ROW, PAGE_ROWS, Database
from langkeys.store.sqlite.values import (
    JOINED_OWNER,
    loaded_id,
    loaded_reference,
    loaded_text,
    loaded_time,
    name_or_none,
    shown_cell,
    sql_time,
    stored_time,
)


class ApiKeyTable(Database):
    """The part of a store for API keys."""

    def api_keys(
        self, wanted: KeyFilter, *, limit: int | None = None, offset: int = 0
    ) -> Iterator[ApiKey]:
        where, parameters = self._conditions(wanted)
        last_row = FIRST_ROW
        while limit is None or limit > 0:
            page = PAGE_ROWS if limit is None else min(PAGE_ROWS, limit)
            rows = self._rows(
                f"{self._key_select} WHERE {where} AND {self._key_row} > ? ORDER BY {self._key_row}"
                " LIMIT ? OFFSET ?",
                (*parameters, last_row, page, offset),
            )
            yield from self._readable(rows, self._api_key)
            if len(rows) < page:
                return
            last_row, offset = rows[-1][-1], 0
            limit = None if limit is None else limit - page

    def _conditions(self, wanted: KeyFilter) -> tuple[str, list[object]]:
        now = stored_time(wanted.now)
        expires_at, created_at = sql_time("k.expires_at"), sql_time("k.created_at")
        expired = "0" if "expires_at" not in self._columns["apikey"] else f"{expires_at} < ?"
        expired_parameters: list[object] = [now] if "?" in expired else []
        conditions: list[tuple[str, list[object]]] = [("1", [])]
        user_column, name_column = "k.user_id", "k.name"
        if wanted.user_id is not None and wanted.name is not None:
            # Use the index that matches fewer rows: one user may own a million keys, or a million
            # keys may have the same name. A plus before a column keeps SQLite from using its index.
            if self._is_short("name", wanted.name):
                user_column = "+k.user_id"
            else:
                name_column = "+k.name"
        if wanted.user_id is not None:
            conditions.append((f"{user_column} = ?", [wanted.user_id]))
        if wanted.name is not None:
            conditions.append((f"{name_column} = ?", [wanted.name]))
        if wanted.status == "inactive":
            conditions.append(("k.is_active IS NOT 1", []))
        elif wanted.status == "expired":
            conditions.append((f"k.is_active = 1 AND {expired}", expired_parameters))
        elif wanted.status == "active":
            conditions.append(
                (f"k.is_active = 1 AND coalesce(NOT ({expired}), 1)", expired_parameters)
            )
        if wanted.unused_since is not None:
            since, used_at = stored_time(wanted.unused_since), sql_time("k.last_used_at")
            conditions.append((f"coalesce({used_at}, {created_at}) <= ?", [since]))
        if wanted.never_used_since is not None:
            since = stored_time(wanted.never_used_since)
            conditions.append((f"k.total_uses = 0 AND {created_at} > ?", [since]))
        if wanted.expires_before is not None:
            if expired_parameters:
                until = stored_time(wanted.expires_before)
                conditions.append((f"{expires_at} BETWEEN ? AND ?", [now, until]))
            else:
                conditions.append(("0", []))
        if wanted.is_expired:
            conditions.append((expired, expired_parameters))
        if wanted.created_before is not None:
            conditions.append((f"{created_at} <= ?", [stored_time(wanted.created_before)]))
        return (
            " AND ".join(f"({sql})" for sql, _ in conditions),
            [parameter for _, parameters in conditions for parameter in parameters],
        )

    def _is_short(self, column: str, value: str) -> bool:
        rows = self._rows(
            f"SELECT count(*) FROM (SELECT 1 FROM apikey WHERE {column} = ? LIMIT {PAGE_ROWS})",
            (value,),
        )
        return bool(rows[0][0] < PAGE_ROWS)

    def find_api_key(self, key_id: str) -> ApiKey | None:
        keys = self._keys("k.id = ?", key_id)
        return keys[0] if keys else None

    def api_keys_named(self, name: str, limit: int) -> Sequence[ApiKey]:
        return self._keys(f"k.name = ? ORDER BY {self._key_row} LIMIT ?", name, limit)

    def api_keys_by_id_start(self, hex_digits: str, limit: int) -> Sequence[ApiKey]:
        # A range can use the primary key's index; LIKE cannot.
        return self._keys(
            "k.id >= ? AND k.id < ? ORDER BY k.id LIMIT ?", hex_digits, hex_digits + "g", limit
        )

    def api_keys_stored_from(self, start: str, limit: int) -> Sequence[ApiKey]:
        return self._keys(
            "k.api_key >= ? AND k.api_key < ? ORDER BY k.api_key LIMIT ?",
            start,
            start + "\U0010ffff",
            limit,
        )

    def api_key_count(self) -> int:
        return int(self._rows("SELECT count(*) FROM apikey")[0][0])

    def count_of_others(self, user_id: str, most: int) -> int:
        # Both ranges use the index on user_id, so that own keys are not passed.
        return sum(
            self._rows(
                f"SELECT count(*) FROM (SELECT 1 FROM apikey WHERE user_id {side} ? LIMIT ?)",
                (user_id, most),
            )[0][0]
            for side in "<>"
        )

    def plaintext_api_keys(self) -> Iterator[ApiKey]:
        last_row = FIRST_ROW
        while True:
            rows = self._rows(
                f"{self._key_select} WHERE {self._key_row} > ?"
                f" AND NOT (k.api_key >= ? AND k.api_key < ?) ORDER BY {self._key_row} LIMIT ?",
                (last_row, FERNET_PREFIX, PAST_FERNET, PAGE_ROWS),
            )
            yield from self._readable(rows, self._api_key)
            if len(rows) < PAGE_ROWS:
                return
            last_row = rows[-1][-1]

    def replace_stored(self, changes: Sequence[tuple[ApiKey, ApiKey]]) -> int:
        hashes = self._generation.has_key_hash
        sql = (
            "UPDATE apikey SET api_key = :stored, api_key_hash = :hash"
            " WHERE id = :id AND api_key = :old_stored AND api_key_hash IS :old_hash"
            if hashes
            else "UPDATE apikey SET api_key = :stored WHERE id = :id AND api_key = :old_stored"
        )
        values = (
            {
                "id": old.id,
                "old_stored": old.stored,
                "old_hash": old.hash,
                "stored": new.stored,
                "hash": new.hash,
            }
            for old, new in changes
        )
        self._allow_encrypted(new.stored for old, new in changes if new.stored != old.stored)
        self._has_removed = True
        self._note(key_change("update", new, at_rest=new.at_rest) for _, new in changes)
        with self._translated():
            return self._connection.executemany(sql, values).rowcount

    def insert_api_keys(self, keys: Iterable[ApiKey]) -> None:
        keys = list(keys)
        self._allow_encrypted(key.stored for key in keys)
        self._note(map(key_insertion, keys))
        columns = self._own_columns
        sql = f"INSERT INTO apikey ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        cells = [KEY_COLUMNS.index(column) for column in columns]
        rows = map(key_row, keys)
        with self._translated():
            self._connection.executemany(sql, ([row[cell] for cell in cells] for row in rows))

    def update_api_key(self, key: ApiKey) -> bool:
        self._note([key_update(key)])
        columns = "name = :name, is_active = :is_active"
        if self._generation.has_key_expiry:
            columns += ", expires_at = :expires_at"
        with self._translated():
            return bool(
                self._connection.execute(
                    f"UPDATE apikey SET {columns} WHERE id = :id",
                    {
                        "id": key.id,
                        "name": key.name,
                        "is_active": int(key.is_active),
                        "expires_at": stored_time(key.expires_at),
                    },
                ).rowcount
            )

    def has_used_api_keys(self) -> bool:
        return bool(
            self._rows("SELECT 1 FROM apikey WHERE total_uses > 0 OR last_used_at NOTNULL LIMIT 1")
        )

    def delete_api_keys(self, key_ids: Sequence[str]) -> int:
        self._has_removed = True
        if self.commit_context is not None:
            ended = self._rows(
                f"{self._key_select} WHERE k.id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(key_ids)),),
            )
            self._note(map(self._noted_end, ended))
        with self._translated():
            return self._connection.executemany(
                "DELETE FROM apikey WHERE id = ?", ((key_id,) for key_id in key_ids)
            ).rowcount

    def _keys(self, where: str, *parameters: object) -> list[ApiKey]:
        return [
            self._api_key(row)
            for row in self._rows(f"{self._key_select} WHERE {where}", parameters)
        ]

    def _noted_end(self, row: Sequence[Any]) -> Change:
        try:
            return key_deletion(self._api_key(row))
        except UnreadableRowError as error:
            row_id, name, user_id, _, key_hash = map(name_or_none, row[:5])
            return unreadable_key_deletion(
                shown_cell(row[0]) if row_id is None else row_id,
                name=name,
                user_id=user_id,
                username=name_or_none(row[10]),
                sha256=key_hash,
                column=error.column,
            )

    @property
    def _own_columns(self) -> list[str]:
        there = self._columns["apikey"]
        return [column for column in KEY_COLUMNS if column in there]

    @cached_property
    def _key_columns(self) -> str:
        columns = (
            f"k.{column}" if column in self._columns["apikey"] else "NULL" for column in KEY_COLUMNS
        )
        return f"{', '.join(columns)}, u.username"

    @cached_property
    def _key_row(self) -> str:
        return f"k.{self._row_number('apikey')}"

    @cached_property
    def _key_select(self) -> str:
        return f"SELECT {self._key_columns}, {self._key_row} FROM apikey k{JOINED_OWNER}"

    def _api_key(self, row: Sequence[Any]) -> ApiKey:
        # Unpacked by position, in the order of KEY_COLUMNS, for speed: there may be a million keys.
        row_id, name, user_id, stored, key_hash, created, used, uses, is_active, expires = row[:10]
        try:
            if type(uses) is not int:
                raise BadCellError("total_uses")
            return ApiKey(
                loaded_id(row_id, "id"),
                None if name is None else loaded_text(name, "name"),
                loaded_reference(user_id, "user_id"),
                loaded_text(stored, "api_key"),
                None if key_hash is None else loaded_text(key_hash, "api_key_hash"),
                loaded_time(created, "created_at"),
                None if used is None else loaded_time(used, "last_used_at"),
                uses,
                is_active == 1,  # servers treat no other value as true
                None if expires is None else loaded_time(expires, "expires_at"),
                name_or_none(row[10]),
            )
        except BadCellError as error:
            raise self._unreadable_row("apikey", row_id, name, error) from None


def key_row(key: ApiKey) -> tuple[object, ...]:
    """Return a key's cells in their stored form, in the order of KEY_COLUMNS."""
    return (
        key.id,
        key.name,
        key.user_id,
        key.stored,
        key.hash,
        stored_time(key.created_at),
        stored_time(key.last_used_at),
        key.total_uses,
        int(key.is_active),
        stored_time(key.expires_at),
    )
