"""The map of the architecture page matches the code, and the files that the page names exist."""

from __future__ import annotations

import re

from .rooms import PATH, with_map

TEXT = PATH.read_text(encoding="utf-8")


def rows(text: str) -> list[tuple[str, str]]:
    """Return each room of a map with its imports; descriptions are not compared."""
    return re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", text, re.MULTILINE)


def test_the_map_is_that_of_the_rooms() -> None:
    assert rows(TEXT) == rows(with_map(TEXT)), "update it: python -m tests.docs --update"


def test_a_room_that_is_missing_or_imports_something_else_is_noticed() -> None:
    text = with_map(TEXT)
    (row,) = [line for line in text.splitlines() if line.startswith("| `store` |")]
    assert rows(text.replace(f"{row}\n", "")) != rows(text)
    assert rows(text.replace("| `files` |\n| `api_keys`", "| - |\n| `api_keys`")) != rows(text)
    assert with_map(text.replace(f"{row}\n", "")) == text
