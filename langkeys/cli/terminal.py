"""Whether there is somebody to ask, and where: at stdin, or at the terminal itself.

Where stdin is taken for data, a question may use the terminal, ``/dev/tty``. Only where stderr is
that terminal and langkeys is in its foreground: a job in the background, or one whose terminal
nobody holds, would wait for ever.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

TTY = "/dev/tty"


class _Stdin:
    """How the running command uses stdin."""

    is_data = False


def take_stdin(*, is_data: bool) -> None:
    """Say whether the command reads data from stdin: its arguments tell, by ``-``."""
    _Stdin.is_data = is_data


def is_stderr_terminal() -> bool:
    """Tell whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def is_interactive() -> bool:
    """Tell whether stdin and stderr are terminals, and not those of others in their foreground."""
    return (
        sys.stdin is not None
        and sys.stdin.isatty()
        and is_stderr_terminal()
        and _foreground() is not False
    )


def can_ask() -> bool:
    """Tell whether there is somebody to ask."""
    return is_interactive() or (
        _Stdin.is_data
        and is_stderr_terminal()
        and _foreground() is True
        and os.access(TTY, os.R_OK | os.W_OK)
    )


def _foreground() -> bool | None:
    """Tell whether langkeys is in the foreground of stderr's terminal; None if it is not ours."""
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:
        return None


@contextmanager
def answers() -> Iterator[TextIO]:
    """Open what answers are read from."""
    if is_interactive():
        yield sys.stdin
        return
    with open(TTY, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123 - a device
        yield stream
