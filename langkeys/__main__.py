"""Run the command line, as ``langkeys`` and ``python -m langkeys`` do.

Nothing slow is imported here, so that Ctrl-C during the imports is handled too.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

_INTERRUPTED = 130


def main() -> int:
    """Run langkeys and return its exit code, even if Ctrl-C interrupts the imports."""
    try:
        sys.unraisablehook = _raise_again
        # Python's import machinery would print an exception raised inside it, and then continue.
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
    # Only Python's own shutdown remains, and an interrupt would disturb it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _end_at_once(_: int, __: FrameType | None) -> NoReturn:
    _say_interrupted()
    os._exit(_INTERRUPTED)  # no work has started


def _raise_again(unraisable: Any) -> None:
    """Raise KeyboardInterrupt shortly after a Ctrl-C that arrived where Python cannot raise it."""
    if unraisable.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        sys.__unraisablehook__(unraisable)


def _say_interrupted() -> None:
    as_json = "--json" in sys.argv
    described = '{"error": {"code": "interrupted", "message": "interrupted", "hint": null}}'
    with suppress(OSError):  # stderr may be closed
        start = "\n" if os.isatty(2) else ""  # new line after the terminal's ^C
        os.write(2, f"{start}{described if as_json else 'error: interrupted'}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
