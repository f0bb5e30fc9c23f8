"""Lifetimes of API keys: expiry of replacements, ends of grace periods, replaced keys."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from langkeys.errors import ConflictError
from langkeys.models import ApiKey, dashed
from langkeys.store.generations import Generation
from langkeys.store.protocol import KeyFilter, Store
from langkeys.times import LAST, later, now, person_iso

SECOND = timedelta(seconds=1)
_LONGER_THAN_THE_CALENDAR = timedelta(days=10_000 * 366)
MAX_SAME_NAME = 1000
"""The maximum number of keys with one name that are searched for replaced keys."""


class Replacements:
    """Finds out from the rows alone which API keys were replaced and are in their grace period.

    A rotation sets the old key's expiry to a whole number of seconds after the new key's creation,
    so both times have the same microseconds. So a key counts as replaced if a newer key with the
    same name and owner was created a whole number of seconds before the first key's expiry.
    ``keys`` are all keys to search.
    """

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._newer: dict[tuple[str, str | None, int], list[ApiKey]] = {}
        for key in keys:
            made_like = key.user_id, key.name, key.created_at.microsecond
            self._newer.setdefault(made_like, []).append(key)

    def find_newer(self, key: ApiKey) -> ApiKey | None:
        """Return the newest key that has replaced this one, or None."""
        ends = key.expires_at
        if ends is None:
            return None
        alike = self._newer.get((key.user_id, key.name, ends.microsecond), ())
        newer = [other for other in alike if key.created_at < other.created_at <= ends]
        return max(newer, key=lambda other: other.created_at, default=None)

    def find_newest(self, key: ApiKey) -> ApiKey:
        """Return the last key in the chain of replacements that begins with this key."""
        while (newer := self.find_newer(key)) is not None:
            key = newer
        return key


def lasting(keys: Sequence[ApiKey]) -> list[ApiKey]:
    """Return the keys that no newer key has replaced; ``keys`` are all keys of a name and owner."""
    replaced = Replacements(keys)
    return [key for key in keys if replaced.find_newer(key) is None]


def is_working(key: ApiKey, generation: Generation, moment: datetime) -> bool:
    """Tell whether the state and expiry of a row let a server of this generation accept it."""
    return not generation.honours_key_state or key.status(moment) == "active"


def replacements_among(
    store: Store, candidates: Iterable[ApiKey], *, user_id: str | None
) -> Replacements:
    """Search all keys of a user, or of all users, for replacements of the candidates."""
    wanted = {
        (key.user_id, key.name, key.expires_at.microsecond)
        for key in candidates
        if key.expires_at is not None
    }
    if not wanted:
        return Replacements(())
    keys = store.api_keys(KeyFilter(now=now(), user_id=user_id))
    return Replacements(
        key for key in keys if (key.user_id, key.name, key.created_at.microsecond) in wanted
    )


def replacements_of(store: Store, key: ApiKey) -> Replacements:
    """Search the keys with the same name and owner for replacements of a key."""
    if key.expires_at is None:
        return Replacements(())
    wanted = KeyFilter(now=now(), user_id=key.user_id, name=key.name)
    return Replacements(other for other in store.api_keys(wanted) if other.name == key.name)


def new_expiry(old: ApiKey, made_at: datetime) -> datetime | None:
    """Return the expiry that gives a new key the same lifetime as ``old`` had when it was created.

    The expiry is a valid ``datetime`` and never in the past. Raises ConflictError if ``old`` has no
    valid lifetime.
    """
    if old.expires_at is None:
        return None
    lifetime = old.expires_at - old.created_at
    if lifetime > timedelta(0):
        return later(made_at, lifetime)
    if old.expires_at > made_at:
        return old.expires_at
    raise ConflictError(
        f"API key {dashed(old.id)} ({old.name}) expired at {person_iso(old.expires_at)},"
        f" before it was created ({person_iso(old.created_at)}): the lifetime of a new key"
        " cannot be derived from it; nothing was done",
        hint="use --expires WHEN, or --expires never",
    )


def grace_end(row: ApiKey, made_at: datetime, grace: timedelta) -> datetime:
    """Return the new expiry of an old key whose replacement was created at ``made_at``.

    It is a whole number of seconds after ``made_at``, and no later than the current expiry of
    ``row``.
    """
    # A program may pass a span with a fraction, or one that is too long for ``datetime``.
    whole = timedelta(seconds=-(-min(grace, _LONGER_THAN_THE_CALENDAR) // SECOND))
    latest = LAST
    if row.expires_at is not None:
        if row.expires_at <= made_at:
            return row.expires_at
        latest = row.expires_at
    return made_at + min(whole, (latest - made_at) // SECOND * SECOND)
