"""Find out which API key has superseded which, from the database alone.

A run stores the new key, delivers it, and then ends the old key. If it dies before that, the next
run must recognize the old key. Other keys with the same name must not be ended. So the fraction of
a second in the new key's creation time is derived from the old key's id.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from langkeys.api_keys.lifetimes import SECOND, Replacements
from langkeys.models import ApiKey


def creation_after(old: ApiKey, moment: datetime) -> datetime:
    """Return a creation time for a key that supersedes ``old``: within a second of ``moment``.

    It is later if ``old`` was created after ``moment``.
    """
    made_at = moment.replace(microsecond=_fraction(old))
    if made_at > moment:
        made_at -= SECOND
    while made_at <= old.created_at:
        made_at += timedelta(seconds=1)
    return made_at


def superseded_by(new: ApiKey, candidates: Iterable[ApiKey]) -> list[ApiKey]:
    """Return the keys that ``new`` has superseded and that have not been ended yet."""
    candidates = list(candidates)
    replaced = Replacements([*candidates, new])
    return [
        old
        for old in candidates
        if old.id != new.id
        and old.created_at < new.created_at
        and new.created_at.microsecond == _fraction(old)
        and replaced.find_newer(old) is None  # not already in its grace period
    ]


def _fraction(old: ApiKey) -> int:
    # Never zero, because other programs create keys at whole seconds.
    digest = hashlib.sha256(f"superseded {old.id}".encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % 999_999
