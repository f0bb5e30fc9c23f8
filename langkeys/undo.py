"""Undo what was stored if its delivery fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from langkeys.errors import LangkeysError


@contextmanager
def undo_on_failure(undo: Callable[[], str]) -> Iterator[None]:
    """Call ``undo`` if the block fails, Ctrl-C included; its result becomes the error's hint.

    If ``undo`` fails too, it raises an error with a hint, which the first error gets instead. A
    first error that cannot have a hint is replaced by the second one.
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
