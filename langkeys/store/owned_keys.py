"""Find the rows of an API key with their owners: the same in every engine."""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from langkeys.models import ApiKey, User
from langkeys.store.base import BaseStore
from langkeys.store.key_columns import KEY_CELLS
from langkeys.store.records import OwnedKey

USERS = 16_384
"""The number of cached users, about 20 MB; the cache key is the whole row."""


class OwnedKeys(BaseStore):
    """The part of a store that finds API keys by their hash or by what is stored.

    ``_mark`` is how the engine marks a parameter, and ``_owned_select`` its SQL for keys ``k``
    with their owners.
    """

    _mark: ClassVar[str]

    @property
    def _owned_select(self) -> str:
        raise NotImplementedError

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        raise NotImplementedError

    def _api_key(self, row: Sequence[Any]) -> ApiKey:
        raise NotImplementedError

    def _user(self, row: Sequence[Any]) -> User:
        raise NotImplementedError

    def owned_by_hash(self, key_hash: str) -> Sequence[OwnedKey]:
        if not self._generation.has_key_hash:
            return []
        return self._owned(self._by_hash, key_hash)

    def owned_stored_as(self, value: str) -> Sequence[OwnedKey]:
        return self._owned(self._by_stored, value)

    def repeated_hashes(self) -> Sequence[str]:
        if not self._generation.has_key_hash:
            return []
        rows = self._rows(
            "SELECT api_key_hash FROM apikey WHERE api_key_hash IS NOT NULL"
            " GROUP BY api_key_hash HAVING count(*) > 1"
        )
        return [row[0] for row in rows if isinstance(row[0], str)]

    # Built once: this runs for each API key that is verified.
    @cached_property
    def _by_hash(self) -> str:
        return f"{self._owned_select} WHERE k.api_key_hash = {self._mark}"

    @cached_property
    def _by_stored(self) -> str:
        return f"{self._owned_select} WHERE k.api_key = {self._mark}"

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
