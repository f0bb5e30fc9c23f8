"""Convert between cells and Python values.

The column types exclude most invalid cells. The others (an infinite time, JSON of an unexpected
form) raise ``BadCellError``, which names the column and never the content.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from langkeys.store.base import BadCellError

HEX_ID = re.compile("[0-9a-f]{32}").fullmatch
WITH_ZONE = "timestamp with time zone"


@lru_cache(maxsize=64)  # many rows are written with the same times
def stored_time(moment: datetime | None) -> str | None:
    """Format a time as UTC, so that columns with and without a zone store the same time.

    A column without a zone ignores the offset, whatever the session's time zone is.
    """
    if moment is None:
        return None
    return f"{naive_time(moment)}+00"


def naive_time(moment: datetime) -> str:
    """Format a time as UTC without an offset."""
    naive = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="microseconds")


def utc_time(column: str, column_type: str | None) -> str:
    """Return SQL for a time column as UTC without a zone; the column may have a zone or not."""
    return f"({column} AT TIME ZONE 'UTC')" if column_type == WITH_ZONE else column


def loaded_time(text: Any, column: str) -> datetime:
    """Parse a time selected with ``utc_time``. Raises BadCellError."""
    try:
        if len(text) < 26:
            # The server omits trailing zeros of the fraction.
            whole, _, fraction = text.partition(".")
            text = f"{whole}.{fraction:0<6}"
        return datetime.fromisoformat(f"{text}+00:00")
    except (ValueError, TypeError):
        raise BadCellError(column) from None


def loaded_time_or_none(text: Any, column: str) -> datetime | None:
    """Parse a time that may be NULL; see ``loaded_time``."""
    return None if text is None else loaded_time(text, column)


def loaded_id(value: Any, column: str) -> str:
    """Return a UUID as 32 hex digits; raise BadCellError for NULL."""
    if value is None:
        raise BadCellError(column)
    return str(value).replace("-", "")


def loaded_json(text: Any, column: str) -> Any:
    """Parse JSON; NULL is None. Raises BadCellError."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        raise BadCellError(column) from None


def shown_id(value: Any) -> str:
    """Return an id, which may be NULL, as 32 hex digits for messages."""
    return "" if value is None else str(value).replace("-", "")


def ids_only(ids: Sequence[str]) -> list[str]:
    """Remove texts that are not ids: a single one would make the server reject the statement."""
    return [row_id for row_id in ids if HEX_ID(row_id)]


def id_range(hex_digits: str) -> tuple[str, str]:
    """Return the lowest and the highest id that start with these hex digits."""
    return f"{hex_digits:0<32}", f"{hex_digits:f<32}"
