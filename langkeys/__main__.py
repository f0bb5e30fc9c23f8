"""Run the command line, as ``langkeys`` and ``python -m langkeys`` do.

Nothing is imported here that takes time, so that Ctrl-C during the imports is answered too.
"""

import os
import signal
import sys
from contextlib import suppress

_INTERRUPTED = 130


def main() -> int:
    """Run langkeys and return its exit code, whenever it is interrupted."""
    try:
        from langkeys.cli import main as run

        code = run()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _say_interrupted()
        return _INTERRUPTED
    # All is done: what remains is Python's own tidying up, and nothing to interrupt.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _say_interrupted() -> None:
    as_json = "--json" in sys.argv
    described = '{"error": {"code": "interrupted", "message": "interrupted", "hint": null}}'
    with suppress(OSError):  # nobody reads it
        os.write(2, f"{described if as_json else 'error: interrupted'}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
