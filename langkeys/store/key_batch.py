"""The interface of a batch of API keys; see ``Store.key_batch``."""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from langkeys.models import ApiKey
from langkeys.progress import Advance
from langkeys.store.records import KeyFilter


class KeyBatch(Protocol):
    """API keys to insert or delete, in any number: they are not kept in memory.

    A batch belongs to its connection and is not part of the database, so it holds no lock.
    Iteration yields the keys in the order in which they were added.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[ApiKey]: ...

    def add(self, keys: Iterable[ApiKey]) -> None:
        """Add new API keys to the batch."""
        ...

    def add_matching(self, wanted: KeyFilter, *, spared: str | None = None) -> None:
        """Add the keys in the database that match, except the key with the id ``spared``."""
        ...

    def ids_among(self, key_ids: Collection[str]) -> set[str]:
        """Return which of the ids are in the batch."""
        ...

    def discard(self, key_ids: Collection[str]) -> None:
        """Remove API keys from the batch."""
        ...

    def insert(self) -> None:
        """Insert all keys of the batch into the database, within a transaction."""
        ...

    def find_unwritten(self) -> str | None:
        """Return the id of a key that a new connection does not find as inserted, or None."""
        ...

    def keep_matching(self, wanted: KeyFilter | None = None) -> None:
        """Remove keys from the batch that are no longer in the database or no longer match."""
        ...

    def delete(self, wanted: KeyFilter | None = None, *, done: Advance = lambda _: None) -> None:
        """Delete from the database the keys that still exist and match, within a transaction.

        Afterwards the batch contains only the deleted keys. ``done`` gets the number deleted so
        far.
        """
        ...

    def find_undeleted(self) -> str | None:
        """Return the id of a key that a new connection still finds in the database, or None."""
        ...
