"""Undoing what was stored where its delivery fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from langkeys.errors import LangkeysError


@contextmanager
def undo_on_failure(undo: Callable[[], str]) -> Iterator[None]:
    """Call ``undo`` where the block fails, Ctrl-C included; the error gets its result as a hint.

    ``undo`` raises an error with a hint where it fails too. That hint is then the first error's;
    an error that takes no hint is replaced.
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
