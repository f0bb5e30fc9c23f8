"""Installs Langflow servers, each into a virtual environment of its own outside the checkout."""

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
"""What `postgresql+psycopg://` needs; langflow-base itself asks for no driver."""

# Older releases import these without asking for them.
_UNDECLARED = ("openai", "webrtcvad-wheels", "elevenlabs")


@dataclass(frozen=True)
class Release:
    """One release under test, by both of its numbers."""

    base: str
    langflow: str
    """The number people know: up to 1.11 `langflow 1.x` carried `langflow-base 0.x`."""
    dependencies_of: str | None = None
    """The date whose dependencies it works with; later ones break it."""
    beside: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """What its server needs to start in good time."""
    stops: bool = True
    """Whether its server ends by itself at SIGTERM."""
    for_postgresql: tuple[str, ...] = ()
    """What it needs on PostgreSQL in another version than it installs."""


RELEASES = {
    release.base: release
    for release in (
        Release(
            "0.4.3",
            "1.4.3",
            dependencies_of="2025-07-20",
            beside=(*_UNDECLARED, "litellm"),
            # Tracebacks of all that it lacks take minutes.
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
            # With a later one its models and its own migrations differ there.
            for_postgresql=("sqlmodel==0.0.37",),
        ),
        Release("1.12.0", "1.12.0"),
        Release("1.12.8", "1.12.8"),
        Release("1.13.0", "1.13.0"),
    )
}


class InstallError(Exception):
    """A Langflow could not be installed. Tests fail with it, they do not skip."""


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
    """Return a release; one that is not of RELEASES is taken to need nothing special."""
    return RELEASES.get(version, Release(version, version))


def install(version: str) -> Path:
    """Install langflow-base VERSION unless that was done before, and return its folder.

    A first install takes about a minute and a gigabyte. The file `.done`, written last, marks a
    complete one; a folder without it is what an interrupted install left, and is made anew.
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
    """Install what a release needs on PostgreSQL; return the folder, for PYTHONPATH.

    It is beside the installed server, which stays as its own packages make it.
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
    """Return the installed server's command, which was `langflow-base` up to Langflow 1.11."""
    scripts = install(version) / "bin"
    for name in ("langflow", "langflow-base"):
        if (scripts / name).exists():
            return scripts / name
    raise InstallError(f"langflow-base {version} installed no command in {scripts}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep a second test run from installing into the same folder."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _uv(*arguments: str) -> None:
    """Run uv. Raise InstallError with the end of what it said if it fails."""
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
