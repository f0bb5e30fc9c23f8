"""Other users of this machine, by uid; none of them needs an entry in /etc/passwd."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

SERVER, OTHER, THIRD = 1000, 2000, 54321
"""Uids other than root's; a server in the official container has uid 1000 and gid 0."""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give files to other users, or become one"
)


def give(path: Path, uid: int, gid: int = 0, *, mode: int | None = None) -> Path:
    """Change the owner, and optionally the mode, of a file, folder or link."""
    os.chown(path, uid, gid, follow_symlinks=False)
    if mode is not None:
        path.chmod(mode)
    return path


def as_user(uid: int, *command: str, gid: int = 0) -> Sequence[str]:
    """Return a command line that runs a command as a user without supplementary groups."""
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *command)
