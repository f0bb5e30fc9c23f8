"""Parse the JSON of a server's answers."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

MAX_LEVELS = 50
"""The maximum nesting of objects and lists in an answer."""


def problem_in(item: Mapping[str, Any]) -> str:
    """Return the field and the problem from an item of a 422, without the values that were sent."""
    location = item.get("loc")
    parts: Iterable[Any] = location if isinstance(location, list) else ()
    where = ".".join(str(part) for part in parts if isinstance(part, str | int))
    message = item.get("msg")
    return f"{where}: {message}" if isinstance(message, str) else where


def parsed_document(data: bytes) -> Any:
    """Return an answer's JSON, or None if it is invalid or too deeply nested."""
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
    """Tell whether a document is nested at most ``MAX_LEVELS`` deep, as ``json.dumps`` needs it."""
    level = [document]
    for _ in range(MAX_LEVELS):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return True
    return False
