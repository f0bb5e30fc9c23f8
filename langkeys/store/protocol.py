"""What the services may ask of a store: one Protocol that every database engine implements.

Ids are 32 hex digits and times aware UTC, whatever the engine makes of them. A store holds and
returns values as they are at rest; it never encrypts or decrypts.
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

__all__ = ["Cell", "Change", "Committing", "KeyBatch", "KeyFilter", "OwnedKey", "RowStub", "Store"]


Committing = Callable[[Iterable[Change]], AbstractContextManager[None]]
"""What a commit takes place in: it is entered before, and left with what the commit raises.

It gets the changes one by one, and each once: there may be a million of them.
"""


class Store(Protocol):
    """A Langflow database. Every method raises StoreError where the database cannot answer.

    A row that makes no value is left out where several are asked for, and listeners are warned. Who
    asks for one, by id, name, hash or stored form, gets an UnreadableRowError: it is there.

    Several threads may use one store; a transaction keeps the others waiting.
    """

    committing: Committing | None
    """Set by whoever keeps an audit trail; the methods that write then note what they change."""

    before_encrypted: Callable[[], None] | None
    """Set by whoever knows the secret key, and called in a transaction before it writes what is
    encrypted. It raises where that must not be: what only ends or deletes is not stopped by it."""

    @property
    def location(self) -> str:
        """The database's path or URL without a password, to name it in messages."""
        ...

    @property
    def generation(self) -> Generation:
        """Which Langflow wrote it."""
        ...

    @property
    def is_snapshot(self) -> bool:
        """Whether it is read without a lock: changes of a running server may be missing."""
        ...

    def observations(self) -> Sequence[Observation]:
        """Return what is to be known of the server that has the database, for ``doctor``."""
        ...

    def is_replaced(self) -> bool:
        """Tell whether another database is at its place by now; StoreError where there is none."""
        ...

    def listen(self, *, note: Callable[[str], None], warn: Callable[[str], None]) -> None:
        """Tell these what a person should know of this store: a sentence each, without a secret.

        What has come up before is told at once. ``warn`` gets what may be missing from an answer,
        ``note`` what else is worth knowing, when the store is closed, too.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Hold the write lock: commit at the end of the block, roll back where it raises."""
        ...

    def transaction_id(self) -> str | None:
        """Return what ``transaction_status`` tells the transaction by; None if by nothing."""
        ...

    def transaction_status(self, transaction_id: str) -> str | None:
        """Tell whether a transaction is ``committed``, ``aborted`` or ``in progress``.

        None where the database does not know: it is another one, or it was long ago.
        """
        ...

    def note(self, change: Change) -> None:
        """Add what else the transaction means to what its commit is told of."""
        ...

    def reopened(self) -> AbstractContextManager["Store"]:
        """Open a fresh connection to the same database, to read back what was written."""
        ...

    def close(self) -> None:
        """Give the connection back; harmless when repeated.

        What was deleted is gone from the disk then, or listeners get a note until when it is not.
        """
        ...

    @property
    def schema_problems(self) -> Sequence[str]:
        """What is wrong with the tables, as sentences; listeners are warned of it, too.

        Except of what is the generation's ``note``.
        """
        ...

    def unreadable_rows(self) -> Iterator[RowStub]:
        """Read every user, API key and variable; yield those rows that make none."""
        ...

    def api_key_stubs(
        self,
        *,
        key_id: str | None = None,
        name: str | None = None,
        key_hash: str | None = None,
        stored: str | None = None,
    ) -> Sequence[RowStub]:
        """Return the rows of API keys that have one of these, whether they can be read or not.

        ``key_id`` is 32 hex digits, or an id as UnreadableRowError names it.
        """
        ...

    def variable_stubs(
        self, user_id: str, *, variable_id: str | None = None, name: str | None = None
    ) -> Sequence[RowStub]:
        """Return a user's variables with this id or name; see ``api_key_stubs``."""
        ...

    def delete_stubs(self, stubs: Sequence[RowStub]) -> int:
        """Delete rows of API keys and variables, within a transaction; return how many there were.

        Only what is still at its position by the same id.
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
        """Return the user names that are this one in lower case, by Unicode's rules."""
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
        """Delete a user who has nothing yet, within a transaction."""
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

    def owned_by_hash(self, key_hash: str) -> Sequence[OwnedKey]:
        """Return the API keys with this hash; none where the generation stores no hashes."""
        ...

    def owned_stored_as(self, value: str) -> Sequence[OwnedKey]:
        """Return the API keys whose stored form is exactly ``value``: a token, or plaintext."""
        ...

    def rows_of_key(self, key_hash: str, stored: Collection[str]) -> Sequence[OwnedKey]:
        """Return the API keys with this hash, and those without one that are stored as given.

        In the order in which servers read them, and those that can be read. ``stored`` are forms as
        in ``owned_stored_as``.
        """
        ...

    def unhashed_plaintexts(self) -> Iterator[Sequence[str]]:
        """Yield the stored forms of plaintext API keys without a hash, in pages as ``api_keys``."""
        ...

    def repeated_hashes(self) -> Sequence[str]:
        """Return the hashes that more than one API key has; none where no hashes are stored."""
        ...

    def api_keys_stored_from(self, start: str, limit: int) -> Sequence[ApiKey]:
        """Return at most ``limit`` API keys whose stored form starts so: plaintext rows."""
        ...

    def key_tokens(self, *, unhashed_only: bool) -> Iterator[Sequence[str]]:
        """Yield the stored forms of encrypted API keys, to be decrypted, in pages as ``api_keys``.

        ``unhashed_only``: those that ``owned_by_hash`` cannot find. ``owned_stored_as`` finds the
        row of one.
        """
        ...

    def api_key_count(self) -> int:
        """Count all API keys."""
        ...

    def version(self) -> int:
        """Return a number that changes whenever another connection has committed anything.

        It costs less than to look anything up. What this store itself writes does not change it.
        Where an engine cannot tell so cheaply, it is another number each time.
        """
        ...

    def schema_version(self) -> int:
        """Return a number that changes whenever somebody has changed tables or columns."""
        ...

    def count_use(self, key_id: str, moment: datetime) -> bool:
        """Count one use of an API key, at once, as a server does; False if the key is gone."""
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

    def key_batch(self) -> AbstractContextManager[KeyBatch]:
        """Make an empty batch, one at a time, which ends with the block."""
        ...

    def delete_api_keys(self, key_ids: Sequence[str]) -> int:
        """Delete API keys by id, within a transaction; return how many there were."""
        ...

    def variables(self, user_id: str | None = None) -> Iterator[Variable]:
        """Yield a user's variables, or everybody's, in the order of their creation, in pages."""
        ...

    def variables_named(
        self, names: Collection[str], user_id: str | None = None
    ) -> Sequence[Variable]:
        """Return a user's or everybody's variables of these names, first the one a server reads.

        Servers make several of one name and user themselves, and read the one created first.
        """
        ...

    def insert_variables(self, variables: Iterable[Variable]) -> None:
        """Add variables, within a transaction."""
        ...

    def update_variables(self, variables: Iterable[Variable]) -> int:
        """Write variables anew by id, within a transaction; return how many there were."""
        ...

    def delete_variables(self, variable_ids: Sequence[str]) -> int:
        """Delete variables by id, within a transaction; return how many there were."""
        ...

    def sample_of_encrypted_values(self) -> Iterator[EncryptedValue]:
        """Yield a few encrypted values of each known column, API keys first."""
        ...

    def encrypted_values(self) -> Iterator[EncryptedValue]:
        """Yield every encrypted value of the known columns, read in pages as ``api_keys``."""
        ...

    def cells(self, progress: Callable[[int], None]) -> Iterator[Sequence[Cell]]:
        """Yield every text with a token or an envelope in it, of any table, in small batches.

        In the same order each time, so long as nobody else writes; ``replace_cells`` may be called
        between two batches. ``progress`` gets the number of rows passed, out of ``rows_to_pass``.
        """
        ...

    def rows_to_pass(self) -> int:
        """Return about how many rows ``cells`` passes."""
        ...

    def replace_cells(self, changes: Sequence[tuple[Cell, bytes]]) -> None:
        """Write other texts into cells, within a transaction."""
        ...

    def find_text(self, cell: Cell) -> bytes | None:
        """Return what stands in a cell now, or None where its row is gone."""
        ...

    def copy_size(self) -> int:
        """Return about how much ``copy_to`` copies, in the unit that its ``progress`` gets."""
        ...

    def copy_to(
        self, path: Path, progress: Callable[[int, int], None], *, with_indexes: bool = True
    ) -> None:
        """Copy the database as of now into a new file, 0600, and check the copy.

        Nothing that was deleted is in it.
        ``with_indexes``: hold each index against its table, too, which takes ten times as long.
        ``progress`` gets how much is copied, and of how much in all. Raises ConflictError where
        ``path`` exists, FailedError where it cannot be written.
        """
        ...

    def clean_free_pages(self, temporary: Sequence[str]) -> None:
        """Remove from the disk what anybody has deleted before, in a database held alone.

        ``temporary`` are folders for temporary files: the first that can be written is taken.
        Raises nothing of ours: where it cannot be done, listeners are warned.
        """
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
