"""A clock that a test sets, wherever langkeys looks at one."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

import pytest

from langkeys import times

_REAL = times.now


class Clock:
    """The time that langkeys takes it to be, running on from where it is set."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return _REAL() + self._offset

    def set(self, moment: datetime) -> None:
        self._offset = moment - _REAL()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every module of langkeys in this process."""
    found = Clock()
    import langkeys.cli.api_key.prune
    import langkeys.cli.api_key.rotate  # noqa: F401 - imported when it is called, otherwise

    for name, module in list(sys.modules.items()):
        if name.startswith("langkeys") and getattr(module, "now", None) is _REAL:
            monkeypatch.setattr(module, "now", found.now)
    return found
