"""Run the command line, as ``langkeys`` and ``python -m langkeys`` do.

Nothing is imported here that takes time, so that Ctrl-C during the imports is answered too.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

_INTERRUPTED = 130


def main() -> int:
    """Run langkeys and return its exit code, whenever it is interrupted."""
    try:
        sys.unraisablehook = _raise_again
        # An exception within Python's import machinery would be printed by it, and lost.
        asks = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if asks:
            signal.signal(signal.SIGINT, _end_at_once)
        from langkeys.cli import main as run

        if asks:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _say_interrupted()
        return _INTERRUPTED
    # All is done: what remains is Python's own tidying up, and nothing to interrupt.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _end_at_once(_: int, __: FrameType | None) -> NoReturn:
    _say_interrupted()
    os._exit(_INTERRUPTED)  # nothing has been begun


def _raise_again(unraisable: Any) -> None:
    """Deliver Ctrl-C a moment later, where it came while nothing could be raised."""
    if unraisable.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        sys.__unraisablehook__(unraisable)


def _say_interrupted() -> None:
    as_json = "--json" in sys.argv
    described = '{"error": {"code": "interrupted", "message": "interrupted", "hint": null}}'
    with suppress(OSError):  # nobody reads it
        os.write(2, f"{described if as_json else 'error: interrupted'}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
