"""The whole store, put together of its tables."""

from langkeys.store.sqlite.cells import Cells
from langkeys.store.sqlite.compacting import Compacting
from langkeys.store.sqlite.copying import Copying
from langkeys.store.sqlite.encrypted import EncryptedValues
from langkeys.store.sqlite.key_batches import KeyBatches
from langkeys.store.sqlite.key_lookup import KeyLookup
from langkeys.store.sqlite.stubs import RowStubs


class SqliteStore(KeyLookup, KeyBatches, RowStubs, EncryptedValues, Cells, Copying, Compacting):
    """A store on a SQLite file; ``langkeys.store.protocol`` says what its methods promise."""
