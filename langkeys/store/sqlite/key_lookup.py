"""Find the rows of presented API keys with their owners, and count uses."""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import cached_property

from langkeys.models import FERNET_PREFIX
from langkeys.store.encrypted_columns import PAST_FERNET
from langkeys.store.owned_keys import OwnedKeys
from langkeys.store.protocol import OwnedKey
from langkeys.store.sqlite.api_keys import ApiKeyTable
from langkeys.store.sqlite.database import FIRST_ROW, PAGE_ROWS
from langkeys.store.sqlite.users import UserTable
from langkeys.store.sqlite.values import JOINED_OWNER, stored_time


class KeyLookup(ApiKeyTable, UserTable, OwnedKeys):
    """The part of a store that looks up API keys."""

    _mark = "?"

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
    def _owned_select(self) -> str:
        return f"SELECT {self._key_columns}, {self._user_columns} FROM apikey k{JOINED_OWNER}"
