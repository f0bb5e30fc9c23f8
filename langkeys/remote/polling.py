"""Wait until a write is visible, because up to 1.11 servers answer before they commit.

A request right after a write may see the old state for a moment. So langkeys waits for some time
before it reports that a write has failed, or that a revoked key still works.
"""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 5.0
"""The maximum time in seconds until a write is visible."""

_PAUSE = 0.1

_Seen = TypeVar("_Seen")


def poll(look: Callable[[], _Seen], is_right: Callable[[_Seen], bool]) -> _Seen:
    """Repeat ``look`` until its result is right or time is up; return the last result."""
    deadline = time.monotonic() + POLL_SECONDS
    while True:
        seen = look()
        if is_right(seen) or time.monotonic() >= deadline:
            return seen
        time.sleep(_PAUSE)
