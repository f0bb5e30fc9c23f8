"""How work that takes its time tells how far it is, without knowing who looks."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Advance = Callable[[int], None]
"""Called with the number of things done so far."""

Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""Called with what is done and how many there are; see ``langkeys.cli.output.Output.progress``."""


def unseen(_what: str, _total: int) -> AbstractContextManager[Advance]:
    """Tell nobody."""
    return nullcontext(lambda _: None)
