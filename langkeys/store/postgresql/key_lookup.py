"""Find the rows of presented API keys with their owners, and count uses."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import cached_property

from langkeys.store.owned_keys import OwnedKeys
from langkeys.store.postgresql.api_keys import IS_TOKEN, JOINED_OWNER, ApiKeyTable
from langkeys.store.postgresql.database import PAGE_ROWS
from langkeys.store.postgresql.users import UserTable
from langkeys.store.postgresql.values import HEX_ID, stored_time
from langkeys.store.records import OwnedKey


class KeyLookup(ApiKeyTable, UserTable, OwnedKeys):
    """The part of a store that looks up API keys."""

    _mark = "%s"

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
            # Otherwise a role's default may make a use fail because of another one meanwhile.
            "SET LOCAL transaction_isolation = 'read committed';"
            " UPDATE apikey SET total_uses = total_uses + 1, last_used_at = %s WHERE id = %s"
            " RETURNING 1",
            (stored_time(moment), key_id),
        )
        return bool(counted)

    @cached_property
    def _owned_select(self) -> str:
        return f"SELECT {self._key_columns}, {self._user_columns} FROM apikey k{JOINED_OWNER}"
