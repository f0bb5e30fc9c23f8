"""A time limit for a whole operation; a socket's own timeout does not provide one."""

import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def within(seconds: float, work: Callable[[threading.Event], _Result]) -> _Result:
    """Return the result of ``work``, run in a thread, or raise TimeoutError after ``seconds``.

    A socket's timeout applies to each read, so a server that sends a byte now and then could block
    for ever. Nor does the timeout cover resolving the host. ``work`` gets an event that is set when
    the time is over, so that it can stop.
    """
    over = threading.Event()
    results: list[_Result] = []
    errors: list[BaseException] = []

    def carry_out() -> None:
        try:
            results.append(work(over))
        except BaseException as error:  # noqa: BLE001 - raised again below
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
