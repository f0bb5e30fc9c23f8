"""Install Langflow servers, each into its own virtual environment outside the checkout."""

from __future__ import annotations

import fcntl
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import isolation

DEFAULT_VERSION = "1.13.0"

_DRIVER = ("psycopg", "psycopg-binary")
"""The driver for `postgresql+psycopg://`; langflow-base itself requires none."""

# Older releases import these packages without requiring them.
_UNDECLARED = ("openai", "webrtcvad-wheels", "elevenlabs")


@dataclass(frozen=True)
class Release:
    """A release under test, with both of its version numbers."""

    base: str
    langflow: str
    """The commonly known version: up to 1.11, `langflow 1.x` contained `langflow-base 0.x`."""
    dependencies_of: str | None = None
    """The latest date of dependencies that it works with."""
    beside: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings that its server needs to start fast enough."""
    stops: bool = True
    """Whether its server exits on SIGTERM."""
    for_postgresql: tuple[str, ...] = ()
    """Requirements that replace its own versions of packages on PostgreSQL."""


RELEASES = {
    release.base: release
    for release in (
        Release(
            "0.4.3",
            "1.4.3",
            dependencies_of="2025-07-20",
            beside=(*_UNDECLARED, "litellm"),
            # Logging a traceback for each missing package takes minutes.
            settings={"LANGFLOW_LOG_LEVEL": "critical"},
            stops=False,
        ),
        Release("0.5.1", "1.5.1", dependencies_of="2025-09-05", beside=_UNDECLARED),
        Release("0.6.9", "1.6.9", dependencies_of="2025-12-10", beside=_UNDECLARED),
        Release("0.7.3", "1.7.3", dependencies_of="2026-02-15", beside=_UNDECLARED),
        Release("0.8.4", "1.8.4", dependencies_of="2026-04-10", beside=_UNDECLARED),
        Release("0.9.6", "1.9.6", dependencies_of="2026-07-01", beside=_UNDECLARED),
        Release("0.10.0", "1.10.0", beside=_UNDECLARED),
        Release("0.10.3", "1.10.3", beside=_UNDECLARED),
        Release(
            "0.11.6",
            "1.11.6",
            beside=_UNDECLARED,
            # With a later sqlmodel, its models and its migrations differ on PostgreSQL.
            for_postgresql=("sqlmodel==0.0.37",),
        ),
        Release("1.12.0", "1.12.0"),
        Release("1.12.8", "1.12.8"),
        Release("1.13.0", "1.13.0"),
    )
}


class InstallError(Exception):
    """A Langflow could not be installed. Tests fail in this case; they are not skipped."""


def home() -> Path:
    """Return the folder that holds the installed servers."""
    user = isolation.user_environment()
    if chosen := user.get("LANGKEYS_INTEROP_HOME"):
        return Path(chosen).absolute()
    if cache := user.get("XDG_CACHE_HOME"):
        return Path(cache) / "langkeys-interop"
    if "HOME" not in user:
        raise InstallError("no HOME: set LANGKEYS_INTEROP_HOME to a folder for Langflow servers")
    return Path(user["HOME"]) / ".cache" / "langkeys-interop"


def release_of(version: str) -> Release:
    """Return a release; if it is not in RELEASES, it needs nothing special."""
    return RELEASES.get(version, Release(version, version))


def install(version: str) -> Path:
    """Install langflow-base VERSION unless it is already installed, and return its folder.

    The first installation takes about a minute and a gigabyte. The file `.done`, written last,
    marks a complete installation; a folder without it is left by an interrupted one, and is
    replaced.
    """
    release = release_of(version)
    folder = home() / f"langflow-base-{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not (folder / ".done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", "3.11", str(folder))
            date = ("--exclude-newer", release.dependencies_of) if release.dependencies_of else ()
            python = str(folder / "bin" / "python")
            wanted = (f"langflow-base=={version}", *release.beside)
            _uv("pip", "install", "--python", python, *date, *wanted)
            (folder / ".done").touch()
    return folder


def for_postgresql(version: str) -> Path:
    """Install the packages that a release needs on PostgreSQL; return a folder for PYTHONPATH.

    The folder is next to the installed server, whose own packages are not changed.
    """
    python = str(install(version) / "bin" / "python")
    folder = home() / f"langflow-base-{version}-postgresql"
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not (folder / ".done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            wanted = (*_DRIVER, *release_of(version).for_postgresql)
            target = ("--target", str(folder), "--no-deps")
            _uv("pip", "install", "--python", python, *target, *wanted)
            (folder / ".done").touch()
    return folder


def executable(version: str) -> Path:
    """Return the path of the server's command, which was `langflow-base` up to Langflow 1.11."""
    scripts = install(version) / "bin"
    for name in ("langflow", "langflow-base"):
        if (scripts / name).exists():
            return scripts / name
    raise InstallError(f"langflow-base {version} installed no command in {scripts}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Prevent parallel test runs from installing into the same folder."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _uv(*arguments: str) -> None:
    """Run uv; if it fails, raise InstallError with the end of its output."""
    if path := shutil.which("uv"):
        command = [path]
    elif importlib.util.find_spec("uv"):
        command = [sys.executable, "-m", "uv"]
    else:
        raise InstallError("uv is needed to install a Langflow server (pip install uv)")
    done = subprocess.run(
        [*command, *arguments],
        env=isolation.user_environment(),  # uv's own settings and cache
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise InstallError(f"uv {' '.join(arguments)} failed:\n{done.stdout[-4000:]}")
