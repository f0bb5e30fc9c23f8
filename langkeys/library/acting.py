"""As whom a program administers a store."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from langkeys.models import User
from langkeys.session import Session
from langkeys.users import get_user

Sessions = Callable[..., AbstractContextManager[Session]]
"""Opens a session for a command by its name, with ``writes``; raises where nobody may act."""


def owner_of(session: Session, user: str | None) -> User:
    """Return the user that is named, or else the acting one; NotFoundError."""
    return session.acting.user if user is None else get_user(session.store, user)
