"""What can be done with API keys: make them and end them."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from langkeys.api_keys.verification import by_rows
from langkeys.batches import in_batches
from langkeys.crypto.hashes import key_hash
from langkeys.errors import (
    ConflictError,
    FailedError,
    InvalidKeyError,
    LangkeysError,
    UnsupportedError,
)
from langkeys.models import ApiKey, User, dashed, masked, new_id, shown_without
from langkeys.store.generations import Generation
from langkeys.store.protocol import KeyBatch, Store
from langkeys.store.read_back import require_deleted, require_stored
from langkeys.times import now
from langkeys.undo import undo_on_failure

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

DEFAULT_NAME = "CLI"
"""The name that Langflow's own command line gives, too."""

ROWS_AT_ONCE = 500
"""Keys that are in memory together, of however many."""


class NewApiKey(NamedTuple):
    """A key that has just been made: its row, and the key itself, which only shows once."""

    row: ApiKey
    plaintext: str

    def __repr__(self) -> str:
        return shown_without(self, "plaintext")


def require_expiry(generation: Generation) -> None:
    """Raise UnsupportedError where the server knows no expiry of API keys."""
    if not generation.has_key_expiry:
        raise UnsupportedError(
            f"Langflow {generation.release} does not support the expiry of API keys:"
            " the key would keep working",
            hint="revoke the key in time (for example from a cron job), or upgrade to 1.10",
        )


def require_working_owner(generation: Generation, owner: User) -> None:
    """Raise ConflictError where a server would refuse a new key of this owner."""
    if not owner.is_active and generation.honours_owner_state:
        raise ConflictError(
            f"the owner {owner.username!r} is inactive: a server would refuse a new key",
            hint="activate the user first: langkeys user activate",
        )


def prepared(
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
    """Make keys as this generation stores them, in memory only: plaintext, Fernet, with a hash.

    ``value`` is the key itself where somebody has chosen it already, ``created_at`` the time that
    counts, if not now.
    """
    created_at = created_at or now()
    encrypt = cipher().encrypt if generation.encrypts_keys else str
    for _ in range(count):
        plaintext = value or f"sk-{secrets.token_urlsafe(32)}"
        yield NewApiKey(
            ApiKey(
                id=new_id(),
                name=name,
                user_id=owner.id,
                username=owner.username,
                stored=encrypt(plaintext),
                hash=key_hash(plaintext) if generation.has_key_hash else None,
                created_at=created_at,
                last_used_at=None,
                total_uses=0,
                is_active=True,
                expires_at=expires_at,
            ),
            plaintext,
        )


def set_aside(batch: KeyBatch, keys: Iterable[NewApiKey]) -> Iterator[NewApiKey]:
    """Put new keys into a batch as they are made, and yield them to whoever is to deliver them."""
    for some in in_batches(keys, ROWS_AT_ONCE):
        batch.add(key.row for key in some)
        yield from some


def store_batch(store: Store, batch: KeyBatch) -> None:
    """Store new keys, all or none."""
    with store.transaction():
        batch.insert()


def check_stored(store: Store, batch: KeyBatch) -> None:
    """Read new keys back through a fresh connection; raise FailedError where they differ.

    No key is delivered that a server would refuse: of very many, which have all that counts in
    common, some are judged.
    """
    key_id = batch.find_unwritten()
    if key_id is not None:
        require_stored(f"the new API key {dashed(key_id)}", store.location, is_stored=False)
    with store.reopened() as fresh:
        check_accepted(fresh, islice(batch, ROWS_AT_ONCE))


def check_accepted(fresh: Store, rows: Iterable[ApiKey]) -> None:
    """Raise ConflictError where a server with the database ``fresh`` would refuse a new key."""
    for row in rows:
        try:
            by_rows(fresh, row.hash or "", fresh.rows_of_key(row.hash or "", [row.stored]))
        except InvalidKeyError as error:
            raise ConflictError(
                f"a server would refuse the new API key {dashed(row.id)}: {error.message}"
            ) from None


def take_back(store: Store, batch: KeyBatch) -> None:
    """Revoke new keys that nobody has received, as far as nobody else has."""
    with store.transaction():
        # Of a few: whatever else has got their hash, too.
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
def taken_back(
    store: Store, batch: KeyBatch, arrived: Callable[[], tuple[int, str]] = lambda: (0, "")
) -> Iterator[None]:
    """Revoke new keys where the block that proves and delivers them fails, Ctrl-C included.

    ``arrived`` returns how many keys, from the first on, were delivered all the same, and a
    sentence that says where: those stay. The error's hint says what became of the others.
    """

    def undo() -> str:
        count, where = arrived()
        what = "the new API key" if len(batch) == 1 else f"the {len(batch)} new API keys"
        if count:
            batch.discard([key.id for key in islice(batch, count)])
            what = f"the other {len(batch)}"
        has = "has" if len(batch) == 1 else "have"
        ids = ", ".join(dashed(key.id) for key in islice(batch, 10))
        try:
            take_back(store, batch)
        except LangkeysError as error:
            raise FailedError(
                f"{what} ({ids}) could not be delivered, and could not be removed again:"
                f" {error.message}",
                hint=f"revoke the keys that nobody has received: {ids} ({error.message}){where}",
            ) from None
        return f"{what} could not be delivered and {has} been removed again{where}"

    with undo_on_failure(undo):
        yield


def store_delivered(
    store: Store,
    key: NewApiKey,
    deliver: Callable[[str], None],
) -> None:
    """Store one new key and pass it to ``deliver``; revoke it where that raises."""
    with store.key_batch() as batch:
        batch.add([key.row])
        store_and_deliver(store, batch, lambda: deliver(key.plaintext))


def store_and_deliver(
    store: Store,
    batch: KeyBatch,
    deliver: Callable[[], None],
    arrived: Callable[[], tuple[int, str]] = lambda: (0, ""),
) -> None:
    """Store new keys, prove that a server accepts them, and deliver them; else revoke them.

    See ``taken_back`` for ``arrived``.
    """
    store_batch(store, batch)
    with taken_back(store, batch, arrived):
        check_stored(store, batch)
        deliver()


def require_key_state(generation: Generation) -> None:
    """Raise UnsupportedError where the server lets inactive keys in."""
    if not generation.honours_key_state:
        raise UnsupportedError(
            f"Langflow {generation.release} ignores whether an API key is active: a"
            " deactivated key would keep working",
            hint="revoke the key instead, or upgrade to 1.10",
        )


def is_use_counted(store: Store, tracking_disabled: bool | None) -> bool:
    """Tell whether "never used" means anything: the server counts, and has counted something."""
    return not tracking_disabled and store.has_used_api_keys()


def masked_value(key: ApiKey, cipher: Callable[[], "Cipher"]) -> str | None:
    """Return the key as REST shows it, or None where the secret key does not open it."""
    plaintext: str | None = key.stored
    if key.at_rest == "fernet":
        plaintext = cipher().find_plaintext(key.stored)
    return None if plaintext is None else masked(plaintext)
