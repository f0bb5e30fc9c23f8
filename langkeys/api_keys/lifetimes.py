"""Lifetimes of API keys: the expiry of a replacement, the end of a grace period, replaced keys."""

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
"""How many keys of one name are searched for replaced ones."""


class Replacements:
    """Which API keys have been replaced and are in their grace period, judged by the rows alone.

    A rotation sets the old key's expiry to a whole number of seconds after the creation of the new
    key, to the microsecond. So a key counts as replaced if a newer key of the same name and owner
    was created a whole number of seconds before its expiry, with the same fraction of a second.
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
        """Return the last key in the chain of replacements that starts with this key."""
        while (newer := self.find_newer(key)) is not None:
            key = newer
        return key


def lasting(keys: Sequence[ApiKey]) -> list[ApiKey]:
    """Return the keys, of all keys of one name and owner, that no newer one has replaced."""
    replaced = Replacements(keys)
    return [key for key in keys if replaced.find_newer(key) is None]


def is_working(key: ApiKey, generation: Generation, moment: datetime) -> bool:
    """Tell whether a server of this generation accepts a row by its state and expiry."""
    return not generation.honours_key_state or key.status(moment) == "active"


def replacements_among(
    store: Store, candidates: Iterable[ApiKey], *, user_id: str | None
) -> Replacements:
    """Look among all keys of a user, or everybody's, for what has replaced the candidates."""
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
    """Search the keys with the name and owner of one key for its replacements."""
    if key.expires_at is None:
        return Replacements(())
    wanted = KeyFilter(now=now(), user_id=key.user_id, name=key.name)
    return Replacements(other for other in store.api_keys(wanted) if other.name == key.name)


def new_expiry(old: ApiKey, made_at: datetime) -> datetime | None:
    """Return the expiry that gives a key made now the lifetime that ``old`` was created with.

    It is within the calendar, and never in the past. Raises ConflictError if ``old`` has no valid
    lifetime.
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
    """Return the expiry of an old key whose replacement was created at ``made_at``.

    It is a whole number of seconds after that, and no later than the expiry that ``row`` has
    already.
    """
    # A span that a program gives may have a fraction, and may be longer than the calendar.
    whole = timedelta(seconds=-(-min(grace, _LONGER_THAN_THE_CALENDAR) // SECOND))
    latest = LAST
    if row.expires_at is not None:
        if row.expires_at <= made_at:
            return row.expires_at
        latest = row.expires_at
    return made_at + min(whole, (latest - made_at) // SECOND * SECOND)
