"""Langflow's ``apikey`` table."""

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
from langkeys.store.key_columns import KEY_COLUMNS
from langkeys.store.postgresql.database import PAGE_ROWS, Database
from langkeys.store.postgresql.spool import Row
from langkeys.store.postgresql.values import (
    HEX_ID,
    id_range,
    ids_only,
    loaded_id,
    loaded_time,
    naive_time,
    shown_id,
    stored_time,
)
from langkeys.store.records import Change, KeyFilter

JOINED_OWNER = ' LEFT JOIN "user" u ON u.id = k.user_id'
IS_TOKEN = f"starts_with({{}}, '{FERNET_PREFIX}')"
"""SQL that tells whether a column is encrypted; a range condition would depend on the collation."""
_TIMES = ("created_at", "last_used_at", "expires_at")
_DELETED_AT_ONCE = 5000


class ApiKeyTable(Database):
    """The part of a store for API keys."""

    def api_keys(
        self, wanted: KeyFilter, *, limit: int | None = None, offset: int = 0
    ) -> Iterator[ApiKey]:
        yield from self._readable(
            self._matching_rows(wanted, limit=limit, offset=offset), self._api_key
        )

    def _matching_rows(
        self, wanted: KeyFilter, *, limit: int | None = None, offset: int = 0
    ) -> Iterator[Row]:
        where, parameters = self._conditions(wanted)
        return self._streamed(
            f"{self._key_select} WHERE {where}",
            parameters,
            order=self._key_order,
            limit=limit,
            offset=offset,
        )

    def _conditions(self, wanted: KeyFilter) -> tuple[str, list[object]]:
        now = naive_time(wanted.now)
        created_at, used_at = self._key_time("created_at"), self._key_time("last_used_at")
        expires_at = self._key_time("expires_at")
        # A comparison with NULL is NULL, which must count as false.
        expired = f"coalesce({expires_at} < %s, false)"
        conditions: list[tuple[str, list[object]]] = [("true", [])]
        if wanted.user_id is not None:
            if HEX_ID(wanted.user_id):
                conditions.append(("k.user_id = %s", [wanted.user_id]))
            else:
                conditions.append(("false", []))
        if wanted.name is not None:
            conditions.append(("k.name = %s", [wanted.name]))
        if wanted.status == "inactive":
            conditions.append(("k.is_active IS NOT TRUE", []))
        elif wanted.status == "expired":
            conditions.append((f"k.is_active AND {expired}", [now]))
        elif wanted.status == "active":
            conditions.append((f"k.is_active AND NOT {expired}", [now]))
        if wanted.unused_since is not None:
            since = naive_time(wanted.unused_since)
            conditions.append((f"coalesce({used_at}, {created_at}) <= %s", [since]))
        if wanted.never_used_since is not None:
            since = naive_time(wanted.never_used_since)
            conditions.append((f"k.total_uses = 0 AND {created_at} > %s", [since]))
        if wanted.expires_before is not None:
            until = naive_time(wanted.expires_before)
            conditions.append((f"{expires_at} BETWEEN %s AND %s", [now, until]))
        if wanted.is_expired:
            conditions.append((expired, [now]))
        if wanted.created_before is not None:
            conditions.append((f"{created_at} <= %s", [naive_time(wanted.created_before)]))
        return (
            " AND ".join(f"({sql})" for sql, _ in conditions),
            [parameter for _, parameters in conditions for parameter in parameters],
        )

    def find_api_key(self, key_id: str) -> ApiKey | None:
        keys = self._keys("k.id = %s", key_id) if HEX_ID(key_id) else []
        return keys[0] if keys else None

    def api_keys_named(self, name: str, limit: int) -> Sequence[ApiKey]:
        return self._keys(f"k.name = %s ORDER BY {self._key_order} LIMIT %s", name, limit)

    def api_keys_by_id_start(self, hex_digits: str, limit: int) -> Sequence[ApiKey]:
        first, last = id_range(hex_digits)
        if not (HEX_ID(first) and HEX_ID(last)):
            return []
        return self._keys("k.id BETWEEN %s AND %s ORDER BY k.id LIMIT %s", first, last, limit)

    def api_keys_stored_from(self, start: str, limit: int) -> Sequence[ApiKey]:
        return self._keys(
            'starts_with(k.api_key, %s) ORDER BY k.api_key COLLATE "C" LIMIT %s', start, limit
        )

    def api_key_count(self) -> int:
        return int(self._rows("SELECT count(*) FROM apikey")[0][0])

    def count_of_others(self, user_id: str, most: int) -> int:
        # Both ranges use the index on user_id, so that own keys are not passed.
        return sum(
            self._rows(
                f"SELECT count(*) FROM (SELECT 1 FROM apikey WHERE user_id {side} %s LIMIT %s) k",
                (user_id, most),
            )[0][0]
            for side in "<>"
        )

    def plaintext_api_keys(self) -> Iterator[ApiKey]:
        for rows in self._key_pages(f"NOT {IS_TOKEN.format('k.api_key')}"):
            yield from self._readable(rows, self._api_key)

    def _key_pages(self, condition: str) -> Iterator[list[Row]]:
        """Yield pages of rows in the order of their ids, which have an index."""
        last: str | None = None
        while True:
            beyond = "" if last is None else "k.id > %s AND "
            rows = self._rows(
                f"{self._key_select} WHERE {beyond}{condition} ORDER BY k.id LIMIT {PAGE_ROWS}",
                () if last is None else (last,),
            )
            yield rows
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1][0]

    def replace_stored(self, changes: Sequence[tuple[ApiKey, ApiKey]]) -> int:
        self._require_more_than_ends()
        hashes = self._generation.has_key_hash
        sql = (
            "UPDATE apikey SET api_key = %(stored)s, api_key_hash = %(hash)s WHERE id = %(id)s"
            " AND api_key = %(old_stored)s AND api_key_hash IS NOT DISTINCT FROM %(old_hash)s"
            if hashes
            else "UPDATE apikey SET api_key = %(stored)s"
            " WHERE id = %(id)s AND api_key = %(old_stored)s"
        )
        self._allow_encrypted(new.stored for old, new in changes if new.stored != old.stored)
        self._note(key_change("update", new, at_rest=new.at_rest) for _, new in changes)
        return sum(
            self._changed_rows(
                sql,
                {
                    "id": old.id, "old_stored": old.stored, "old_hash": old.hash,
                    "stored": new.stored, "hash": new.hash,
                },
            )
            for old, new in changes
        )  # fmt: skip

    def insert_api_keys(self, keys: Iterable[ApiKey]) -> None:
        self._require_more_than_ends()
        keys = list(keys)
        self._allow_encrypted(key.stored for key in keys)
        self._note(map(key_insertion, keys))
        columns = self._own_key_columns
        cells = [KEY_COLUMNS.index(column) for column in columns]
        marks = f"({', '.join(['%s'] * len(columns))})"
        for start in range(0, len(keys), PAGE_ROWS):
            rows = [key_row(key) for key in keys[start : start + PAGE_ROWS]]
            self._rows(
                f"INSERT INTO apikey ({', '.join(columns)}) VALUES"
                f" {', '.join([marks] * len(rows))}",
                [row[cell] for row in rows for cell in cells],
            )

    def update_api_key(self, key: ApiKey) -> bool:
        self._require_more_than_ends()
        self._note([key_update(key)])
        columns, values = "name = %s, is_active = %s", [key.name, key.is_active]
        if self._generation.has_key_expiry:
            columns += ", expires_at = %s"
            values.append(stored_time(key.expires_at))
        return bool(
            self._changed_rows(f"UPDATE apikey SET {columns} WHERE id = %s", (*values, key.id))
        )

    def has_used_api_keys(self) -> bool:
        return bool(
            self._rows(
                "SELECT 1 FROM apikey WHERE total_uses > 0 OR last_used_at IS NOT NULL LIMIT 1"
            )
        )

    def delete_api_keys(self, key_ids: Sequence[str]) -> int:
        deleted = 0
        ids = ids_only(key_ids)
        for start in range(0, len(ids), _DELETED_AT_ONCE):
            deleted += self._delete_keys(ids[start : start + _DELETED_AT_ONCE], "true", ())
        return deleted

    def _delete_keys(self, ids: Sequence[str], where: str, parameters: Sequence[object]) -> int:
        """Delete the keys that match, and note each deleted row."""
        if self.commit_context is not None:
            rows = self._rows(
                f"{self._key_select} WHERE k.id = ANY(%s::uuid[]) AND {where} FOR UPDATE OF k",
                (list(ids), *parameters),
            )
            self._note(map(self._noted_end, rows))
        return self._changed_rows(
            f"DELETE FROM apikey k WHERE k.id = ANY(%s::uuid[]) AND {where}",
            (list(ids), *parameters),
        )

    def _keys(self, where: str, *parameters: object) -> list[ApiKey]:
        rows = self._rows(f"{self._key_select} WHERE {where}", parameters)
        return [self._api_key(row) for row in rows]

    def _noted_end(self, row: Sequence[Any]) -> Change:
        try:
            return key_deletion(self._api_key(row))
        except UnreadableRowError as error:
            return unreadable_key_deletion(
                shown_id(row[0]),
                name=row[1],
                user_id=shown_id(row[2]),
                username=row[10],
                sha256=row[4],
                column=error.column,
            )

    @cached_property
    def _own_key_columns(self) -> list[str]:
        return [column for column in KEY_COLUMNS if self._has("apikey", column)]

    def _key_time(self, column: str) -> str:
        return self._utc("apikey", column, "k")

    @property
    def _key_order(self) -> str:
        return "k.created_at, k.id"

    @cached_property
    def _key_columns(self) -> str:
        columns = [
            self._key_time(column)
            if column in _TIMES
            else f"k.{column}"
            if self._has("apikey", column)
            else "NULL"
            for column in KEY_COLUMNS
        ]
        return f"{', '.join(columns)}, u.username"

    @cached_property
    def _key_select(self) -> str:
        return f"SELECT {self._key_columns} FROM apikey k{JOINED_OWNER}"

    def _api_key(self, row: Sequence[Any]) -> ApiKey:
        # Unpacked by position, in the order of KEY_COLUMNS, for speed: there may be a million keys.
        row_id, name, user_id, stored, key_hash, created, used, uses, is_active, expires = row[:10]
        try:
            return ApiKey(
                loaded_id(row_id, "id"),
                name,
                loaded_id(user_id, "user_id"),
                stored,
                key_hash,
                loaded_time(created, "created_at"),
                None if used is None else loaded_time(used, "last_used_at"),
                uses,
                is_active is True,
                None if expires is None else loaded_time(expires, "expires_at"),
                row[10],
            )
        except BadCellError as error:
            raise self._unreadable_row("apikey", row_id, name, error) from None


def key_row(key: ApiKey) -> tuple[object, ...]:
    """Return a key's cells in their stored form, in the order of KEY_COLUMNS."""
    return (
        key.id, key.name, key.user_id, key.stored, key.hash, stored_time(key.created_at),
        stored_time(key.last_used_at), key.total_uses, key.is_active, stored_time(key.expires_at),
    )  # fmt: skip
