"""Find the rows of presented API keys with their owners, and count uses."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from langkeys.models import User
from langkeys.store.key_columns import KEY_CELLS
from langkeys.store.postgresql.api_keys import IS_TOKEN, JOINED_OWNER, ApiKeyTable
from langkeys.store.postgresql.database import PAGE_ROWS
from langkeys.store.postgresql.users import UserTable
from langkeys.store.postgresql.values import HEX_ID, stored_time
from langkeys.store.records import OwnedKey

USERS = 16_384
"""The number of cached users, about 20 MB; the cache key is the whole row."""


class KeyLookup(ApiKeyTable, UserTable):
    """The part of a store that looks up API keys."""

    def owned_by_hash(self, key_hash: str) -> Sequence[OwnedKey]:
        if not self._generation.has_key_hash:
            return []
        return self._owned(self._by_hash, key_hash)

    def owned_stored_as(self, value: str) -> Sequence[OwnedKey]:
        return self._owned(self._by_stored, value)

    def rows_of_key(self, key_hash: str, stored: Collection[str]) -> Sequence[OwnedKey]:
        where, parameters = "k.api_key = ANY(%s::text[])", [list(stored)]
        values: list[object] = list(parameters)
        if self._generation.has_key_hash:
            where = f"({where} AND k.api_key_hash IS NULL) OR k.api_key_hash = %s"
            values.append(key_hash)
        rows = self._rows(f"{self._owned_select} WHERE {where} ORDER BY {self._key_order}", values)
        return list(self._readable(rows, self._owned_key))

    def unhashed_plaintexts(self) -> Iterator[Sequence[str]]:
        yield from self._stored_pages(f"NOT {IS_TOKEN.format('api_key')}", unhashed_only=True)

    def repeated_hashes(self) -> Sequence[str]:
        if not self._generation.has_key_hash:
            return []
        rows = self._rows(
            "SELECT api_key_hash FROM apikey WHERE api_key_hash IS NOT NULL"
            " GROUP BY api_key_hash HAVING count(*) > 1"
        )
        return [row[0] for row in rows]

    def key_tokens(self, *, unhashed_only: bool) -> Iterator[Sequence[str]]:
        yield from self._stored_pages(IS_TOKEN.format("api_key"), unhashed_only=unhashed_only)

    def _stored_pages(self, condition: str, *, unhashed_only: bool) -> Iterator[Sequence[str]]:
        unhashed = ""
        if unhashed_only and self._generation.has_key_hash:
            unhashed = " AND api_key_hash IS NULL"
        last: str | None = None
        while True:
            beyond = "" if last is None else " AND id > %s"
            rows = self._rows(
                f"SELECT api_key, id FROM apikey WHERE {condition}{unhashed}{beyond}"
                f" ORDER BY id LIMIT {PAGE_ROWS}",
                () if last is None else (last,),
            )
            yield [row[0] for row in rows]
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1][1]

    def count_use(self, key_id: str, moment: datetime) -> bool:
        if not HEX_ID(key_id):
            return False
        self._require_writable()
        # If the connection is lost, this is retried: a use may be counted twice, but is never
        # missed.
        counted = self._rows(
            "UPDATE apikey SET total_uses = total_uses + 1, last_used_at = %s WHERE id = %s"
            " RETURNING 1",
            (stored_time(moment), key_id),
        )
        return bool(counted)

    @cached_property
    def _by_hash(self) -> str:
        return f"{self._owned_select} WHERE k.api_key_hash = %s"

    @cached_property
    def _by_stored(self) -> str:
        return f"{self._owned_select} WHERE k.api_key = %s"

    @cached_property
    def _owned_select(self) -> str:
        return f"SELECT {self._key_columns}, {self._user_columns} FROM apikey k{JOINED_OWNER}"

    @cached_property
    def _read_user(self) -> Callable[[tuple[Any, ...]], User]:
        # The cache key is the whole row, so a changed row is parsed again. One user may have many
        # keys, and parsing a row takes as long as finding it.
        return lru_cache(maxsize=USERS)(self._user)

    def _owned(self, sql: str, value: str) -> list[OwnedKey]:
        return [self._owned_key(row) for row in self._rows(sql, (value,))]

    def _owned_key(self, row: Sequence[Any]) -> OwnedKey:
        owner = None if row[KEY_CELLS] is None else self._read_user(tuple(row[KEY_CELLS:]))
        return OwnedKey(self._api_key(row), owner)
