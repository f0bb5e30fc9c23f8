"""Running langkeys as a user whom file modes bind: tests may well run as root, who is not bound."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Root gives up what lets it pass by file modes (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH; the bounding
# set is dropped by prctl option 24, and takes effect at the exec) and stays the owner of its files:
# another user might not be allowed to read langkeys itself.
_PROGRAM = """
import ctypes, os, sys
if os.geteuid() == 0:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):
        if libc.prctl(24, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_CAPBSET_DROP)")
os.execv(sys.executable, [sys.executable, "-m", "langkeys", *sys.argv[1:]])
"""
COMMAND = (sys.executable, "-c", _PROGRAM)
"""To be run in place of langkeys."""


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Make a folder whose mode a test may change, and that can be removed after all the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            yield folder
        finally:
            folder.chmod(0o755)
