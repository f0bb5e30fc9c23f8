"""The forms of a REF to an API key, in addition to the key's id and name.

They are the same for a database and over REST.
"""

import re
from collections.abc import Sequence

from langkeys.errors import MAX_CANDIDATES, UsageError
from langkeys.models import ApiKey, dashed

MIN_ID_DIGITS = 4
"""The minimum number of digits that identify a key by the start of its id."""
MIN_ID_DIGITS_TO_DESTROY = 8
"""The same number for commands that destroy the key."""

_START_LENGTHS = range(5, 21)
"""The permitted numbers of characters after ``sk-`` in the visible start of a key."""

# Tables mark a cut key with one of these.
_START = re.compile(r"(sk-([A-Za-z0-9_-]*))(?:…|\.\.\.|\*+)?")
_ID_START = re.compile(r"[0-9a-f][0-9a-f-]{0,35}")


def find_visible_start(ref: str) -> str | None:
    """Return the start of a key that a REF gives: ``sk-`` and 5 to 20 more characters.

    A mark that shows that the key was cut may follow: ``…``, ``...`` or asterisks.
    """
    found = _START.fullmatch(ref)
    return found[1] if found is not None and len(found[2]) in _START_LENGTHS else None


def refuse_other_starts(ref: str) -> None:
    """Raise UsageError if a REF looks like the start of a key, but is too short or too long.

    The error does not show the REF, because it may be most of a key.
    """
    found = _START.fullmatch(ref)
    if found is not None and len(found[2]) not in _START_LENGTHS:
        raise UsageError(
            "no API key has this name, and as the start of a key it needs"
            f" {_START_LENGTHS[0]} to {_START_LENGTHS[-1]} characters after sk-,"
            f" but has {len(found[2])}",
            hint="give the start as api-key list shows it; to give a whole key, use - and"
            " pass it on stdin: langkeys api-key show - < FILE",
        )


def find_id_digits(ref: str) -> str | None:
    """Return the digits of an id at the start of a REF; there may be too few of them."""
    lowered = ref.lower()
    return lowered.replace("-", "") if _ID_START.fullmatch(lowered) else None


def shadow_warning(ref: str, named: ApiKey, others: Sequence[ApiKey]) -> str:
    """Return the warning that a REF names one key, but is also the start of other keys or ids."""
    listed = ", ".join(
        f"{dashed(key.id)} ({key.name or 'no name'})" for key in others[:MAX_CANDIDATES]
    )
    more = " and others" if len(others) > MAX_CANDIDATES else ""
    of_id = "" if ref.startswith("sk-") else "the id of "
    keys = "API key" if len(others) == 1 else "API keys"
    return (
        f"{ref!r} is the name of API key {dashed(named.id)}, which is meant;"
        f" it is also the start of {of_id}{keys} {listed}{more}"
    )
