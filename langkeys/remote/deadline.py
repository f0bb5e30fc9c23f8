"""A time limit for a whole piece of work. A socket's own timeout does not give one."""

import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def within(seconds: float, work: Callable[[threading.Event], _Result]) -> _Result:
    """Return the result of work in a thread, or raise TimeoutError when the time is over.

    A socket's timeout is for each read: a server that sends a byte now and then would hold it for
    ever. It does not cover the look-up of the host either. ``work`` gets an event that is set at
    the end of the time, so that it can stop.
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
