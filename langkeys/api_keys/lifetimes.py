"""How long API keys live: the lifetime of a new one, the end of a grace, and what a grace tells."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from langkeys.errors import ConflictError
from langkeys.models import ApiKey, dashed
from langkeys.store.generations import Generation
from langkeys.store.protocol import KeyFilter, Store
from langkeys.times import LAST, later, now, person_iso

SECOND = timedelta(seconds=1)
_LONGER_THAN_THE_CALENDAR = timedelta(days=10_000 * 366)
MOST_OF_ONE_NAME = 1000
"""So many keys of one name are looked through for those that have been replaced."""


class Replaced:
    """Which API keys have been replaced and live on in their grace: the database alone tells.

    A rotation ends its grace a whole number of seconds after it made the new key, to the
    microsecond. So a key is replaced if a newer key of its name and owner was made a whole number
    of seconds, with the same fraction, before its expiry. ``keys`` are all keys to look among.
    """

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._newer: dict[tuple[str, str | None, int], list[ApiKey]] = {}
        for key in keys:
            place = key.user_id, key.name, key.created_at.microsecond
            self._newer.setdefault(place, []).append(key)

    def find_newer(self, key: ApiKey) -> ApiKey | None:
        """Return the key that has replaced this one, the newest of several, or None."""
        ends = key.expires_at
        if ends is None:
            return None
        alike = self._newer.get((key.user_id, key.name, ends.microsecond), ())
        newer = [other for other in alike if key.created_at < other.created_at <= ends]
        return max(newer, key=lambda other: other.created_at, default=None)

    def find_newest(self, key: ApiKey) -> ApiKey:
        """Return the key at the end of the chain of those that replaced one another."""
        while (newer := self.find_newer(key)) is not None:
            key = newer
        return key


def lasting(keys: Sequence[ApiKey]) -> list[ApiKey]:
    """Return those of all keys of one name and owner that no newer one has replaced."""
    replaced = Replaced(keys)
    return [key for key in keys if replaced.find_newer(key) is None]


def is_working(key: ApiKey, generation: Generation, moment: datetime) -> bool:
    """Tell whether a server of this generation takes the row for one that works."""
    return not generation.honours_key_state or key.status(moment) == "active"


def replaced_in(store: Store, candidates: Iterable[ApiKey], *, user_id: str | None) -> Replaced:
    """Look among all keys of a user, or everybody's, for what has replaced the candidates."""
    wanted = {
        (key.user_id, key.name, key.expires_at.microsecond)
        for key in candidates
        if key.expires_at is not None
    }
    if not wanted:
        return Replaced(())
    keys = store.api_keys(KeyFilter(now=now(), user_id=user_id))
    return Replaced(
        key for key in keys if (key.user_id, key.name, key.created_at.microsecond) in wanted
    )


def replaced_of(store: Store, key: ApiKey) -> Replaced:
    """Look among the keys of one key's name and owner for what has replaced it."""
    if key.expires_at is None:
        return Replaced(())
    wanted = KeyFilter(now=now(), user_id=key.user_id, name=key.name)
    return Replaced(other for other in store.api_keys(wanted) if other.name == key.name)


def new_expiry(old: ApiKey, made_at: datetime) -> datetime | None:
    """Return when a key that is made now, with the lifetime that ``old`` was made with, expires.

    Within the calendar, and never in the past. Raises ConflictError where ``old`` tells none.
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
    """Return when an old key expires whose replacement was made at ``made_at``.

    A whole number of seconds after that, and no later than ``row`` would have expired anyway.
    """
    # A span of a program may have a fraction, and be longer than the calendar.
    whole = timedelta(seconds=-(-min(grace, _LONGER_THAN_THE_CALENDAR) // SECOND))
    latest = LAST
    if row.expires_at is not None:
        if row.expires_at <= made_at:
            return row.expires_at
        latest = row.expires_at
    return made_at + min(whole, (latest - made_at) // SECOND * SECOND)
