"""API keys at rest in the form that the database's generation prefers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langkeys.errors import ConflictError, FailedError
from langkeys.models import ApiKey, dashed
from langkeys.store.base import KeyFilter, Store
from langkeys.times import now
from langkeys.verification import key_hash

if TYPE_CHECKING:
    from langkeys.crypto import Cipher


@dataclass
class Migration:
    """What is to change: pairs of a row as it is and as it shall be, with what that means.

    ``unopened`` are the rows that the secret key does not open; they stay as they are.
    """

    changes: list[tuple[ApiKey, ApiKey, str]] = field(default_factory=list)
    unopened: list[ApiKey] = field(default_factory=list)
    rows: int = 0


def planned(
    store: Store, cipher: Callable[[], "Cipher"], progress: Callable[[int], None]
) -> Migration:
    """Find the rows that are not in the preferred form; writes nothing."""
    migration = Migration()
    for row in store.api_keys(KeyFilter(now=now())):
        migration.rows += 1
        if migration.rows % 1000 == 0:
            progress(migration.rows)
        is_plaintext = row.at_rest == "plaintext"
        plaintext = row.stored if is_plaintext else cipher().find_plaintext(row.stored)
        if plaintext is None:
            migration.unopened.append(row)
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
                wanted = wanted._replace(hash=key_hash(plaintext))
                what.append("hash filled")
        if what:
            migration.changes.append((row, wanted, ", ".join(what)))
    return migration


def carry_out(store: Store, migration: Migration) -> None:
    """Change what is planned, all or nothing, and read it back through a fresh connection.

    Raises ConflictError where a row has changed meanwhile, or where two rows would have one hash: a
    server refuses such a key.
    """
    pairs = [(old, new) for old, new, _ in migration.changes]
    with store.transaction():
        changed = store.replace_stored(pairs)
        if changed != len(pairs):
            raise ConflictError(
                f"{len(pairs) - changed} API keys of {store.location} have changed meanwhile;"
                " nothing was done",
                hint="run the command again",
            )
        for _, new in pairs:
            twins = [] if new.hash is None else store.owned_by_hash(new.hash)
            if len(twins) > 1:
                ids = " and ".join(dashed(twin.key.id) for twin in twins)
                raise ConflictError(
                    f"{ids} of {store.location} are one and the same key; nothing was done",
                    hint="a server refuses a key that stands in two rows: revoke one of them by id",
                )
    with store.reopened() as fresh:
        for _, new in pairs:
            found = fresh.find_api_key(new.id)
            if found is None or (found.stored, found.hash) != (new.stored, new.hash):
                raise FailedError(f"API key {dashed(new.id)} does not read back as it was written")
