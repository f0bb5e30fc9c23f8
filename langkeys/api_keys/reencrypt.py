"""Re-encrypt stored API keys in the server's current format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langkeys.api_keys.finder import find_api_key
from langkeys.api_keys.verification import verify_rows
from langkeys.crypto.hashes import api_key_hash
from langkeys.errors import ConflictError, InvalidKeyError
from langkeys.models import ApiKey, dashed
from langkeys.store.owners import with_owners
from langkeys.store.protocol import KeyFilter, OwnedKey, Store
from langkeys.store.read_back import require_stored
from langkeys.text import counted, joined
from langkeys.times import now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher


@dataclass
class Migration:
    """The rows to change: for each, the old row, the new row, and a description of the change.

    ``undecryptable`` are rows that the secret key cannot decrypt; they stay unchanged.
    """

    changes: list[tuple[ApiKey, ApiKey, str]] = field(default_factory=list)
    undecryptable: list[ApiKey] = field(default_factory=list)
    rows: int = 0


def plan_migration(
    store: Store, cipher: Callable[[], "Cipher"], progress: Callable[[int], None]
) -> Migration:
    """Return the rows that are not in the preferred format. Writes nothing."""
    migration = Migration()
    for row in store.api_keys(KeyFilter(now=now())):
        migration.rows += 1
        if migration.rows % 1000 == 0:
            progress(migration.rows)
        is_plaintext = row.at_rest == "plaintext"
        plaintext = find_api_key(row, cipher)
        if plaintext is None:
            migration.undecryptable.append(row)
            continue
        what = []
        wanted = row
        if not store.generation.encrypts_keys:
            if not is_plaintext:
                wanted, what = row._replace(stored=plaintext), ["decrypted"]
        else:
            if is_plaintext:
                wanted, what = row._replace(stored=cipher().encrypt(plaintext)), ["encrypted"]
            elif cipher().is_old_form(row.stored):
                wanted, what = row._replace(stored=cipher().encrypt(plaintext)), ["re-encrypted"]
            if store.generation.has_key_hash and row.hash is None:
                wanted = wanted._replace(hash=api_key_hash(plaintext))
                what.append("hash filled")
        if what:
            migration.changes.append((row, wanted, ", ".join(what)))
    return migration


def migrate(store: Store, migration: Migration) -> None:
    """Write the planned changes, all or none, and check them through a new connection.

    Raises ConflictError if a row has changed since it was read. Raises ConflictError also if rows
    with the same key would get the same hash, and a server would then answer differently for that
    key.
    """
    pairs = [(old, new) for old, new, _ in migration.changes]
    with store.transaction():
        _check_answers(store, pairs)
        changed = store.replace_stored(pairs)
        if changed != len(pairs):
            raise ConflictError(
                f"{counted(len(pairs) - changed, 'API key', 'have')} changed in the meantime in"
                f" {store.location}; nothing was done",
                hint="run the command again",
            )
    with store.reopened() as fresh:
        for _, new in pairs:
            found = fresh.find_api_key(new.id)
            require_stored(
                f"API key {dashed(new.id)}",
                store.location,
                is_stored=found is not None
                and (found.stored, found.hash) == (new.stored, new.hash),
            )


def _check_answers(store: Store, pairs: Sequence[tuple[ApiKey, ApiKey]]) -> None:
    """Raise ConflictError if new hashes would change which user a server authenticates."""
    filled: dict[str, list[tuple[ApiKey, ApiKey]]] = {}
    for old, new in pairs:
        if new.hash is not None and old.hash is None:
            filled.setdefault(new.hash, []).append((old, new))
    for hashed, changes in filled.items():
        hashed_rows = list(store.owned_by_hash(hashed))
        if len(changes) + len(hashed_rows) < 2:
            continue
        before = hashed_rows + with_owners(store, (old for old, _ in changes))
        after = hashed_rows + with_owners(store, (new for _, new in changes))
        if _answer(store, hashed, before) != _answer(store, hashed, after):
            ids = joined(dashed(row.key.id) for row in after)
            raise ConflictError(
                f"{ids} in {store.location} hold the same key; nothing was done",
                hint="a server would treat the key differently once each row has its"
                " hash: revoke the key, or delete all of its rows but one",
            )


def _answer(store: Store, hashed: str, rows: Sequence[OwnedKey]) -> str | None:
    """Return the id of the user whom these rows authenticate; None if a server refuses the key."""
    try:
        return verify_rows(store, hashed, rows).user.id
    except InvalidKeyError:
        return None
