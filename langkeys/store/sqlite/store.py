"""The whole store, put together of its tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from langkeys.store.sqlite.api_keys import ApiKeyTable
from langkeys.store.sqlite.encrypted import EncryptedValues
from langkeys.store.sqlite.users import UserTable


class SqliteStore(UserTable, ApiKeyTable, EncryptedValues):
    """A store on a SQLite file; see ``langkeys.store.base.Store`` for what its methods promise."""

    @contextmanager
    def reopened(self) -> Iterator["SqliteStore"]:
        store = SqliteStore(self._path, busy_timeout=self._busy_timeout)
        try:
            yield store
        finally:
            store.close()
