"""Which API key has superseded which: the database alone tells, whatever dies in between.

A run stores the new key, delivers it, and then ends the old one. Should it die before that, the
next one has to know the old key from others of the same name, which are not its business. So the
new key is created at a time whose fraction of a second is that of the old key's id.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from langkeys.api_keys.lifetimes import SECOND, Replacements
from langkeys.models import ApiKey


def creation_after(old: ApiKey, moment: datetime) -> datetime:
    """Return when a key is made that supersedes ``old``: less than two seconds from ``moment``."""
    made_at = moment.replace(microsecond=_fraction(old))
    if made_at > moment:
        made_at -= SECOND
    while made_at <= old.created_at:
        made_at += timedelta(seconds=1)
    return made_at


def superseded_by(new: ApiKey, candidates: Iterable[ApiKey]) -> list[ApiKey]:
    """Return those keys that ``new`` has superseded, and that still are as they were."""
    candidates = list(candidates)
    replaced = Replacements([*candidates, new])
    return [
        old
        for old in candidates
        if old.id != new.id
        and old.created_at < new.created_at
        and new.created_at.microsecond == _fraction(old)
        and replaced.find_newer(old) is None  # it lives on in its grace
    ]


def _fraction(old: ApiKey) -> int:
    # Never a whole second: keys are made at those by others.
    digest = hashlib.sha256(f"superseded {old.id}".encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % 999_999
