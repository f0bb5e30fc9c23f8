"""New API keys for old ones: with their name, owner and lifetime."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from langkeys import api_keys
from langkeys.api_keys import NewApiKey
from langkeys.errors import ConflictError, FailedError, NotFoundError, UnsupportedError
from langkeys.models import ApiKey, dashed
from langkeys.store.base import KeyFilter, Store
from langkeys.store.generations import Generation
from langkeys.times import now
from langkeys.users import get_user_by_id

if TYPE_CHECKING:
    from langkeys.crypto import Cipher


@dataclass(frozen=True)
class Replacement:
    """An old key and the new one for it; ``old_expires_at`` is the end of the grace, if any."""

    old: ApiKey
    new: NewApiKey = field(repr=False)
    old_expires_at: datetime | None = None


def require_grace(generation: Generation) -> None:
    """Raise UnsupportedError where the server would let an old key in after its grace."""
    if not generation.has_key_expiry:
        raise UnsupportedError(
            f"Langflow {generation.release} knows no expiry of API keys: with --grace the old key"
            " would go on working for ever",
            hint="rotate without --grace, or create a new key now and revoke the old one later",
        )


def require_rotatable(keys: Sequence[ApiKey]) -> None:
    """Raise ConflictError for a key that somebody has deactivated: a new one would undo that."""
    for key in keys:
        if not key.is_active:
            raise ConflictError(
                f"API key {dashed(key.id)} ({key.name}) is inactive; nothing was done",
                hint="activate it first, or create a new key",
            )


def working_keys(
    store: Store, *, user_id: str | None, created_before: datetime | None
) -> list[ApiKey]:
    """Return the active keys, neither expired, of a user or everybody, oldest first."""
    wanted = KeyFilter(now=now(), user_id=user_id, status="active", created_before=created_before)
    return list(store.api_keys(wanted))


def prepared(
    store: Store,
    cipher: Callable[[], "Cipher"],
    keys: Iterable[ApiKey],
    *,
    expires_at: datetime | None,
    grace: timedelta | None,
) -> list[Replacement]:
    """Make the new keys, in memory only; ``expires_at`` counts instead of the old lifetime."""
    moment = now()
    replacements = []
    for key in keys:
        new_expiry = expires_at
        if new_expiry is None and key.expires_at is not None:
            new_expiry = moment + (key.expires_at - key.created_at)
        (new,) = api_keys.prepared(
            store.generation,
            cipher,
            owner=get_user_by_id(store, key.user_id),
            name=key.name,
            expires_at=new_expiry,
        )
        ends = None if grace is None else moment + grace
        if ends is not None and key.expires_at is not None:
            ends = min(ends, key.expires_at)
        replacements.append(Replacement(key, new, ends))
    return replacements


def end_old(store: Store, replacements: Sequence[Replacement]) -> None:
    """End the old keys, all or none: at the end of their grace, or else by deleting them."""
    deleted = [item.old.id for item in replacements if item.old_expires_at is None]
    expiring = [
        item.old._replace(expires_at=item.old_expires_at)
        for item in replacements
        if item.old_expires_at is not None
    ]
    with store.transaction():
        ended = store.delete_api_keys(deleted) if deleted else 0
        ended += sum(store.update_api_key(key) for key in expiring)
        if ended != len(replacements):
            raise NotFoundError(
                f"{len(replacements) - ended} of the old API keys have just been deleted by"
                f" somebody else from {store.location}"
            )
    with store.reopened() as fresh:
        for item in replacements:
            found = fresh.find_api_key(item.old.id)
            if (None if found is None else found.expires_at) != item.old_expires_at:
                raise FailedError(
                    f"the old API key {dashed(item.old.id)} does not read back as ended from"
                    f" {store.location}"
                )


def leftovers(store: Store, key: ApiKey) -> list[ApiKey]:
    """Return working keys of the same name and owner that a broken-off rotation may have left."""
    if key.name is None:
        return []
    wanted = KeyFilter(
        now=now(),
        user_id=key.user_id,
        name=key.name,
        status="active",
        never_used_since=key.created_at,
    )
    return list(store.api_keys(wanted))
