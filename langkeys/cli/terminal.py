"""Find out whether somebody can be asked, and where: at stdin, or at the terminal itself.

If stdin is used for data, a question may use the terminal, ``/dev/tty``. This requires that stderr
is that terminal and that langkeys runs in its foreground. A background job, or a job on a terminal
without a user, would wait for ever.
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
    """Set whether the command reads data from stdin; an argument ``-`` means that it does."""
    _Stdin.is_data = is_data


def is_stderr_terminal() -> bool:
    """Tell whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def is_interactive() -> bool:
    """Tell whether stdin and stderr are terminals, and langkeys is not in their background."""
    return (
        sys.stdin is not None
        and sys.stdin.isatty()
        and is_stderr_terminal()
        and _foreground() is not False
    )


def can_ask() -> bool:
    """Tell whether somebody can be asked."""
    return is_interactive() or (
        _Stdin.is_data
        and is_stderr_terminal()
        and _foreground() is True
        and os.access(TTY, os.R_OK | os.W_OK)
    )


def _foreground() -> bool | None:
    """Tell whether langkeys is in the foreground of stderr's terminal; None if that is unknown."""
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:
        return None


@contextmanager
def answers() -> Iterator[TextIO]:
    """Open the file that answers are read from."""
    if is_interactive():
        yield sys.stdin
        return
    with open(TTY, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123 - a device
        yield stream
