"""The whole store, put together of its tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from langkeys.store.sqlite.api_keys import ApiKeyTable
from langkeys.store.sqlite.cells import Cells
from langkeys.store.sqlite.copying import Copying
from langkeys.store.sqlite.encrypted import EncryptedValues
from langkeys.store.sqlite.users import UserTable
from langkeys.store.sqlite.variables import VariableTable


class SqliteStore(UserTable, ApiKeyTable, VariableTable, EncryptedValues, Cells, Copying):
    """A store on a SQLite file; see ``langkeys.store.base.Store`` for what its methods promise."""

    @contextmanager
    def reopened(self) -> Iterator["SqliteStore"]:
        store = SqliteStore(self._path, busy_timeout=self._busy_timeout)
        try:
            yield store
        finally:
            store.close()
