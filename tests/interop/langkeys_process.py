"""Run langkeys as a separate process, like a script on the server's machine."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """The result of one langkeys process: its exit status and its output."""

    arguments: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Return the JSON document on stdout."""
        return json.loads(self.stdout)

    def error(self) -> dict[str, Any]:
        """Return the `error` of the JSON object that a failed `--json` run writes to stderr."""
        error = json.loads(self.stderr)["error"]
        assert isinstance(error, dict)
        return error

    def done(self) -> Run:
        """Assert success, and return the run."""
        assert self.returncode == 0, self
        return self

    def refused(self, returncode: int) -> Run:
        """Assert a failure with RETURNCODE that wrote nothing to stdout, and return the run."""
        assert self.returncode == returncode, self
        assert self.stdout == "", self
        assert self.stderr != "", self
        assert "Traceback" not in self.stderr, self
        return self


class Langkeys:
    """Runs langkeys in its own folder, with the given settings in a clean environment."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.settings = dict(settings or {})

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment that langkeys runs in."""
        return {**_bare_environment(self.folder), **self.settings}

    def __call__(self, *arguments: str, stdin: str = "", without: str = "", **more: str) -> Run:
        """Run `langkeys ARGUMENTS`, with MORE settings and WITHOUT one of the usual ones."""
        settings = {**self.settings, **more}
        settings.pop(without, None)
        done = subprocess.run(
            [sys.executable, "-m", "langkeys", *arguments],
            cwd=self.folder,
            env={**_bare_environment(self.folder), **settings},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Run(arguments, done.returncode, done.stdout, done.stderr)


def _bare_environment(home: Path) -> dict[str, str]:
    spec = importlib.util.find_spec("langkeys")
    assert spec is not None, "langkeys is not installed"
    assert spec.origin is not None
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # The same langkeys that the tests would import, installed or not.
        "PYTHONPATH": str(Path(spec.origin).parents[1]),
    }
