"""As whom a program administers a store."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from langkeys.sessions.session import Session

Sessions = Callable[..., AbstractContextManager[Session]]
"""Opens a session for a command by its name, with its ``access``; raises where nobody may act."""
