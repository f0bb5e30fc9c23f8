"""The complete store, assembled from its parts."""

from langkeys.store.sqlite.cells import Cells
from langkeys.store.sqlite.compacting import Compacting
from langkeys.store.sqlite.copying import Copying
from langkeys.store.sqlite.encrypted import EncryptedValues
from langkeys.store.sqlite.key_batches import KeyBatches
from langkeys.store.sqlite.key_lookup import KeyLookup
from langkeys.store.sqlite.stubs import RowStubs


class SqliteStore(KeyLookup, KeyBatches, RowStubs, EncryptedValues, Cells, Copying, Compacting):
    """A store in a SQLite file; ``langkeys.store.protocol`` documents its methods."""
