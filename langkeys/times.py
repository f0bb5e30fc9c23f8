"""Parse durations and points in time from users, and format times."""

import re
from datetime import datetime, timedelta, timezone

from langkeys.errors import UsageError
from langkeys.text import counted

NEVER = "never"
"""The word for no expiry."""

FIRST = datetime.min.replace(tzinfo=timezone.utc)
LAST = datetime.max.replace(tzinfo=timezone.utc)
"""The earliest and the latest time that ``datetime`` can represent."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([0-9]{1,9})([smhdw])")
# Each unit with its length in seconds, and the number at which the next unit takes over: "36
# hours", "89 days".
_LENGTHS = (
    ("second", 1, 60),
    ("minute", 60, 60),
    ("hour", 3600, 48),
    ("day", 86_400, 731),
    ("year", 31_557_600, None),
)
_FRACTION = re.compile(r"\.([0-9]{1,6})[0-9]*")


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(timezone.utc)


def later(moment: datetime, span: timedelta) -> datetime:
    """Add a span to a time; the result is at most LAST and at least FIRST."""
    try:
        return moment + span
    except OverflowError:
        return LAST if span > timedelta(0) else FIRST


def earlier(moment: datetime, span: timedelta) -> datetime:
    """Subtract a span from a time; see ``later``."""
    try:
        return moment - span
    except OverflowError:
        return FIRST if span > timedelta(0) else LAST


def parsed_span(text: str, option: str) -> timedelta:
    """Parse a span such as ``45s``, ``30m``, ``12h``, ``90d`` or ``2w``, more than zero.

    Raises UsageError, which names ``option``.
    """
    match = _SPAN.fullmatch(text.strip())
    hint = "write a span as a number and a unit: 45s, 30m, 12h, 90d or 2w"
    if match is None:
        raise UsageError(f"{option} {text!r} is not a span", hint=hint)
    try:
        span = timedelta(**{_UNITS[match[2]]: int(match[1])})
        now() - span  # refuse a span that reaches before the year 1
    except OverflowError:
        raise UsageError(f"{option} {text!r} is too long", hint=hint) from None
    if not span:
        raise UsageError(f"{option} must be longer than zero, not {text!r}", hint=hint)
    return span


def parsed_when(text: str, option: str, *, is_past: bool = False) -> datetime:
    """Parse a point in time: ISO 8601 (naive means UTC), or a span before or after now.

    With ``is_past`` a span ends now; otherwise it starts now. Raises UsageError, which names
    ``option``.
    """
    stripped = text.strip()
    if _SPAN.fullmatch(stripped):
        try:
            span = parsed_span(stripped, option)
            return now() - span if is_past else now() + span
        except OverflowError:
            raise UsageError(f"{option} {text!r} is too far in the future") from None
    try:
        return parsed_iso(stripped)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} {text!r} is not a time", hint=_time_hint(stripped, is_past=is_past)
        ) from None


def _time_hint(text: str, *, is_past: bool) -> str:
    if re.fullmatch("[0-9]{1,3}", text):
        return f"a number needs a unit: {text}d for days, {text}h for hours"
    return (
        "write a time as ISO 8601 (2027-01-31 or 2027-01-31T18:00:00Z; without an offset it is UTC)"
        f" or as a span {'until' if is_past else 'from'} now (12h, 90d, 2w)"
    )


def parsed_future(text: str, option: str) -> datetime:
    """Parse a point in time in the future; see ``parsed_when``."""
    when = parsed_when(text, option)
    if when <= now():
        raise UsageError(f"{option} {text!r} has already passed ({person_iso(when)})")
    return when


def parsed_expiry(text: str, option: str) -> datetime | None:
    """Parse an expiry: a time as in ``parsed_future``, or None for ``never``."""
    return None if text.strip().lower() == NEVER else parsed_future(text, option)


def parsed_iso(text: str) -> datetime:
    """Parse ISO 8601 to aware UTC; naive means UTC. Raises ValueError or OverflowError."""
    # Python 3.10 parses neither a Z nor a fraction whose length is not 3 or 6 digits.
    text = _FRACTION.sub(lambda match: "." + match[1].ljust(6, "0"), text, count=1)
    if text[-1:] in ("Z", "z"):
        text = text[:-1] + "+00:00"
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)


def iso(moment: datetime) -> str:
    """Return a time as ISO 8601 UTC with ``Z``, as Langflow 1.13's ``whoami`` does."""
    if moment.tzinfo is not timezone.utc:
        moment = moment.astimezone(timezone.utc)
    return moment.isoformat().removesuffix("+00:00") + "Z"


def iso_or_none(moment: datetime | None) -> str | None:
    """Return a time as ``iso`` does, or None for None."""
    return None if moment is None else iso(moment)


def person_iso(moment: datetime) -> str:
    """Return a time for people: as ``iso``, without fractions of a second."""
    return iso(moment.replace(microsecond=0))


def relative(moment: datetime, reference: datetime) -> str:
    """Return a time relative to ``reference`` in words: ``3 days ago``, ``in 2 hours``.

    Rounded: 59 minutes and 59 seconds are ``in 1 hour``.
    """
    count, unit, is_future = _distance(moment, reference)
    if count == 0:
        return "now"
    words = counted(count, unit)
    return f"in {words}" if is_future else f"{words} ago"


def ago(moment: datetime) -> str:
    """Return how long ago a time was, in words: ``just now``, ``3 days ago``."""
    said = relative(moment, now())
    return "just now" if said == "now" else said


def short_relative(moment: datetime, reference: datetime) -> str:
    """Return a relative time in a short form for tables: ``3d ago``, ``in 2h``."""
    count, unit, is_future = _distance(moment, reference)
    if count == 0:
        return "now"
    return f"in {count}{unit[0]}" if is_future else f"{count}{unit[0]} ago"


def _distance(moment: datetime, reference: datetime) -> tuple[int, str, bool]:
    seconds = (moment - reference).total_seconds()
    distance = abs(seconds)
    unit, length = next(
        (unit, length)
        for unit, length, limit in _LENGTHS
        if not limit or distance / length + 0.5 < limit
    )
    return int(distance / length + 0.5), unit, seconds > 0
