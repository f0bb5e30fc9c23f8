"""Wait until a write is visible: up to 1.11 servers answer a write before they commit it.

A request right after a write may see the old state for a moment. So nothing counts as failed, or as
still working, before this time is over.
"""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 5.0
"""How long it may take until a write is visible."""

_PAUSE = 0.1

_Seen = TypeVar("_Seen")


def poll(look: Callable[[], _Seen], is_right: Callable[[_Seen], bool]) -> _Seen:
    """Repeat ``look`` until its result is right, or the time is over; return the last result."""
    deadline = time.monotonic() + POLL_SECONDS
    while True:
        seen = look()
        if is_right(seen) or time.monotonic() >= deadline:
            return seen
        time.sleep(_PAUSE)
