"""Start and stop real Langflow servers, each in its own folder.

A server never outlives the tests: the context manager that started it stops it, even after Ctrl-C.
If pytest itself is killed, a small watchdog process stops it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from .langflow_install import executable, for_postgresql, install, release_of
from .langflow_rest import Rest

__all__ = ["PASSWORD", "SUPERUSER", "LangflowServer", "ServerError", "install"]

SUPERUSER = "administrator"
PASSWORD = "correct-horse-battery-staple"

# A start takes 20 seconds on two idle cores; the first one after an installation takes 60.
_START_LIMIT = 300.0
# Langflow kills its own worker after 30 seconds.
_STOP_LIMIT = 60.0

_START_FAILED = "Application startup failed"
# Up to 1.8, a starting server writes this to the log again and again.
_SPINNER = "Launching Langflow..."

# If the shell reads a line, the server was stopped, and the shell exits. If its input ends without
# a line, pytest has died, and the shell kills the server.
_WATCHDOG = 'read _ || kill -s KILL -- "-$1"'


class ServerError(Exception):
    """A Langflow server did not start or stop. Tests fail in this case; they are not skipped."""


class LangflowServer:
    """A Langflow server with its own folder, settings, port and log. Use it in a `with`."""

    def __init__(
        self,
        version: str,
        folder: Path,
        *,
        auto_login: bool = False,
        superuser: str | None = SUPERUSER,
        password: str | None = PASSWORD,
        env_file: Path | None = None,
        database: Path | None = None,
        database_url: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a server without starting it.

        With ENV_FILE, the server gets all its settings from that file and none from its
        environment; then DATABASE is the path of the database in that file. DATABASE_URL is for a
        database on PostgreSQL.
        """
        self.version = version
        self.folder = folder
        self.config_dir = folder / "config"
        self.env_file = env_file
        self.database = database or self.config_dir / "langflow.db"
        self.log = folder / "server.log"
        self.settings: dict[str, str] = {}
        """The LANGFLOW_* variables, which langkeys needs for this server's database, too."""
        if env_file is None:
            self.settings |= {
                "LANGFLOW_CONFIG_DIR": str(self.config_dir),
                "LANGFLOW_SAVE_DB_IN_CONFIG_DIR": "true",
                "LANGFLOW_AUTO_LOGIN": "true" if auto_login else "false",
            }
            if superuser is not None:
                self.settings["LANGFLOW_SUPERUSER"] = superuser
            if password is not None:
                self.settings["LANGFLOW_SUPERUSER_PASSWORD"] = password
        if database_url is not None:
            self.settings["LANGFLOW_DATABASE_URL"] = database_url
            del self.settings["LANGFLOW_SAVE_DB_IN_CONFIG_DIR"]
        self._libraries = for_postgresql(version) if database_url is not None else None
        self.settings |= extra or {}
        self.port = 0
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LangflowServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def rest(self) -> Rest:
        return Rest(self.url)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait for it; if it fails, raise ServerError with the log's end."""
        if self._process is not None:
            raise ServerError("started already")
        command = executable(self.version)
        self.config_dir.mkdir(parents=True, exist_ok=True)
        for name in ("home", "tmp", "work"):
            (self.folder / name).mkdir(exist_ok=True)
        self.port = _free_port()
        arguments = ["run", "--backend-only", "--host", "127.0.0.1", "--port", str(self.port)]
        if self.env_file is not None:
            arguments += ["--env-file", str(self.env_file)]
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            # In its own session: only pytest gets Ctrl-C, and then stops the server cleanly.
            self._process = subprocess.Popen(
                [command, *arguments],
                cwd=self.folder / "work",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watchdog = subprocess.Popen(
            ["sh", "-c", _WATCHDOG, "watchdog", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait_until_healthy(time.monotonic() + _START_LIMIT)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop the server with SIGTERM, like a service manager; do nothing if it is down.

        Raises ServerError if the server had to be killed, because then it did not stop cleanly.
        """
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        patience = _STOP_LIMIT if release_of(self.version).stops else 5
        clean = _until(self._is_gone, time.monotonic() + patience)
        self.kill()
        if not clean and release_of(self.version).stops:
            raise ServerError(f"Langflow {self.version} did not stop by itself\n{self.log_tail()}")

    def kill(self) -> None:
        """Kill the server and its workers, if any are left."""
        if self._process is None:
            return
        if not self._is_gone():
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.communicate(b"stopped\n")
            self._watchdog = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def log_tail(self, characters: int = 4000) -> str:
        """Return the end of the server's log, for an error message."""
        lines = self._log_of_this_start().splitlines(keepends=True)
        text = "".join(line for line in lines if _SPINNER not in line)
        return f"--- {self.log}\n{text[-characters:]}"

    def _log_of_this_start(self) -> str:
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._log_start :].decode("utf-8", "replace")

    def _environment(self) -> dict[str, str]:
        """Return the server's whole environment, without settings of the user who runs the tests.

        The server has its own home and temporary folders, because Langflow keeps caches and lock
        files in them.
        """
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "DO_NOT_TRACK": "true",
            # Tests log in more often than five times a minute, which 1.11 and later refuse.
            "LANGFLOW_RATE_LIMIT_ENABLED": "false",
            **({} if self._libraries is None else {"PYTHONPATH": str(self._libraries)}),
            **release_of(self.version).settings,
            **self.settings,
        }

    def _wait_until_healthy(self, deadline: float) -> None:
        def answers() -> bool:
            # Up to Langflow 1.8, the main process keeps waiting if its worker fails.
            if not self.is_running or _START_FAILED in self._log_of_this_start():
                raise ServerError(f"Langflow {self.version} did not start\n{self.log_tail()}")
            try:
                return Rest(self.url, timeout=5).health().status == 200
            except (urllib.error.URLError, OSError):
                return False

        if not _until(answers, deadline):
            raise ServerError(
                f"Langflow {self.version} gave no answer within {_START_LIMIT:.0f} s\n"
                + self.log_tail()
            )
        # Langflow uses the next port if its own is in use: make sure that this server answered.
        answered = self.rest.version()
        if answered != self.version:
            raise ServerError(f"started Langflow {self.version}, but {answered} answered")

    def _is_gone(self) -> bool:
        """Return whether the server and all its workers have ended."""
        assert self._process is not None
        if self._process.poll() is None:
            return False
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return True
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(holds: Callable[[], bool], deadline: float) -> bool:
    """Wait until HOLDS returns true; return whether that happened before DEADLINE."""
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return False
