"""Authentication of a program that administers a store."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from langkeys.sessions.session import Session

Sessions = Callable[..., AbstractContextManager[Session]]
"""Opens a session for a command by its name, with its ``access``; raises if nobody may act."""
