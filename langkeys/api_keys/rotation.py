"""Replace API keys with new ones that have the same name, owner and lifetime."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys.ending import Endings, WholeKey
from langkeys.api_keys.lifecycle import NewApiKey
from langkeys.api_keys.lifetimes import grace_end, new_expiry, replacements_among, replacements_of
from langkeys.errors import ConflictError, FailedError, UnsupportedError
from langkeys.models import ApiKey, User, dashed
from langkeys.store.generations import Generation
from langkeys.store.owners import get_owner
from langkeys.store.protocol import KeyFilter, Store
from langkeys.times import now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

Expires = datetime | Literal["never"] | None
"""The expiry of a new key; None keeps the old key's lifetime."""


_IN_ENVIRONMENT = (
    "is the server's LANGFLOW_API_KEY (LANGFLOW_API_KEY_SOURCE is env), which accepts"
    " it whatever is in the database"
)


@dataclass(frozen=True)
class Replacement:
    """An old key and its replacement; ``old_expires_at`` is the end of the grace period, if any.

    ``key`` contains the rows to end. With ``is_whole``, rows of the key that are created in the
    meantime end too.
    """

    old: ApiKey
    new: NewApiKey = field(repr=False)
    old_expires_at: datetime | None = None
    key: WholeKey | None = field(default=None, repr=False)
    is_whole: bool = True


@dataclass
class Selection:
    """The keys that match a filter: those that will be rotated, and those that are skipped.

    Each skipped key has a reason, and whether that was to be expected, as for a key in its grace
    period.
    """

    keys: list[WholeKey] = field(default_factory=list)
    left_out: list[tuple[ApiKey, str, bool]] = field(default_factory=list)


def require_grace(generation: Generation) -> None:
    """Raise UnsupportedError if a server would accept an old key after its grace period."""
    if not generation.has_key_expiry:
        raise UnsupportedError(
            f"Langflow {generation.release} does not support the expiry of API keys:"
            " with --grace the old key would work forever",
            hint="rotate without --grace, or create a new key now and revoke the old one later",
        )


def get_rotatable(
    endings: Endings, rows: Sequence[ApiKey], *, grace: timedelta | None
) -> list[WholeKey]:
    """Return the keys that rows belong to, each once, with the row that makes it work.

    Raises ConflictError for a deactivated key, because a new key would undo the deactivation.
    Raises FailedError for a key that would end immediately but that servers also accept from their
    environment.
    """
    keys = []
    for key in endings.whole_keys(rows):
        if grace is None and endings.is_in_environment(key):
            raise FailedError(
                f"API key {dashed(key.meant.id)} ({key.meant.name}) {_IN_ENVIRONMENT}; nothing was"
                " done",
                hint="set another LANGFLOW_API_KEY for the server and restart it, or"
                " revoke the key",
            )
        working = key.meant if key.meant.is_active else endings.find_working_row(key)
        if working is None or not working.is_active:
            raise ConflictError(
                f"API key {dashed(key.meant.id)} ({key.meant.name}) is inactive; nothing was done",
                hint="activate it first, or create a new key",
            )
        keys.append(WholeKey(working, key.rows, key.hashed, key.plaintext))
    return keys


def select_working(
    store: Store,
    endings: Endings,
    *,
    user_id: str | None,
    created_before: datetime | None,
    grace: timedelta | None,
) -> Selection:
    """Return the active, unexpired keys of a user or of all users, oldest first.

    Keys are skipped if they have already been replaced, if a row that does not match keeps them
    valid, or if servers refuse their owner's keys.
    """
    wanted = KeyFilter(now=now(), user_id=user_id, status="active", created_before=created_before)
    rows = list(store.api_keys(wanted))
    replaced = replacements_among(store, rows, user_id=user_id)
    whole, kept_by = _repeated(endings, {row.id for row in rows})
    selection, seen, owners = Selection(), set[str](), dict[str, User | None]()
    for row in rows:
        key = whole.get(row.id)
        if row.id in seen:
            continue
        if key is None:
            key = endings.single_row_key(row)
        seen.update(other.id for other in key.rows)
        if row.user_id not in owners:
            owners[row.user_id] = store.find_user(row.user_id)
        newer = next(filter(None, map(replaced.find_newer, key.rows)), None)
        reason = _reason_to_leave(owners[row.user_id], kept_by.get(row.id), store.generation)
        if newer is not None:
            replaced_by = f"was already replaced by {dashed(newer.id)} and is in its grace period"
            selection.left_out.append((row, replaced_by, True))
        elif reason is not None:
            selection.left_out.append((row, reason, False))
        elif grace is None and endings.is_in_environment(key):
            selection.left_out.append((row, _IN_ENVIRONMENT, False))
        else:
            selection.keys.append(key)
    return selection


def _repeated(endings: Endings, ids: set[str]) -> tuple[dict[str, WholeKey], dict[str, ApiKey]]:
    """Map the ids of rows to keys with several rows, and to the rows that keep these keys valid."""
    whole: dict[str, WholeKey] = {}
    kept_by: dict[str, ApiKey] = {}
    for hashed, found in endings.find_repeated():
        inside = [row.key for row in found if row.key.id in ids]
        rest = [row for row in found if row.key.id not in ids]
        if not inside:
            continue
        working = endings.find_accepting_row(hashed, found)
        meant = working if working is not None and working.id in ids else inside[0]
        keeper = endings.find_accepting_row(hashed, rest)
        for row in inside:
            whole[row.id] = WholeKey(meant, tuple(inside), hashed)
            if keeper is not None:
                kept_by[row.id] = keeper
    return whole, kept_by


def _reason_to_leave(
    owner: User | None, kept_by: ApiKey | None, generation: Generation
) -> str | None:
    if kept_by is not None:
        return (
            f"holds the same key as {dashed(kept_by.id)} ({kept_by.name},"
            f" {kept_by.username}), which does not match and keeps it working"
        )
    if owner is None:
        return "belongs to a user that does not exist"
    if not owner.is_active and generation.honours_owner_state:
        return f"belongs to {owner.username!r}, who is inactive: a server would refuse a new key"
    return None


def new_replacements(
    store: Store,
    cipher: Callable[[], "Cipher"],
    keys: Sequence[WholeKey],
    *,
    expires: Expires,
    grace: timedelta | None,
    is_whole: bool = True,
) -> list[Replacement]:
    """Return replacements with new keys; nothing is written.

    ``is_whole``: the caller named these keys, so they end with all of their rows.
    """
    replacements = []
    for key in keys:
        old = key.meant
        owner = get_owner(store, old.user_id)
        api_keys.require_working_owner(store.generation, owner)
        made_at = now()
        if expires is None:
            # A replaced key's expiry is the end of its grace period, so use the newest key's
            # lifetime.
            newest = replacements_of(store, old).find_newest(old) if is_whole else old
            expires_at = new_expiry(newest, made_at)
        else:
            expires_at = None if expires == "never" else expires
        (new,) = api_keys.new_api_keys(
            store.generation,
            cipher,
            owner=owner,
            name=old.name,
            expires_at=expires_at,
            created_at=made_at,
        )
        ends = None if grace is None else grace_end(old, made_at, grace)
        replacements.append(Replacement(old, new, ends, key, is_whole))
    return replacements


class Superseded(NamedTuple):
    """A key that a newer one, created at ``made_at``, has replaced."""

    key: WholeKey
    made_at: datetime
    grace: timedelta | None
    is_whole: bool = True


def end_old(
    store: Store,
    endings: Endings,
    replacements: Sequence[Replacement],
    *,
    grace: timedelta | None,
) -> None:
    """End the old keys of replacements; see ``end_superseded``."""
    superseded = []
    for item in replacements:
        assert item.key is not None
        made_at = item.new.row.created_at
        superseded.append(Superseded(item.key, made_at, grace, item.is_whole))
    end_superseded(store, endings, superseded)


def end_superseded(
    store: Store,
    endings: Endings,
    superseded: Iterable[Superseded],
    *,
    may_be_gone: bool = False,
) -> None:
    """End keys, all or none: let them expire after their grace period, or delete them.

    Raises NotFoundError if a key is gone, unless ``may_be_gone`` is true.
    """
    expiring: list[ApiKey] = []
    deleted: list[WholeKey] = []
    with store.transaction():
        for item in superseded:
            if may_be_gone and store.find_api_key(item.key.meant.id) is None:
                continue
            key = endings.reload(item.key, as_whole=item.is_whole)
            if item.grace is None:
                deleted.append(key)
            else:
                end = partial(grace_end, made_at=item.made_at, grace=item.grace)
                expiring += endings.set_expiry(key, end)
        endings.delete_rows(deleted)
    endings.has_ended = True
    endings.check_written(expiring)
    endings.prove_revoked(deleted)


def leftovers(store: Store, key: ApiKey) -> list[ApiKey]:
    """Return working keys with this name and owner that an interrupted rotation may have left."""
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
