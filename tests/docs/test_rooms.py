"""The architecture page is the architecture: its map, and the files that it names."""

from __future__ import annotations

from .rooms import PATH, with_map


def test_the_map_is_that_of_the_rooms() -> None:
    text = PATH.read_text(encoding="utf-8")
    assert text == with_map(text), "the map is old; make it anew: python -m tests.docs --update"


def test_a_room_that_is_missing_or_says_something_else_is_noticed() -> None:
    text = with_map(PATH.read_text(encoding="utf-8"))
    rows = [line for line in text.splitlines() if line.startswith("| `store` |")]
    assert len(rows) == 1
    assert with_map(text.replace(f"{rows[0]}\n", "")) == text
    assert with_map(text.replace("| `store` |", "| `store` | x")) == text
