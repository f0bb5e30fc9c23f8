"""A shell on a terminal that runs the commands of a document one after the other.

Each folder that the documents name is replaced by one below /tmp. Its path has the same length, so
that tables have the same layout. Paths are replaced in commands, and restored in outputs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from ..support import postgresql
from .markdown import ROOT

PLACES = ("/srv/langflow", "/run/secrets", "/var/backups", "/etc/langflow", "/home/admin")
"""The folders that documents name. A shell starts in the first; the last is its HOME."""

SERVERS = ("https://langflow.example.com", "http://localhost:7860", "db.example.com:5432/langflow")
"""The servers that documents name. A scene may start one, or create a database on the last."""

COLUMNS = 100
PATIENCE = 60.0
"""How many seconds to wait for a command."""

_SHOWN = b"\x1e"
_SCENES = Path(__file__).parent / "scenes"
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")

# The shell reads commands from one pipe, each ended by a NUL, and writes exit codes to another. If
# any line of a block fails, the block fails. A mark on the terminal ends the output of a command.
_LOOP = """
trap 'failed=$?' ERR
while IFS= read -r -d '' -u {commands} line; do
    failed=0
    eval "$line" {commands}<&- {codes}>&-
    failed_last=$?
    [ "$failed_last" -eq 0 ] || failed=$failed_last
    printf '\\036'
    echo "$failed" >&{codes}
done
"""

_LEADER = (
    "import fcntl, os, signal, sys, termios;"
    "signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execvp('bash', ['bash', '--norc', '-c', sys.argv[1]])"
)


class Shell:
    """One bash in empty folders, with the langkeys of this checkout on its PATH."""

    def __init__(
        self, scene: str, *, columns: int = COLUMNS, colours: bool = False, uid: int | None = None
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._uid = uid
        self.folders = {place: self._made_folder(place) for place in PLACES}
        tools = self._stack.enter_context(tempfile.TemporaryDirectory())
        Path(tools).chmod(0o755)
        _write_program(Path(tools) / "langkeys", f'exec "{sys.executable}" -m langkeys "$@"')
        _write_program(Path(tools) / "python", f'exec "{sys.executable}" "$@"')
        self._master, device = pty.openpty()
        fcntl.ioctl(device, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        commands, self._commands = os.pipe()
        self._codes, codes = os.pipe()
        for descriptor in (commands, codes):
            os.set_inheritable(descriptor, True)
        loop = _LOOP.format(commands=commands, codes=codes)
        self._process = subprocess.Popen(
            [*_as_user(uid), sys.executable, "-c", _LEADER, loop],
            stdin=device, stdout=device, stderr=device, start_new_session=True,
            pass_fds=(commands, codes), cwd=self.folders[PLACES[0]],
            env={
                "PATH": f"{tools}:{os.environ.get('PATH', os.defpath)}",
                "HOME": str(self.folders[PLACES[-1]]),
                "LANG": "C.UTF-8",
                "TERM": "xterm-256color",
                "PYTHONPATH": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                "ROOT": str(ROOT),
                postgresql.FOLDER: os.environ.get(postgresql.FOLDER, ""),
                **({"COLORTERM": "truecolor"} if colours else {"NO_COLOR": "1"}),
            },
        )  # fmt: skip
        for descriptor in (device, commands, codes):
            os.close(descriptor)
        for script in ("functions", scene):
            text = (_SCENES / f"{script}.sh").read_text(encoding="utf-8")
            output, code = self.run(text)
            if code != 0:
                self.close()
                raise RuntimeError(f"scene {scene}, {script}.sh: exit {code}: {output}")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the shell and its children, and remove its folders."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for descriptor in (self._master, self._commands, self._codes):
            os.close(descriptor)
        self._stack.close()

    def run(self, command: str, types: list[str] | None = None) -> tuple[str, int]:
        """Run a command; return what the terminal showed, and the exit code.

        ``types`` has a word for each question; the words that are typed are removed from it.
        """
        os.write(self._commands, self._inward(command).encode() + b"\0")
        screen, typed_at = b"", 0
        end = time.monotonic() + PATIENCE
        code: int | None = None
        while code is None:
            readable, _, _ = select.select([self._master, self._codes], [], [], 0.3)
            if self._master in readable:
                screen += os.read(self._master, 65_536)
            elif self._codes in readable:
                answer = os.read(self._codes, 16).decode().strip()
                if not answer:
                    raise RuntimeError(f"the shell ended in {command!r}: {screen.decode()!r}")
                code = int(answer)
            elif types and len(screen) > typed_at and not screen.endswith(b"\n"):
                word, typed_at = types.pop(0), len(screen)
                os.write(self._master, b"\x04" if word == "^D" else f"{word}\n".encode())
            if time.monotonic() > end:
                raise RuntimeError(f"{command!r} does not end: {screen.decode()!r}")
        while not screen.endswith(_SHOWN) and time.monotonic() < end:
            if select.select([self._master], [], [], 0.3)[0]:
                screen += os.read(self._master, 65_536)
        text = screen.removesuffix(_SHOWN).decode("utf-8", "replace")
        return self._outward(text.replace("\r\n", "\n")), code

    def _made_folder(self, place: str) -> Path:
        """Create a folder whose path is as long as the path that it replaces."""
        length = len(place) - len("/tmp/")
        while True:
            path = Path("/tmp") / os.urandom(16).hex()[:length]
            try:
                path.mkdir(mode=0o755)
            except FileExistsError:
                continue
            self._stack.callback(shutil.rmtree, path, ignore_errors=True)
            if self._uid is not None:
                os.chown(path, self._uid, 0)
            return path

    def _inward(self, text: str) -> str:
        for place, folder in self.folders.items():
            text = re.sub(rf"(?<![\w.-]){place}(?![\w-])", str(folder), text)
        for server, url in self._servers():
            text = text.replace(server, url)
        return text

    def _outward(self, text: str) -> str:
        for place, folder in self.folders.items():
            text = text.replace(str(folder), place)
        for server, url in self._servers():
            text = text.replace(url, server)
        return text

    def _servers(self) -> Iterator[tuple[str, str]]:
        # A scene writes the real address of its server to a file in its HOME.
        for server in SERVERS:
            file = self.folders[PLACES[-1]] / f".{re.sub(r'[^a-z0-9]+', '-', server)}"
            if file.exists():
                url = file.read_text(encoding="utf-8").strip()
                yield server, url
                # The form that is used in file names.
                yield re.sub("[:/]", "-", server), re.sub("[:/]", "-", url)


def plain(text: str) -> str:
    """Return a terminal's output without escape sequences."""
    return _ESCAPE.sub("", text)


def _as_user(uid: int | None) -> list[str]:
    """Return the start of a command that runs as a user with group 0, as in a Langflow container.

    The user may read every file, because this Python may be in a folder that only root can read,
    but gets no additional right to write.
    """
    if uid is None:
        return []
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={uid}", "--regid=0", "--clear-groups", *reads]


def can_run_as(uid: int) -> bool:
    """Return whether this Python can run commands as another user on this machine."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    tried = subprocess.run([*_as_user(uid), sys.executable, "-c", ""], check=False)
    return tried.returncode == 0


def _write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)
