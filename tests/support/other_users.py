"""Other users of this machine, by number: none of them needs an entry in the list of users."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

SERVER, OTHER, THIRD = 1000, 2000, 54321
"""User ids that are not root's; a server in its official container has 1000, and the group 0."""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give files to other users, or become one"
)


def give(path: Path, uid: int, gid: int = 0, *, mode: int | None = None) -> Path:
    """Give a file, folder or link to a user."""
    os.chown(path, uid, gid, follow_symlinks=False)
    if mode is not None:
        path.chmod(mode)
    return path


def as_user(uid: int, *command: str, gid: int = 0) -> Sequence[str]:
    """Return a command line that runs a command as a user, without an entry or other groups."""
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *command)
