"""Convert between cells and Python values.

SQLite stores any value in any column, so each cell is checked. An invalid cell raises
``BadCellError``, which names the column but never the content, because that may be a secret.
"""

import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from langkeys.models import parsed_id
from langkeys.store.base import BadCellError
from langkeys.times import parsed_iso

HEX_ID = re.compile("[0-9a-f]{32}").fullmatch
"""Matches an id in the form that servers store."""

_STORED_LENGTH = len("2026-01-31 12:34:56.123456")
_USUAL = "????-??-?? ??:??:??.??????"


@lru_cache(maxsize=64)  # many rows are written with the same times
def stored_time(moment: datetime | None) -> str | None:
    """Format a time as SQLAlchemy does: naive UTC text with six fractional digits."""
    if moment is None:
        return None
    naive = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="microseconds")


def loaded_time(text: Any, column: str) -> datetime:
    """Parse a stored time; naive means UTC. Raises BadCellError."""
    try:
        if len(text) == _STORED_LENGTH and text[10] == " " and text[19] == ".":
            # A shortcut for the usual form, in half the time.
            return datetime.fromisoformat(text + "+00:00")
        return parsed_iso(text)
    except (ValueError, TypeError, OverflowError, AttributeError):
        raise BadCellError(column) from None


def loaded_time_or_none(text: Any, column: str) -> datetime | None:
    """Parse a stored time that may be NULL; see ``loaded_time``."""
    return None if text is None else loaded_time(text, column)


def loaded_id(value: Any, column: str) -> str:
    """Return an id if it has the form that servers store; else raise BadCellError."""
    if type(value) is not str or HEX_ID(value) is None:
        raise BadCellError(column)
    return value


def loaded_reference(value: Any, column: str) -> str:
    """Return the id of another row, dashed or not and in any case, as servers accept it."""
    if type(value) is str and HEX_ID(value) is not None:
        return value
    found = parsed_id(value) if isinstance(value, str) else None
    if found is None:
        raise BadCellError(column)
    return found


JOINED_OWNER = " LEFT JOIN \"user\" u ON u.id = lower(replace(k.user_id, '-', ''))"
"""SQL that joins the owner of an API key; see ``loaded_reference`` for the forms of the id."""


def loaded_text(value: Any, column: str) -> str:
    """Return a text; raise BadCellError for any other type."""
    if type(value) is not str:
        raise BadCellError(column)
    return value


def loaded_text_or_none(value: Any, column: str) -> str | None:
    """Return a text or NULL; raise BadCellError for any other type."""
    return None if value is None else loaded_text(value, column)


def sql_time(column: str) -> str:
    """Return SQL for a time in a form that can be compared as text; NULL if it is not a time.

    People and other tools may store a time with a ``T``, a ``Z``, an offset, or without a fraction.
    For the usual form, the pattern saves a call to Python in each row.
    """
    return (
        f"CASE WHEN {column} GLOB '{_USUAL}' THEN {column}"
        f" WHEN typeof({column}) = 'text' THEN langkeys_time(CAST({column} AS BLOB)) END"
    )


def comparable_time(data: bytes | None, encoding: str) -> str | None:
    """Return a stored time, given as bytes, in the usual form; None if it is not a time."""
    try:
        return stored_time(loaded_time((data or b"").decode(encoding), ""))
    except (BadCellError, UnicodeDecodeError):
        return None


def shown_cell(value: object) -> str:
    """Return a cell of any type with an id or a name for messages; bytes become hex digits."""
    return value.hex() if isinstance(value, bytes) else str(value)


def name_or_none(value: object) -> str | None:
    """Return a cell with a name for messages; None if it is not text."""
    return value if isinstance(value, str) else None


def shown_name(name: str | bytes) -> str:
    """Return the name of a table or column for messages; it may not be UTF-8."""
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name


def text_or_bytes(text: bytes) -> str | bytes:
    """Decode a text; return the bytes if it is not UTF-8."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text
