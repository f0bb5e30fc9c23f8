"""Run langkeys as a user to whom file modes apply, even if the tests run as root."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Root drops the capabilities that bypass file modes, CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH:
# prctl option 24 drops them from the bounding set, which takes effect at the exec. The process
# stays root, because another user might not be allowed to read langkeys itself.
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
"""The command to run instead of langkeys."""


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Yield a folder whose mode a test may change; it is removed afterwards in any case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            yield folder
        finally:
            folder.chmod(0o755)
