"""The protocol of a store, which every database engine implements and all services use.

Ids are 32 hex digits and times are aware UTC, however the engine stores them. Secret values are
passed in their stored form: a store never encrypts or decrypts.
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

The function gets the transaction's changes. It can iterate over them only once, because there may
be a million.
"""


class Store(Protocol):
    """A Langflow database. Every method raises StoreError if the database fails.

    Methods that return several rows skip an unreadable row and warn the listeners. Methods that
    look up one row, by id, name, hash or stored form, raise UnreadableRowError if that row is
    unreadable.

    Several threads may use one store; during a transaction, the other threads wait.
    """

    commit_context: CommitContext | None
    """Set by the audit trail. If it is set, each method that writes records its changes."""

    before_encrypted: Callable[[], None] | None
    """Checks the secret key before a transaction writes its first encrypted value.

    It raises an error if nothing may be encrypted. It is not called for a transaction that only
    deletes.
    """

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
        """Whether reads take no lock, so that changes of a running server may be missing."""
        ...

    def observations(self) -> Sequence[Observation]:
        """Describe the state of the database server, for ``doctor``; empty for a database file."""
        ...

    def is_replaced(self) -> bool:
        """Tell whether another database has replaced this one; StoreError if it is missing."""
        ...

    def listen(self, *, note: Callable[[str], None], warn: Callable[[str], None]) -> None:
        """Send messages for the user to these callbacks: sentences without secrets.

        Messages from before this call are sent immediately. ``warn`` gets messages about anything
        that may make an answer incomplete; ``note`` gets all others. ``close`` may send messages,
        too.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Hold the write lock; commit at the end of the block, or roll back if it raises."""
        ...

    def transaction_id(self) -> str | None:
        """Return the transaction's id for ``transaction_status``; None if the engine has no ids."""
        ...

    def transaction_status(self, transaction_id: str) -> str | None:
        """Return ``committed``, ``aborted`` or ``in progress``.

        Returns None if the database does not know the transaction: it belongs to another database,
        or was long ago.
        """
        ...

    def note(self, change: Change) -> None:
        """Report a change at the commit, in addition to the changes of the methods that write."""
        ...

    def reopened(self) -> AbstractContextManager["Store"]:
        """Open a new connection to the same database, to check what was written."""
        ...

    def close(self) -> None:
        """Close the connection; may be called more than once.

        Deleted values are then gone from the disk; if not, the listeners get a note that says until
        when they remain.
        """
        ...

    @property
    def schema_problems(self) -> Sequence[str]:
        """Problems of the tables, as sentences.

        The listeners get each as a warning, except the generation's ``note``.
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
        """Return the rows of API keys that match any of the arguments, readable or not.

        ``key_id`` is 32 hex digits, or an id in the form that UnreadableRowError shows.
        """
        ...

    def variable_stubs(
        self, user_id: str, *, variable_id: str | None = None, name: str | None = None
    ) -> Sequence[RowStub]:
        """Return a user's variables with this id or name; see ``api_key_stubs``."""
        ...

    def delete_stubs(self, stubs: Sequence[RowStub]) -> int:
        """Delete rows of API keys and variables within a transaction; return how many were deleted.

        A row is deleted only if the row at its position still has the same id.
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
        """Yield all users, or the user with this id, in order of creation, page by page."""
        ...

    def usernames_like(self, username: str) -> Sequence[str]:
        """Return the user names that equal this one in Unicode lower case."""
        ...

    def has_other_superuser(self, user_id: str) -> bool:
        """Tell whether there is an active superuser besides the user with this id."""
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
        """Yield API keys in order of creation; no lock is held between pages."""
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
        """Return the API keys with this hash; empty if the generation stores no hashes."""
        ...

    def owned_stored_as(self, value: str) -> Sequence[OwnedKey]:
        """Return the API keys whose stored value, a token or plaintext, is exactly ``value``."""
        ...

    def rows_of_key(self, key_hash: str, stored: Collection[str]) -> Sequence[OwnedKey]:
        """Return the API keys with this hash, and keys without a hash whose value is in ``stored``.

        The keys are in the order in which servers read them; unreadable rows are skipped.
        ``stored`` contains stored values as in ``owned_stored_as``.
        """
        ...

    def unhashed_plaintexts(self) -> Iterator[Sequence[str]]:
        """Yield pages of plaintext API keys that have no hash; no lock is held between pages."""
        ...

    def repeated_hashes(self) -> Sequence[str]:
        """Return the hashes that more than one API key has; empty if there are no hashes."""
        ...

    def api_keys_stored_from(self, start: str, limit: int) -> Sequence[ApiKey]:
        """Return at most ``limit`` plaintext API keys that start with ``start``."""
        ...

    def key_tokens(self, *, unhashed_only: bool) -> Iterator[Sequence[str]]:
        """Yield pages of the tokens of encrypted API keys; no lock is held between pages.

        ``unhashed_only`` selects the keys that ``owned_by_hash`` cannot find. ``owned_stored_as``
        finds the row with a token.
        """
        ...

    def api_key_count(self) -> int:
        """Count all API keys."""
        ...

    def count_of_others(self, user_id: str, most: int) -> int:
        """Count the API keys that do not belong to this user, up to ``most`` or a few more."""
        ...

    def version(self) -> int:
        """Return a number that changes whenever another connection commits.

        This is faster than a lookup. Writes through this store do not change the number. An engine
        that cannot detect commits cheaply returns a new number each time.
        """
        ...

    def schema_version(self) -> int:
        """Return a number that changes whenever tables or columns change."""
        ...

    def count_use(self, key_id: str, moment: datetime) -> bool:
        """Count one use of an API key in a separate transaction; False if the key is gone."""
        ...

    def insert_api_keys(self, keys: Iterable[ApiKey]) -> None:
        """Add API keys, within a transaction."""
        ...

    def update_api_key(self, key: ApiKey) -> bool:
        """Write a key's name, expiry and state within a transaction; False if the key is gone."""
        ...

    def has_used_api_keys(self) -> bool:
        """Tell whether any API key has a recorded use."""
        ...

    def key_batch(self) -> AbstractContextManager[KeyBatch]:
        """Create an empty batch that exists until the end of the block; only one at a time."""
        ...

    def delete_api_keys(self, key_ids: Sequence[str]) -> int:
        """Delete API keys by id within a transaction; return how many were deleted."""
        ...

    def variables(self, user_id: str | None = None) -> Iterator[Variable]:
        """Yield the variables of a user, or all variables, in order of creation, page by page."""
        ...

    def variables_named(
        self, names: Collection[str], user_id: str | None = None
    ) -> Sequence[Variable]:
        """Return the variables with these names, of one user or of all users.

        Servers can create several variables with the same name and owner, and use the oldest one.
        That one comes first.
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
        """Yield a few encrypted values of each known column, API keys first."""
        ...

    def encrypted_values(self) -> Iterator[EncryptedValue]:
        """Yield every encrypted value in the known columns; no lock is held between pages."""
        ...

    def cells(self, progress: Callable[[int], None]) -> Iterator[Sequence[Cell]]:
        """Yield every text of any table that contains a token or an envelope, in small batches.

        The order is stable unless others write. ``replace_cells`` may be called between two
        batches. ``progress`` gets the number of rows read so far, out of ``rows_to_pass``.
        """
        ...

    def rows_to_pass(self) -> int:
        """Return roughly how many rows ``cells`` reads."""
        ...

    def replace_cells(self, changes: Sequence[tuple[Cell, bytes]]) -> None:
        """Replace the texts of cells, within a transaction."""
        ...

    def find_text(self, cell: Cell) -> bytes | None:
        """Return the current text of a cell, or None if its row is gone."""
        ...

    def copy_size(self) -> int:
        """Return roughly how much ``copy_to`` will copy, in the unit of its ``progress``."""
        ...

    def copy_to(
        self, path: Path, progress: Callable[[int, int], None], *, with_indexes: bool = True
    ) -> None:
        """Copy the current state of the database into a new file, mode 0600, and check the copy.

        The copy contains no deleted values. ``with_indexes`` also compares each index with its
        table, which takes ten times as long. ``progress`` gets the amount copied so far and the
        total. Raises ConflictError if ``path`` exists, FailedError if it cannot be written.
        """
        ...

    def clean_free_pages(self, temporary: Sequence[str]) -> None:
        """Erase earlier deleted values from the disk; requires ``take_alone``.

        Temporary files go into the first folder in ``temporary`` that is writable. A failure raises
        no error; the listeners get a warning.
        """
        ...

    def counts(self) -> Mapping[str, int]:
        """Return the number of users, superusers, API keys and variables, for ``doctor``."""
        ...

    def plaintext_api_keys(self) -> Iterator[ApiKey]:
        """Yield the API keys that are stored as plaintext; no lock is held between pages."""
        ...

    def plaintext_credentials(self) -> int:
        """Count the variables of type Credential that are stored as plaintext."""
        ...

    def replace_stored(self, changes: Sequence[tuple[ApiKey, ApiKey]]) -> int:
        """Replace the stored value and hash of API keys, within a transaction.

        ``changes`` are pairs of old and new keys. A row is changed only if it still equals the old
        key. Returns the number of changed rows.
        """
        ...
