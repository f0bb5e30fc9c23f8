"""Progress reports of long work, independent of how they are shown."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Advance = Callable[[int], None]
"""Called with the number of things done so far."""

Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""Called with a description and a total; see ``langkeys.cli.output.Output.progress``."""


def unseen(_what: str, _total: int) -> AbstractContextManager[Advance]:
    """Show no progress."""
    return nullcontext(lambda _: None)
