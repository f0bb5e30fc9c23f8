"""Places where a test may have langkeys killed, or fail as a broken disk makes it fail.

Nothing of this is for users. LANGKEYS_FAILPOINT, in the process environment only, names a place:
there the process dies as by a power cut, or with ``=error`` behind the name gets an I/O error.
"""

import errno
import os
import signal


def reach(name: str) -> None:
    """Die or fail here if a test wants it so."""
    wanted, _, how = os.environ.get("LANGKEYS_FAILPOINT", "").partition("=")
    if wanted != name:
        return
    if how == "error":
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    os.kill(os.getpid(), signal.SIGKILL)
