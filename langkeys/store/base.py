"""What the services may ask of a store: one Protocol that every database engine implements.

Ids are 32 hex digits and times aware UTC, whatever the engine makes of them. A store holds and
returns values as they are at rest; it never encrypts or decrypts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from langkeys.models import ApiKey, EncryptedValue, User
from langkeys.store.generations import Generation


@dataclass(frozen=True)
class KeyFilter:
    """Which API keys are meant; conditions combine with *and*, None is no condition.

    ``status`` is ``active``, ``expired`` or ``inactive`` at the time ``now``. ``unused_since``: not
    used since then, and not created since then either. ``expires_before`` means between ``now``
    and then, ``is_expired`` before ``now``, active or not.
    """

    now: datetime
    user_id: str | None = None
    name: str | None = None
    status: str | None = None
    unused_since: datetime | None = None
    expires_before: datetime | None = None
    created_before: datetime | None = None
    is_expired: bool = False


class Store(Protocol):
    """A Langflow database. Every method raises StoreError where the database cannot answer."""

    @property
    def location(self) -> str:
        """The database's path or URL without a password, to name it in messages."""
        ...

    @property
    def generation(self) -> Generation:
        """Which Langflow wrote it."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Hold the write lock: commit at the end of the block, roll back where it raises."""
        ...

    def reopened(self) -> AbstractContextManager["Store"]:
        """Open a fresh connection to the same database, to read back what was written."""
        ...

    def close(self) -> None:
        """Give the connection back; harmless when repeated."""
        ...

    def find_user(self, user_id: str) -> User | None:
        """Return the user with this id."""
        ...

    def find_user_named(self, username: str) -> User | None:
        """Return the user with exactly this name."""
        ...

    def insert_user(self, user: User) -> None:
        """Add a user."""
        ...

    def api_keys(
        self, wanted: KeyFilter, *, limit: int | None = None, offset: int = 0
    ) -> Iterator[ApiKey]:
        """Yield API keys in the order of their creation, read in pages that hold no lock."""
        ...

    def find_api_key(self, key_id: str) -> ApiKey | None:
        """Return the API key with this id."""
        ...

    def api_keys_named(self, name: str, limit: int) -> Sequence[ApiKey]:
        """Return at most ``limit`` API keys with exactly this name, anybody's."""
        ...

    def api_keys_by_id_start(self, hex_digits: str, limit: int) -> Sequence[ApiKey]:
        """Return at most ``limit`` API keys whose id starts so."""
        ...

    def api_keys_by_hash(self, key_hash: str) -> Sequence[ApiKey]:
        """Return the API keys with this hash; none where the generation stores no hashes."""
        ...

    def api_keys_stored_as(self, value: str) -> Sequence[ApiKey]:
        """Return the API keys whose stored form is exactly ``value``: plaintext rows."""
        ...

    def api_keys_stored_from(self, start: str, limit: int) -> Sequence[ApiKey]:
        """Return at most ``limit`` API keys whose stored form starts so: plaintext rows."""
        ...

    def encrypted_api_keys(self, *, unhashed_only: bool) -> Iterator[ApiKey]:
        """Yield encrypted API keys, to be decrypted and compared; read in pages, as ``api_keys``.

        ``unhashed_only``: those that ``api_keys_by_hash`` cannot find.
        """
        ...

    def insert_api_keys(self, keys: Iterable[ApiKey]) -> None:
        """Add API keys, within a transaction."""
        ...

    def update_api_key(self, key: ApiKey) -> bool:
        """Write a key's name, expiry and activity, within a transaction; False if it is gone."""
        ...

    def has_used_api_keys(self) -> bool:
        """Tell whether the use of any API key has ever been counted."""
        ...

    def delete_api_keys(self, key_ids: Sequence[str]) -> int:
        """Delete API keys by id, within a transaction; return how many there were."""
        ...

    def sample_of_encrypted_values(self) -> Iterator[EncryptedValue]:
        """Yield a few encrypted values of each known column, API keys first."""
        ...

    def encrypted_values(self) -> Iterator[EncryptedValue]:
        """Yield every encrypted value of the known columns, read in pages as ``api_keys``."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Count users, superusers, API keys and variables, as ``doctor`` names them."""
        ...

    def plaintext_api_keys(self) -> Iterator[ApiKey]:
        """Yield the API keys that are at rest as plaintext, read in pages as ``api_keys``."""
        ...

    def plaintext_credentials(self) -> int:
        """Count the variables of type Credential that are at rest as plaintext."""
        ...

    def replace_stored(self, changes: Sequence[tuple[ApiKey, ApiKey]]) -> int:
        """Give rows the stored form and hash of the second of each pair, within a transaction.

        Only rows that are still as the first of the pair; returns how many were.
        """
        ...
