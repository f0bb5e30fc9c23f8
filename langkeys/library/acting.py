"""The type of the function that opens a program's authenticated session."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from langkeys.sessions.session import Session

Sessions = Callable[..., AbstractContextManager[Session]]
"""Opens a session for a command, with an ``access``; raises if the user may not act."""
