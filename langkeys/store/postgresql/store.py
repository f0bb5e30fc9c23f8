"""The complete store, assembled from its parts."""

from langkeys.store.postgresql.alone import Alone
from langkeys.store.postgresql.copying import Copying
from langkeys.store.postgresql.encrypted import EncryptedValues
from langkeys.store.postgresql.key_batches import KeyBatches
from langkeys.store.postgresql.key_lookup import KeyLookup
from langkeys.store.postgresql.state import ServerState
from langkeys.store.postgresql.stubs import RowStubs


class PostgresStore(Alone, KeyLookup, KeyBatches, RowStubs, EncryptedValues, ServerState, Copying):
    """A store on a PostgreSQL server; ``langkeys.store.protocol`` documents its methods."""
