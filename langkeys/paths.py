"""Absolute paths, as messages show them."""

from contextlib import suppress
from pathlib import Path


def absolute_path(path: Path) -> Path:
    """Return a path from the root without ``..``, so that a reader need not work it out.

    Links before a ``..`` are followed, as the system does. A link at the end is not.
    """
    path = path.absolute()
    if ".." in path.parts:
        with suppress(OSError, RuntimeError):  # a loop of links
            return path.resolve() if path.name == ".." else path.parent.resolve() / path.name
    return path
