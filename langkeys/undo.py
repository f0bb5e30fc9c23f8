"""Undo a change to the store if delivering its result fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from langkeys.errors import LangkeysError

TRY_AGAIN = "when the cause is fixed, try again"
"""The next step after something has been undone, for a hint."""


@contextmanager
def undo_on_failure(undo: Callable[[], str]) -> Iterator[None]:
    """Call ``undo`` if the block fails or is interrupted; the returned hint goes into the error.

    If ``undo`` itself raises an error, the first error gets the hint of that second error. If the
    first error is not a LangkeysError, and so has no hint, the second error is raised instead.
    """
    try:
        yield
    except BaseException as error:
        try:
            hint: str | None = undo()
        except LangkeysError as second:
            if not isinstance(error, LangkeysError):
                raise second from error
            hint = second.hint
        if isinstance(error, LangkeysError):
            error.hint = hint
        raise
