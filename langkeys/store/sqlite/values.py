"""Cells as they are stored, and the values that they become: each is checked, none is believed.

SQLite keeps whatever is put into a column. What makes no value is a ``BadCellError``, which names
the column and never the content: that may be a secret.
"""

import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from langkeys.models import parsed_id
from langkeys.times import parsed_iso

HEX_ID = re.compile("[0-9a-f]{32}").fullmatch
"""Matches an id as servers store it."""

_STORED_LENGTH = len("2026-01-31 12:34:56.123456")
_USUAL = "????-??-?? ??:??:??.??????"


class BadCellError(Exception):
    """A cell holds what no server writes there."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


@lru_cache(maxsize=64)  # many rows are written with the same times
def stored_time(moment: datetime | None) -> str | None:
    """Write a time as SQLAlchemy does: naive UTC text with six digits of fraction."""
    if moment is None:
        return None
    naive = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="microseconds")


def loaded_time(text: Any, column: str) -> datetime:
    """Read a stored time; naive means UTC. Raises BadCellError."""
    try:
        if len(text) == _STORED_LENGTH and text[10] == " " and text[19] == ".":
            # The usual form, in half the time.
            return datetime.fromisoformat(text + "+00:00")
        return parsed_iso(text)
    except (ValueError, TypeError, OverflowError, AttributeError):
        raise BadCellError(column) from None


def loaded_time_or_none(text: Any, column: str) -> datetime | None:
    """Read a stored time that may be missing; see ``loaded_time``."""
    return None if text is None else loaded_time(text, column)


def loaded_id(value: Any, column: str) -> str:
    """Hold that a cell is an id as servers store it."""
    if type(value) is not str or HEX_ID(value) is None:
        raise BadCellError(column)
    return value


def loaded_reference(value: Any, column: str) -> str:
    """Read the id of another row, in any spelling: servers read it so when they look for it."""
    if type(value) is str and HEX_ID(value) is not None:
        return value
    found = parsed_id(value) if isinstance(value, str) else None
    if found is None:
        raise BadCellError(column)
    return found


JOINED_OWNER = " LEFT JOIN \"user\" u ON u.id = lower(replace(k.user_id, '-', ''))"
"""SQL for the owner of an API key, by an id in any spelling; see ``loaded_reference``."""


def loaded_text(value: Any, column: str) -> str:
    """Hold that a cell is text."""
    if type(value) is not str:
        raise BadCellError(column)
    return value


def loaded_text_or_none(value: Any, column: str) -> str | None:
    """Hold that a cell is text or empty."""
    return None if value is None else loaded_text(value, column)


def sql_time(column: str) -> str:
    """Return SQL for a time in the form that compares as text, NULL where it is none.

    By hand and by other tools a time may be stored with a ``T``, a ``Z``, an offset or without a
    fraction. A million rows of the usual form are told by their form alone.
    """
    return (
        f"CASE WHEN {column} GLOB '{_USUAL}' THEN {column}"
        f" WHEN typeof({column}) = 'text' THEN langkeys_time(CAST({column} AS BLOB)) END"
    )


def comparable_time(data: bytes | None, encoding: str) -> str | None:
    """Return the bytes of a stored time in the usual form; None where it is none."""
    try:
        return stored_time(loaded_time((data or b"").decode(encoding), ""))
    except (BadCellError, UnicodeDecodeError):
        return None


def shown_cell(value: object) -> str:
    """Return an id or a name for a message, whatever stands there: bytes as hex digits."""
    return value.hex() if isinstance(value, bytes) else str(value)


def name_or_none(value: object) -> str | None:
    """Return a name for a message, None where it is no text."""
    return value if isinstance(value, str) else None


def shown_name(name: str | bytes) -> str:
    """Return the name of a table or column, which may be no UTF-8."""
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name


def text_or_bytes(text: bytes) -> str | bytes:
    """Read a text, or leave it as it is where it is no UTF-8."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text
