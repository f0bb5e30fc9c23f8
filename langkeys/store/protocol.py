"""The Protocol of a store, which every database engine implements and all services use.

Ids are 32 hex digits and times are aware UTC, however the engine stores them. A store takes and
returns values as they are stored; it never encrypts or decrypts.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from langkeys.models import ApiKey, EncryptedValue, User, UserSummary, Variable
from langkeys.store.generations import Generation
from langkeys.store.key_batch import KeyBatch
from langkeys.store.records import Cell, Change, KeyFilter, Observation, OwnedKey, RowStub

__all__ = [
    "Cell",
    "Change",
    "CommitContext",
    "KeyBatch",
    "KeyFilter",
    "OwnedKey",
    "RowStub",
    "Store",
]


CommitContext = Callable[[Iterable[Change]], AbstractContextManager[None]]
"""Returns a context manager around COMMIT; an error of the commit is raised inside it.

It gets the changes of the transaction, and can iterate them once: there may be a million of them.
"""


class Store(Protocol):
    """A Langflow database. Every method raises StoreError if the database fails.

    Methods that return several rows leave out an unreadable row and warn the listeners. Methods
    that look up one row, by id, name, hash or stored form, raise UnreadableRowError for it.

    Several threads may use one store; a transaction makes the others wait.
    """

    commit_context: CommitContext | None
    """Set by the audit trail. If it is set, each method that writes notes its changes."""

    before_encrypted: Callable[[], None] | None
    """Checks the secret key; called once a transaction before the first encrypted value is written.

    It raises if nothing may be encrypted. A transaction that only deletes never calls it."""

    @property
    def location(self) -> str:
        """The database's path, or its URL without the password, for messages."""
        ...

    @property
    def generation(self) -> Generation:
        """The generation of Langflow that the database belongs to."""
        ...

    @property
    def is_snapshot(self) -> bool:
        """Whether it is read without a lock, so that changes of a running server may be missing."""
        ...

    def observations(self) -> Sequence[Observation]:
        """Return the state of the database server, for ``doctor``; empty if there is no server."""
        ...

    def is_replaced(self) -> bool:
        """Tell whether another database has replaced this one; StoreError if there is none now."""
        ...

    def listen(self, *, note: Callable[[str], None], warn: Callable[[str], None]) -> None:
        """Send messages for the user to these callbacks: sentences without secrets.

        Earlier messages are sent at once. ``warn`` gets what may make an answer incomplete,
        ``note`` everything else. ``close`` may send messages, too.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Hold the write lock; commit at the end of the block, or roll back if it raises."""
        ...

    def transaction_id(self) -> str | None:
        """Return the id of the transaction for ``transaction_status``; None if there are no ids."""
        ...

    def transaction_status(self, transaction_id: str) -> str | None:
        """Return ``committed``, ``aborted`` or ``in progress``.

        None if the database does not know the transaction: it was on another database, or long ago.
        """
        ...

    def note(self, change: Change) -> None:
        """Add a change to those that the commit reports, beside those of the methods that write."""
        ...

    def reopened(self) -> AbstractContextManager["Store"]:
        """Open a fresh connection to the same database, to read back what was written."""
        ...

    def close(self) -> None:
        """Close the connection; may be called again.

        Deleted values are then gone from the disk, or listeners get a note that says until when
        they remain.
        """
        ...

    @property
    def schema_problems(self) -> Sequence[str]:
        """What is wrong with the tables, as sentences.

        Listeners are warned of each, except of the generation's ``note``.
        """
        ...

    def unreadable_rows(self) -> Iterator[RowStub]:
        """Read every user, API key and variable; yield the rows that cannot be read."""
        ...

    def api_key_stubs(
        self,
        *,
        key_id: str | None = None,
        name: str | None = None,
        key_hash: str | None = None,
        stored: str | None = None,
    ) -> Sequence[RowStub]:
        """Return the rows of API keys that match any argument, readable or not.

        ``key_id`` is 32 hex digits, or an id as UnreadableRowError names it.
        """
        ...

    def variable_stubs(
        self, user_id: str, *, variable_id: str | None = None, name: str | None = None
    ) -> Sequence[RowStub]:
        """Return a user's variables with this id or name; see ``api_key_stubs``."""
        ...

    def delete_stubs(self, stubs: Sequence[RowStub]) -> int:
        """Delete rows of API keys and variables within a transaction; return how many were deleted.

        A row is only deleted if its position still has the same id.
        """
        ...

    def find_user(self, user_id: str) -> User | None:
        """Return the user with this id."""
        ...

    def find_user_named(self, username: str) -> User | None:
        """Return the user with exactly this name."""
        ...

    def users(
        self, *, user_id: str | None = None, limit: int | None = None, offset: int = 0
    ) -> Iterator[UserSummary]:
        """Yield all users, or the one with this id, in the order of their creation, in pages."""
        ...

    def usernames_like(self, username: str) -> Sequence[str]:
        """Return the user names that equal this one in lower case, by Unicode's rules."""
        ...

    def has_other_superuser(self, user_id: str) -> bool:
        """Tell whether there is an active superuser other than the user with this id."""
        ...

    def insert_user(self, user: User) -> None:
        """Add a user."""
        ...

    def update_user(self, user: User) -> None:
        """Write a user's password, state and time of change, within a transaction."""
        ...

    def delete_user(self, user_id: str) -> None:
        """Delete a user who owns nothing, within a transaction."""
        ...

    def api_keys(
        self, wanted: KeyFilter, *, limit: int | None = None, offset: int = 0
    ) -> Iterator[ApiKey]:
        """Yield API keys in the order of their creation; no lock is held between pages."""
        ...

    def find_api_key(self, key_id: str) -> ApiKey | None:
        """Return the API key with this id."""
        ...

    def api_keys_named(self, name: str, limit: int) -> Sequence[ApiKey]:
        """Return at most ``limit`` API keys with exactly this name, of all users."""
        ...

    def api_keys_by_id_start(self, hex_digits: str, limit: int) -> Sequence[ApiKey]:
        """Return at most ``limit`` API keys whose id starts with these digits."""
        ...

    def owned_by_hash(self, key_hash: str) -> Sequence[OwnedKey]:
        """Return the API keys with this hash; none where the generation stores no hashes."""
        ...

    def owned_stored_as(self, value: str) -> Sequence[OwnedKey]:
        """Return the API keys that are stored exactly as ``value``, a token or plaintext."""
        ...

    def rows_of_key(self, key_hash: str, stored: Collection[str]) -> Sequence[OwnedKey]:
        """Return the API keys with this hash, and those without a hash that are stored as given.

        They are in the order in which servers read them; unreadable rows are left out. ``stored``
        are values as in ``owned_stored_as``.
        """
        ...

    def unhashed_plaintexts(self) -> Iterator[Sequence[str]]:
        """Yield pages of plaintext API keys that have no hash; no lock is held between pages."""
        ...

    def repeated_hashes(self) -> Sequence[str]:
        """Return the hashes that more than one API key has; none where no hashes are stored."""
        ...

    def api_keys_stored_from(self, start: str, limit: int) -> Sequence[ApiKey]:
        """Return at most ``limit`` API keys that are stored as plaintext with this start."""
        ...

    def key_tokens(self, *, unhashed_only: bool) -> Iterator[Sequence[str]]:
        """Yield pages of the tokens of encrypted API keys; no lock is held between pages.

        ``unhashed_only`` selects those that ``owned_by_hash`` cannot find. ``owned_stored_as``
        finds the row of a token.
        """
        ...

    def api_key_count(self) -> int:
        """Count all API keys."""
        ...

    def version(self) -> int:
        """Return a number that changes whenever another connection commits.

        It costs less than a lookup. Writes through this store do not change it. An engine that has
        no cheap way to know returns a new number each time.
        """
        ...

    def schema_version(self) -> int:
        """Return a number that changes whenever tables or columns change."""
        ...

    def count_use(self, key_id: str, moment: datetime) -> bool:
        """Count one use of an API key, in a transaction of its own; False if the key is gone."""
        ...

    def insert_api_keys(self, keys: Iterable[ApiKey]) -> None:
        """Add API keys, within a transaction."""
        ...

    def update_api_key(self, key: ApiKey) -> bool:
        """Write a key's name, expiry and state within a transaction; False if it is gone."""
        ...

    def has_used_api_keys(self) -> bool:
        """Tell whether the use of any API key has ever been counted."""
        ...

    def key_batch(self) -> AbstractContextManager[KeyBatch]:
        """Create an empty batch that lasts until the end of the block; only one at a time."""
        ...

    def delete_api_keys(self, key_ids: Sequence[str]) -> int:
        """Delete API keys by id within a transaction; return how many were deleted."""
        ...

    def variables(self, user_id: str | None = None) -> Iterator[Variable]:
        """Yield the variables of a user, or of all, in the order of their creation, in pages."""
        ...

    def variables_named(
        self, names: Collection[str], user_id: str | None = None
    ) -> Sequence[Variable]:
        """Return the variables with these names of a user, or of all; first the one servers read.

        Servers can create several with one name and user, and read the one created first.
        """
        ...

    def insert_variables(self, variables: Iterable[Variable]) -> None:
        """Add variables, within a transaction."""
        ...

    def update_variables(self, variables: Iterable[Variable]) -> int:
        """Replace variables by id within a transaction; return how many were replaced."""
        ...

    def delete_variables(self, variable_ids: Sequence[str]) -> int:
        """Delete variables by id within a transaction; return how many were deleted."""
        ...

    def sample_of_encrypted_values(self) -> Iterator[EncryptedValue]:
        """Yield a few encrypted values of each known column, those of API keys first."""
        ...

    def encrypted_values(self) -> Iterator[EncryptedValue]:
        """Yield every encrypted value of the known columns; no lock is held between pages."""
        ...

    def cells(self, progress: Callable[[int], None]) -> Iterator[Sequence[Cell]]:
        """Yield every text that contains a token or an envelope, of all tables, in small batches.

        The order is always the same unless others write. ``replace_cells`` may be called between
        two batches. ``progress`` gets the number of rows passed, out of ``rows_to_pass``.
        """
        ...

    def rows_to_pass(self) -> int:
        """Return roughly how many rows ``cells`` passes."""
        ...

    def replace_cells(self, changes: Sequence[tuple[Cell, bytes]]) -> None:
        """Replace the texts of cells, within a transaction."""
        ...

    def find_text(self, cell: Cell) -> bytes | None:
        """Return the present text of a cell, or None if its row is gone."""
        ...

    def copy_size(self) -> int:
        """Return roughly how much ``copy_to`` copies, in the unit of its ``progress``."""
        ...

    def copy_to(
        self, path: Path, progress: Callable[[int, int], None], *, with_indexes: bool = True
    ) -> None:
        """Copy the database as it is now into a new file, 0600, and check the copy.

        The copy contains no deleted values. ``with_indexes`` also compares each index with its
        table, which takes ten times as long. ``progress`` gets the amount copied and the total.
        Raises ConflictError if ``path`` exists, FailedError if it cannot be written.
        """
        ...

    def clean_free_pages(self, temporary: Sequence[str]) -> None:
        """Remove values that were deleted earlier from the disk, after ``take_alone``.

        Temporary files go into the first folder of ``temporary`` that is writable. A failure is
        not raised: listeners are warned.
        """
        ...

    def counts(self) -> Mapping[str, int]:
        """Return the number of users, superusers, API keys and variables by ``doctor``'s names."""
        ...

    def plaintext_api_keys(self) -> Iterator[ApiKey]:
        """Yield the API keys that are stored as plaintext; no lock is held between pages."""
        ...

    def plaintext_credentials(self) -> int:
        """Count the variables of type Credential that are stored as plaintext."""
        ...

    def replace_stored(self, changes: Sequence[tuple[ApiKey, ApiKey]]) -> int:
        """Change the stored form and hash of API keys, within a transaction.

        ``changes`` are pairs of old and new. Changes only rows that still equal the old; returns
        how many.
        """
        ...
