"""Points where a test can kill langkeys, or make an operation fail like a broken disk.

Not for users. LANGKEYS_FAILPOINT names a point; it is read only from the process environment. At
that point the process kills itself, or, with ``=error`` after the name, gets an I/O error.
"""

import errno
import os
import signal


def reach(name: str) -> None:
    """Die or fail here if a test asks for it."""
    wanted, _, how = os.environ.get("LANGKEYS_FAILPOINT", "").partition("=")
    if wanted != name:
        return
    if how == "error":
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    os.kill(os.getpid(), signal.SIGKILL)
