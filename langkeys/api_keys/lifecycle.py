"""Create and deliver API keys, and revoke those that could not be delivered."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from langkeys.api_keys.verification import verify_rows
from langkeys.batches import in_batches
from langkeys.crypto.hashes import api_key_hash, new_api_key
from langkeys.crypto.stored_values import find_stored_value
from langkeys.errors import (
    ConflictError,
    FailedError,
    InvalidKeyError,
    LangkeysError,
    UnsupportedError,
)
from langkeys.models import ApiKey, User, dashed, masked, new_id, shown_without
from langkeys.store.generations import Generation
from langkeys.store.protocol import KeyBatch, KeyFilter, Store
from langkeys.store.read_back import require_deleted, require_stored
from langkeys.text import agreeing, pronoun, shell_word
from langkeys.times import now
from langkeys.undo import TRY_AGAIN, undo_on_failure

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

DEFAULT_NAME = "CLI"
"""The name that Langflow's own command line gives to new keys."""

ROWS_AT_ONCE = 500
"""The maximum number of keys that are in memory at the same time."""


class NewApiKey(NamedTuple):
    """A new key: its row, and the key itself, which is shown only once."""

    row: ApiKey
    plaintext: str

    def __repr__(self) -> str:
        return shown_without(self, "plaintext")


def require_expiry(generation: Generation) -> None:
    """Raise UnsupportedError if servers of this generation do not support expiry of API keys."""
    if not generation.has_key_expiry:
        raise UnsupportedError(
            f"Langflow {generation.release} does not support the expiry of API keys:"
            " the key would keep working",
            hint="revoke the key in time (for example from a cron job), or upgrade to 1.10",
        )


def require_working_owner(generation: Generation, owner: User) -> None:
    """Raise ConflictError if a server would refuse new keys of this owner."""
    if not owner.is_active and generation.honours_owner_state:
        raise ConflictError(
            f"the owner {owner.username!r} is inactive: a server would refuse a new key",
            hint=f"activate the user first: langkeys user activate {shell_word(owner.username)}",
        )


def is_name_taken(store: Store, owner: User, name: str) -> bool:
    """Tell whether a working key of this owner has the name already; that is no error."""
    wanted = KeyFilter(now=now(), user_id=owner.id, name=name, status="active")
    return any(True for _ in store.api_keys(wanted, limit=1))


def new_api_keys(
    generation: Generation,
    cipher: Callable[[], "Cipher"],
    *,
    owner: User,
    name: str | None,
    expires_at: datetime | None = None,
    count: int = 1,
    value: str | None = None,
    created_at: datetime | None = None,
) -> Iterable[NewApiKey]:
    """Yield new keys in the form that this generation stores; nothing is written.

    ``value`` is the key itself, if it exists already. ``created_at`` is the creation time, if that
    is not now.
    """
    created_at = created_at or now()
    encrypt = cipher().encrypt if generation.encrypts_keys else str
    for _ in range(count):
        plaintext = value or new_api_key()
        yield NewApiKey(
            ApiKey(
                id=new_id(),
                name=name,
                user_id=owner.id,
                username=owner.username,
                stored=encrypt(plaintext),
                hash=api_key_hash(plaintext) if generation.has_key_hash else None,
                created_at=created_at,
                last_used_at=None,
                total_uses=0,
                is_active=True,
                expires_at=expires_at,
            ),
            plaintext,
        )


def add_to_batch(batch: KeyBatch, keys: Iterable[NewApiKey]) -> Iterator[NewApiKey]:
    """Add new keys to a batch as they are created, and yield them for delivery."""
    for some in in_batches(keys, ROWS_AT_ONCE):
        batch.add(key.row for key in some)
        yield from some


def store_batch(store: Store, batch: KeyBatch) -> None:
    """Store the new keys of a batch, all or none."""
    with store.transaction():
        batch.insert()


def check_stored(store: Store, batch: KeyBatch) -> None:
    """Read new keys through a new connection; raise FailedError if they differ.

    Raises ConflictError if a server would refuse a key. In a large batch, only some keys are
    verified: they differ in nothing that matters to a server.
    """
    key_id = batch.find_unwritten()
    if key_id is not None:
        require_stored(f"the new API key {dashed(key_id)}", store.location, is_stored=False)
    with store.reopened() as fresh:
        check_accepted(fresh, islice(batch, ROWS_AT_ONCE))


def check_accepted(fresh: Store, rows: Iterable[ApiKey]) -> None:
    """Raise ConflictError if a server with the database ``fresh`` would refuse one of the keys."""
    for row in rows:
        try:
            verify_rows(fresh, row.hash or "", fresh.rows_of_key(row.hash or "", [row.stored]))
        except InvalidKeyError as error:
            raise ConflictError(
                f"a server would refuse the new API key {dashed(row.id)}: {error.message}"
            ) from None


def revoke_undelivered(store: Store, batch: KeyBatch) -> None:
    """Revoke new keys that nobody has received. A row that is already gone is not an error."""
    with store.transaction():
        # For a small batch, also delete other rows with the same hash.
        rows = islice(batch, ROWS_AT_ONCE)
        found = [store.rows_of_key(row.hash or "", [row.stored]) for row in rows]
        mine = {row.id for row in islice(batch, ROWS_AT_ONCE)}
        others = {row.key.id for rows in found for row in rows} - mine
        batch.delete()
        store.delete_api_keys(sorted(others))
    key_id = batch.find_undeleted()
    if key_id is not None:
        require_deleted(f"API key {dashed(key_id)}", store.location, is_deleted=False)


@contextmanager
def revoke_on_failure(
    store: Store, batch: KeyBatch, arrived: Callable[[], tuple[int, str]] = lambda: (0, "")
) -> Iterator[None]:
    """Revoke new keys if the block that checks and delivers them fails or is interrupted.

    ``arrived`` returns how many of the first keys were delivered nevertheless, and a sentence that
    says where. Those keys are kept. The error's hint says what happened to the others.
    """

    def undo() -> str:
        count, where = arrived()
        what = "the new API key" if len(batch) == 1 else f"the {len(batch)} new API keys"
        if count:
            batch.discard([key.id for key in islice(batch, count)])
            what = f"the other {len(batch)}"
        have = agreeing("have", len(batch))
        ids = [dashed(key.id) for key in islice(batch, 10)]
        try:
            revoke_undelivered(store, batch)
        except LangkeysError as error:
            raise FailedError(
                f"{what} ({', '.join(ids)}) could not be delivered, and could not be removed"
                f" again: {error.message}",
                hint=f"{what} could not be delivered, and could not be removed again"
                f" ({error.message}); to revoke {pronoun(len(batch))}:"
                f" langkeys api-key revoke {' '.join(ids)}{where}",
            ) from None
        return f"{what} could not be delivered and {have} been removed again; {TRY_AGAIN}{where}"

    with undo_on_failure(undo):
        yield


def store_and_deliver_one(
    store: Store,
    key: NewApiKey,
    deliver: Callable[[str], None],
) -> None:
    """Store one new key and pass it to ``deliver``; revoke the key if ``deliver`` raises."""
    with store.key_batch() as batch:
        batch.add([key.row])
        store_and_deliver(store, batch, lambda: deliver(key.plaintext))


def store_and_deliver(
    store: Store,
    batch: KeyBatch,
    deliver: Callable[[], None],
    arrived: Callable[[], tuple[int, str]] = lambda: (0, ""),
) -> None:
    """Store and deliver new keys after proving that a server accepts them; revoke them on failure.

    See ``revoke_on_failure`` for ``arrived``.
    """
    store_batch(store, batch)
    with revoke_on_failure(store, batch, arrived):
        check_stored(store, batch)
        deliver()


def require_key_state(generation: Generation) -> None:
    """Raise UnsupportedError if servers of this generation accept inactive keys."""
    if not generation.honours_key_state:
        raise UnsupportedError(
            f"Langflow {generation.release} ignores whether an API key is active: a"
            " deactivated key would keep working",
            hint="revoke the key instead, or upgrade to 1.10",
        )


def is_use_counted(store: Store, tracking_disabled: bool | None) -> bool:
    """Tell whether "never used" is meaningful: servers count uses and have counted at least one."""
    return not tracking_disabled and store.has_used_api_keys()


def masked_value(key: ApiKey, cipher: Callable[[], "Cipher"]) -> str | None:
    """Return the key as the REST interface shows it; None if it cannot be decrypted."""
    plaintext = find_stored_value(key.stored, cipher)
    return None if plaintext is None else masked(plaintext)
