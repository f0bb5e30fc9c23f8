"""What services may ask of a batch of API keys, however many; see ``Store.key_batch``."""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from langkeys.models import ApiKey
from langkeys.progress import Advance
from langkeys.store.records import KeyFilter


class KeyBatch(Protocol):
    """API keys that are prepared to be added or deleted, however many: they are not in memory.

    They are kept with the connection, outside of the database, and cost nobody a lock. Iterated
    they come in the order in which they were put in.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[ApiKey]: ...

    def add(self, keys: Iterable[ApiKey]) -> None:
        """Put new API keys in."""
        ...

    def add_matching(self, wanted: KeyFilter, *, spared: str | None = None) -> None:
        """Put the database's keys in that match, except the one with the id ``spared``."""
        ...

    def ids_among(self, key_ids: Collection[str]) -> set[str]:
        """Return those of the ids that are in the batch."""
        ...

    def discard(self, key_ids: Collection[str]) -> None:
        """Take API keys out of the batch again."""
        ...

    def insert(self) -> None:
        """Add all of them to the database, within a transaction."""
        ...

    def find_unwritten(self) -> str | None:
        """Return the id of a key that a fresh connection does not read as it was inserted."""
        ...

    def keep_matching(self, wanted: KeyFilter | None = None) -> None:
        """Take out of the batch what is not in the database, or does not match, any more."""
        ...

    def delete(self, wanted: KeyFilter | None = None, *, done: Advance = lambda _: None) -> None:
        """Delete those from the database that are there and still match, within a transaction.

        Afterwards the batch holds what was deleted. ``done`` gets the number deleted so far.
        """
        ...

    def find_undeleted(self) -> str | None:
        """Return the id of a key that a fresh connection finds in the database."""
        ...
