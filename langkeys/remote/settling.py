"""Waiting for what was written to be seen: up to 1.11 servers answer a write before they commit it.

What is looked at right after a deed may be the old state for a moment. So nothing is called failed,
or still working, before this time is over.
"""

import time
from collections.abc import Callable
from typing import TypeVar

SECONDS = 5.0
"""How long what was written may take to be seen."""

_PAUSE = 0.1

_Seen = TypeVar("_Seen")


def settled(look: Callable[[], _Seen], is_right: Callable[[_Seen], bool]) -> _Seen:
    """Look again and again until what is seen is right, or the time is over; return the last."""
    deadline = time.monotonic() + SECONDS
    while True:
        seen = look()
        if is_right(seen) or time.monotonic() >= deadline:
            return seen
        time.sleep(_PAUSE)
