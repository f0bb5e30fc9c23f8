"""Isolate a test run from the home folder and the settings of the user who starts it.

By default langkeys writes its audit log to the user's cache folder. A test that runs langkeys, in
this process or in a child process, would write there, too.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from unittest import mock

import platformdirs

import langkeys
from langkeys.config.known_settings import ENV_FILE, KNOWN

_USER = "LANGKEYS_TESTS_USER"
"""The environment variable with the user's own folders, for the other processes of the run."""

_CHECKOUT = Path(langkeys.__file__).resolve().parents[1]


def isolate() -> tempfile.TemporaryDirectory[str]:
    """Give this process and its children an empty home and no settings; return the folder."""
    home = tempfile.TemporaryDirectory(prefix="langkeys-tests-")
    users = {name: os.environ.pop(name) for name in list(os.environ) if _is_users(name)}
    folders = {name: value for name, value in users.items() if _names_a_folder(name)}
    os.environ.setdefault(_USER, json.dumps(folders))
    os.environ["HOME"] = home.name
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(Path(home.name) / "hypothesis")
    # Child processes must import the same langkeys as the tests, installed or not.
    paths = (str(_CHECKOUT), os.environ.get("PYTHONPATH"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return home


def user_environment() -> dict[str, str]:
    """Return the environment with the folders of the user who runs the tests."""
    if _USER not in os.environ:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if not _is_users(name)}
    return kept | json.loads(os.environ[_USER])


def audit_log_sizes() -> dict[Path, int]:
    """Return the sizes of the user's own audit logs."""
    return {path: _size(path) for path in _audit_logs(user_environment())}


def lines_left(before: Mapping[Path, int], folder: Path) -> list[str]:
    """Return the lines that this run has since written to the user's audit logs.

    They have this process's id, or a database in ``folder``. The user or another run may write to
    these logs at the same time.
    """
    found = []
    for path, size in before.items():
        if _size(path) > size:
            with path.open("rb") as handle:
                handle.seek(size)
                found += handle.read().decode("utf-8", "replace").splitlines()
    return [line for line in found if str(folder) in line or f'"pid": {os.getpid()},' in line]


def _is_users(name: str) -> bool:
    setting = name.upper()  # settings are read regardless of case
    return _names_a_folder(name) or setting.removesuffix("_FILE") in KNOWN or setting == ENV_FILE


def _names_a_folder(name: str) -> bool:
    is_xdg = name.startswith("XDG_") and name.endswith("_HOME")
    return is_xdg or name in ("HOME", "LANGFLOW_CONFIG_DIR", "LANGKEYS_AUDIT_LOG")


def _audit_logs(environ: Mapping[str, str]) -> list[Path]:
    folders = [Path(folder)] if (folder := environ.get("LANGFLOW_CONFIG_DIR")) else []
    # A user without HOME and without an entry in /etc/passwd has no such folder.
    with mock.patch.dict(os.environ, environ, clear=True), suppress(RuntimeError):
        folders.append(platformdirs.user_cache_path("langflow", "langflow"))
    paths = [folder / "langkeys-audit.jsonl" for folder in folders]
    if path := environ.get("LANGKEYS_AUDIT_LOG"):
        paths.append(Path(path))
    return [path.absolute() for path in paths]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it does not exist, or the tests cannot write to it
