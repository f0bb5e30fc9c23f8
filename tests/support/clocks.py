"""A clock that a test can set, for all of langkeys."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

import pytest

from langkeys import times

_REAL = times.now


class Clock:
    """The current time for langkeys; it keeps running from the time to which it is set."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return _REAL() + self._offset

    def set(self, moment: datetime) -> None:
        self._offset = moment - _REAL()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of all modules of langkeys in this process."""
    found = Clock()
    import langkeys.cli.api_key.prune
    import langkeys.cli.api_key.rotate  # noqa: F401 - otherwise first imported by its command

    for name, module in list(sys.modules.items()):
        if name.startswith("langkeys") and getattr(module, "now", None) is _REAL:
            monkeypatch.setattr(module, "now", found.now)
    return found
