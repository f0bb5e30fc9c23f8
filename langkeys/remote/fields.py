"""Read fields of a server's answers, and check their types."""

from datetime import datetime
from typing import Any

from langkeys.models import parsed_id
from langkeys.remote.client import Answer, LostAnswerError
from langkeys.times import parsed_iso

_MOST = (1 << 63) - 1


def strange_field(answer: Answer, error: "StrangeFieldError") -> LostAnswerError:
    """Return the error for a field that does not have the form that Langflow servers send."""
    return LostAnswerError(
        f"the answer of {answer.address} is not that of a Langflow server: {error}",
        hint="check --url or LANGFLOW_URL",
    )


class StrangeFieldError(Exception):
    """A field of an answer is missing or has the wrong type; names the field, not its content."""


def _field(document: Any, name: str, kind: type, what: str) -> Any:
    if not isinstance(document, dict):
        raise StrangeFieldError("it is not a JSON object")
    found = document.get(name)
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise StrangeFieldError(f"{name} is not {what}")
    return found


def text_in(document: Any, name: str) -> str:
    """Return a field that is a text."""
    found: str = _field(document, name, str, "a text")
    return found


def find_text_in(document: Any, name: str) -> str | None:
    """Return a field that is a text, or None if it is null or missing."""
    return (
        None
        if isinstance(document, dict) and document.get(name) is None
        else text_in(document, name)
    )


def flag_in(document: Any, name: str) -> bool:
    """Return a field that is true or false."""
    found: bool = _field(document, name, bool, "true or false")
    return found


def count_in(document: Any, name: str) -> int:
    """Return a field that is a whole number in the range of a database's counts."""
    found: int = _field(document, name, int, "a whole number")
    if not 0 <= found <= _MOST:
        raise StrangeFieldError(f"{name} is out of range")
    return found


def list_in(document: Any, name: str) -> list[Any]:
    """Return a field that is a list."""
    found: list[Any] = _field(document, name, list, "a list")
    return found


def id_in(document: Any, name: str) -> str:
    """Return a field that is a UUID, as 32 hex digits."""
    found = parsed_id(text_in(document, name))
    if found is None:
        raise StrangeFieldError(f"{name} is not a UUID")
    return found


def time_in(document: Any, name: str) -> datetime:
    """Return a field that is a time, as an aware datetime; naive means UTC."""
    try:
        return parsed_iso(text_in(document, name))
    except (ValueError, OverflowError):
        raise StrangeFieldError(f"{name} is not a time") from None


def find_time_in(document: Any, name: str) -> datetime | None:
    """Return a field that is a time, or None if it is null or missing."""
    return (
        None
        if isinstance(document, dict) and document.get(name) is None
        else time_in(document, name)
    )
