"""A deadline over all of a piece of work, which no socket's own timeout is."""

import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def within(seconds: float, work: Callable[[threading.Event], _Result]) -> _Result:
    """Return what work in a thread returns, or raise TimeoutError when the time is over.

    A socket's own timeout is for each read: a server that sends a byte now and then would hold it
    for ever, and no timeout of a socket covers the look-up of its host. ``work`` gets an event that
    is set then, so that it can end, too.
    """
    over = threading.Event()
    results: list[_Result] = []
    errors: list[BaseException] = []

    def carry_out() -> None:
        try:
            results.append(work(over))
        except BaseException as error:  # noqa: BLE001 - raised below, where somebody waits for it
            errors.append(error)

    thread = threading.Thread(target=carry_out, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:
        over.set()
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
