"""Find the rows of presented API keys with their owners, and count uses."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from langkeys.models import FERNET_PREFIX, User
from langkeys.store.encrypted_columns import PAST_FERNET
from langkeys.store.key_columns import KEY_CELLS
from langkeys.store.protocol import OwnedKey
from langkeys.store.sqlite.api_keys import ApiKeyTable
from langkeys.store.sqlite.database import FIRST_ROW, PAGE_ROWS
from langkeys.store.sqlite.users import UserTable
from langkeys.store.sqlite.values import JOINED_OWNER, stored_time

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
        number = self._row_number("apikey")
        found = f"SELECT {number} FROM apikey WHERE api_key IN (SELECT value FROM json_each(?))"
        parameters = [json.dumps(list(stored))]
        if self._generation.has_key_hash:
            # The plus keeps SQLite from using the index on the hash: a million hashes may be NULL.
            found = (
                f"{found} AND +api_key_hash IS NULL"
                f" UNION SELECT {number} FROM apikey WHERE api_key_hash = ?"
            )
            parameters.append(key_hash)
        # Servers use the first row that they find.
        where = f"{self._key_row} IN ({found}) ORDER BY {self._key_row}"
        rows = self._rows(f"{self._owned_select} WHERE {where}", parameters)
        return list(self._readable(rows, self._owned_key))

    def unhashed_plaintexts(self) -> Iterator[Sequence[str]]:
        unhashed = "api_key_hash IS NULL AND " if self._generation.has_key_hash else ""
        number = self._row_number("apikey")
        last: object = FIRST_ROW
        while True:
            rows = self._rows(
                f"SELECT api_key, {number} FROM apikey WHERE {unhashed}{number} > ?"
                f" AND NOT (+api_key >= ? AND +api_key < ?) ORDER BY {number} LIMIT ?",
                (last, FERNET_PREFIX, PAST_FERNET, PAGE_ROWS),
            )
            yield [row[0] for row in rows if isinstance(row[0], str)]
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1][1]

    def repeated_hashes(self) -> Sequence[str]:
        if not self._generation.has_key_hash:
            return []
        rows = self._rows(
            "SELECT api_key_hash FROM apikey WHERE api_key_hash IS NOT NULL"
            " GROUP BY api_key_hash HAVING count(*) > 1"
        )
        return [row[0] for row in rows if isinstance(row[0], str)]

    def key_tokens(self, *, unhashed_only: bool) -> Iterator[Sequence[str]]:
        number = self._row_number("apikey")
        if unhashed_only and self._generation.has_key_hash:
            # Use the index on the hash: few of a million keys may lack a hash. The plus keeps
            # SQLite from using the index on api_key, which contains all keys.
            sql = (
                f"SELECT api_key, {number} FROM apikey WHERE api_key_hash IS NULL AND {number} > ?"
                f" AND +api_key >= ? AND +api_key < ? ORDER BY {number} LIMIT ?"
            )
            last: object = FIRST_ROW
        else:
            # This reads only the index on api_key, and no rows.
            sql = (
                "SELECT api_key, api_key FROM apikey WHERE api_key > CAST(? AS TEXT)"
                " AND api_key >= ? AND api_key < ? ORDER BY api_key LIMIT ?"
            )
            last = ""
        while True:
            rows = self._rows(sql, (last, FERNET_PREFIX, PAST_FERNET, PAGE_ROWS))
            yield [row[0] for row in rows if isinstance(row[0], str)]
            if len(rows) < PAGE_ROWS:
                return
            last = self._text_parameter(rows[-1][1])

    def version(self) -> int:
        return self._data_version()

    def schema_version(self) -> int:
        return int(self._rows("PRAGMA schema_version")[0][0])

    def count_use(self, key_id: str, moment: datetime) -> bool:
        counted = self._changed_rows(
            "UPDATE apikey SET total_uses = total_uses + 1, last_used_at = ? WHERE id = ?",
            (stored_time(moment), key_id),
        )
        self._has_written = self._overwrites.has_own_write = True
        return counted == 1

    @cached_property
    def _by_hash(self) -> str:
        return f"{self._owned_select} WHERE k.api_key_hash = ?"

    @cached_property
    def _by_stored(self) -> str:
        return f"{self._owned_select} WHERE k.api_key = ?"

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
