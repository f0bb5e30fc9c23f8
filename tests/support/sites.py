"""A site: a folder with settings, in which tests run langkeys, in this process or in another."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from unittest import mock

import langkeys
from langkeys.cli import main

from .databases import NEWEST, Database, Shape
from .samples import assert_no_secret


def restore_sigint() -> None:
    """Let Ctrl-C end a process, even if the tests run in the background of a shell.

    Processes that a shell without job control starts with ``&`` ignore SIGINT, and so do their
    children.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


LANGKEYS = (sys.executable, "-m", "langkeys")
_CHECKOUT = str(Path(langkeys.__file__).resolve().parents[1])


@dataclass(frozen=True)
class Result:
    """The result of one call of langkeys: its exit code and its output."""

    arguments: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def __post_init__(self) -> None:
        # Checked for every call in the tests: no secret on stderr, or on stdout of a failed call.
        assert_no_secret(self.stderr if self.code == 0 else self.stdout + self.stderr)
        assert "Traceback" not in self.stderr, self

    def done(self) -> Result:
        """Assert that the command succeeded."""
        assert self.code == 0, self
        return self

    def failed(self, code: int, *words: str) -> Result:
        """Assert that the command failed with this exit code and wrote nothing to stdout."""
        assert self.code == code, self
        assert self.stdout == "", self
        for word in words:
            assert word in self.stderr, self
        return self

    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def error(self) -> dict[str, Any]:
        """The error of a failed command with ``--json``, the only text on stderr."""
        described = json.loads(self.stderr)["error"]
        reason = ["reason"] if described["code"] == "invalid_key" else []
        assert list(described) == ["code", "message", "hint", *reason], described
        return described

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    @property
    def rows(self) -> list[list[str]]:
        """The tab-separated rows of a list."""
        return [line.split("\t") for line in self.lines]


@dataclass
class Site:
    """A folder in which langkeys runs, and the settings in its otherwise bare environment."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    path: Path = Path("langflow.db")
    home: Path | None = None
    """The user's home folder, if it is not ``folder``."""
    shape: Shape = NEWEST
    server: Database | None = None
    """The site's database, if it is on a server."""

    def environment(self, settings: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Return a bare environment with this site's settings and more; None removes a setting."""
        found: dict[str, str | None] = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home or self.folder),
            "XDG_CACHE_HOME": str(self.cache),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "COLUMNS": "200",
            # Child processes must import the same langkeys as the tests, installed or not.
            "PYTHONPATH": _CHECKOUT,
            **self.settings,
            **(settings or {}),
        }
        return {name: value for name, value in found.items() if value is not None}

    def spawn(
        self,
        *arguments: str,
        command: Sequence[str] = LANGKEYS,
        settings: Mapping[str, str | None] | None = None,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """Start langkeys, with pipes for all streams that are not in ``options``."""
        for stream in ("stdin", "stdout", "stderr"):
            options.setdefault(stream, subprocess.PIPE)
        options.setdefault("preexec_fn", restore_sigint)
        return subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env=self.environment(settings),
            **options,
        )

    def run(
        self,
        *arguments: str,
        stdin: str | bytes = "",
        command: Sequence[str] = LANGKEYS,
        stdout: int | IO[bytes] = subprocess.PIPE,
        umask: int = 0o022,
        **settings: str | None,
    ) -> Result:
        """Run langkeys in another process."""
        process = self.spawn(
            *arguments, command=command, settings=settings, stdout=stdout, umask=umask
        )
        with process:
            data = stdin.encode() if isinstance(stdin, str) else stdin
            out, err = process.communicate(data, timeout=60)
        return Result(arguments, process.returncode, (out or b"").decode(), err.decode())

    def call(self, *arguments: str, stdin: str = "", **settings: str | None) -> Result:
        """Run langkeys in this process, which is ten times as fast."""
        environment = self.environment(settings)
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as err,
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.multiple(sys, stdin=io.StringIO(stdin), stdout=out, stderr=err),
            _within(self.folder),
            _keeping_sigterm(),
        ):
            code = main(list(arguments))
            streams = [_content(stream) for stream in (out, err)]
        return Result(arguments, code, *streams)

    @property
    def cache(self) -> Path:
        """The user's cache folder, which contains Langflow's default config folder."""
        return (self.home or self.folder) / "cache"

    @property
    def database(self) -> Database:
        """This site's database."""
        if self.server is not None:
            return self.server
        return Database(self.folder / self.path, self.shape)

    def write_env(self, text: str) -> Path:
        path = self.folder / ".env"
        path.write_text(text, encoding="utf-8")
        return path


def _content(stream: IO[str]) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _keeping_sigterm() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
