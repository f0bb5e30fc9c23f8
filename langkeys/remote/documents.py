"""The JSON of answers, before it is known whose they are."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

MOST_LEVELS = 50
"""Objects and lists within each other in an answer."""


def problem_in(item: Mapping[str, Any]) -> str:
    """Return where and what one problem of a 422 is, and nothing of what was sent."""
    location = item.get("loc")
    parts: Iterable[Any] = location if isinstance(location, list) else ()
    where = ".".join(str(part) for part in parts if isinstance(part, str | int))
    message = item.get("msg")
    return f"{where}: {message}" if isinstance(message, str) else where


def parsed_document(data: bytes) -> Any:
    """Return an answer's JSON, or None where it is none or not to be believed."""
    try:
        document = json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return document if _is_shallow(document) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _is_shallow(document: Any) -> bool:
    """Tell whether a document is no deeper than any server's: others cannot be written again."""
    level = [document]
    for _ in range(MOST_LEVELS):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return True
    return False
