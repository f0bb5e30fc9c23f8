"""Cells as the server sends them, and the values that they become.

Column types keep most of what would make no value out. What is left (a time of infinity, JSON of
another form) is a ``BadCellError``, which names the column and never the content.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

HEX_ID = re.compile("[0-9a-f]{32}").fullmatch
WITH_ZONE = "timestamp with time zone"


class BadCellError(Exception):
    """A cell holds what no server writes there."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


@lru_cache(maxsize=64)  # many rows are written with the same times
def stored_time(moment: datetime | None) -> str | None:
    """Write a time as UTC, in a form that a column with a zone and one without read alike.

    A column without a zone ignores the offset, whatever the session's time zone is.
    """
    if moment is None:
        return None
    return f"{naive_time(moment)}+00"


def naive_time(moment: datetime) -> str:
    """Write a time as UTC without an offset."""
    naive = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="microseconds")


def utc_time(column: str, column_type: str | None) -> str:
    """Return SQL for a column of times as UTC without a zone, whatever its type is."""
    return f"({column} AT TIME ZONE 'UTC')" if column_type == WITH_ZONE else column


def loaded_time(text: Any, column: str) -> datetime:
    """Read a time that ``utc_time`` has selected. Raises BadCellError."""
    try:
        if len(text) < 26:
            # The server leaves zeros at the end of a fraction out, and a fraction of zeros.
            whole, _, fraction = text.partition(".")
            text = f"{whole}.{fraction:0<6}"
        return datetime.fromisoformat(f"{text}+00:00")
    except (ValueError, TypeError):
        raise BadCellError(column) from None


def loaded_time_or_none(text: Any, column: str) -> datetime | None:
    """Read a time that may be missing; see ``loaded_time``."""
    return None if text is None else loaded_time(text, column)


def loaded_id(value: Any, column: str) -> str:
    """Return a uuid as 32 hex digits."""
    if value is None:
        raise BadCellError(column)
    return str(value).replace("-", "")


def loaded_json(text: Any, column: str) -> Any:
    """Read JSON; None where there is none."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        raise BadCellError(column) from None


def shown_id(value: Any) -> str:
    """Return an id for a message."""
    return "" if value is None else str(value).replace("-", "")


def ids_only(ids: Sequence[str]) -> list[str]:
    """Leave out what is no id, and so is none of a row: the server would refuse all of them."""
    return [row_id for row_id in ids if HEX_ID(row_id)]


def id_range(hex_digits: str) -> tuple[str, str]:
    """Return the first and the last id that start with these hex digits."""
    return f"{hex_digits:0<32}", f"{hex_digits:f<32}"
