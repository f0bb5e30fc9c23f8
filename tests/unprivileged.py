"""Running langkeys as a user whom file modes bind: tests may well run as root, who is not bound."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534

# What langkeys may import is imported before the privileges go: nobody may not be able to read it.
_PROGRAM = f"""
import getpass, json, os, pkgutil, sqlite3, sys, tempfile
import bcrypt, dotenv, platformdirs
import langkeys
from importlib import import_module
for module in pkgutil.walk_packages(langkeys.__path__, "langkeys."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({_NOBODY})
    os.setuid({_NOBODY})
sys.exit(import_module("langkeys.cli").main())
"""
COMMAND = (sys.executable, "-c", _PROGRAM)
"""To be run in place of langkeys."""


def give(path: Path) -> None:
    """Make a file or folder belong to the user that COMMAND becomes."""
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY)


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Make a folder that this user owns and everybody may enter: pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        give(folder)
        try:
            yield folder
        finally:
            folder.chmod(0o755)
