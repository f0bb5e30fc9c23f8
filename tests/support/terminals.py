"""Run langkeys on a pseudo-terminal, type input, and read the screen."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import sys
import tempfile
import termios
import time
from typing import Any

from .samples import SECRETS, assert_no_secret
from .sites import Site

PATIENCE = 30.0
"""How many seconds to wait for an expected text."""

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# The session leader makes the terminal its controlling terminal, as a login shell does, and then
# becomes langkeys.
_LEADER = (
    "import fcntl, os, signal, sys, termios;"
    # As in a shell: the process that runs the tests may ignore SIGINT, which children inherit.
    "signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "fcntl.ioctl(2, termios.TIOCSCTTY, 0);"
    "os.execv(sys.executable, [sys.executable, '-m', 'langkeys', *sys.argv[1:]])"
)


class Terminal:
    """One langkeys process with a terminal for stdin, stderr and, unless ``piped``, stdout.

    If ``data`` is given, stdin is a file with that text instead.
    """

    def __init__(
        self,
        site: Site,
        *arguments: str,
        piped: bool = False,
        columns: int = 200,
        data: str | None = None,
        **settings: str | None,
    ) -> None:
        self._master, self.device = pty.openpty()
        fcntl.ioctl(self.device, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self._before = termios.tcgetattr(self.device)
        # A character may be read in two parts.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.screen = ""
        """Everything that was shown, with escape sequences."""
        self.stdout = ""
        """The text on stdout, if it was not the terminal."""
        # A file, because nobody would read a pipe before the end.
        self._stdout = tempfile.TemporaryFile() if piped else None  # noqa: SIM115 - see __exit__
        self._stdin = None if data is None else tempfile.TemporaryFile()  # noqa: SIM115 - the same
        if self._stdin is not None and data is not None:
            self._stdin.write(data.encode())
            self._stdin.seek(0)
        self.process = site.spawn(
            *arguments,
            command=(sys.executable, "-c", _LEADER),
            settings={"COLUMNS": None, **settings},
            stdin=self._stdin or self.device,
            stdout=self._stdout or self.device,
            stderr=self.device,
            start_new_session=True,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self._stdin, self._stdout):
            if stream is not None:
                stream.close()
        self.process.wait()
        os.close(self.device)
        os.close(self._master)

    def _read(self, wait: float) -> bool:
        readable, _, _ = select.select([self._master], [], [], wait)
        if readable:
            data = os.read(self._master, 65_536)
            self.screen = (self.screen + self._decoder.decode(data)).replace("\r\n", "\n")
        return bool(readable)

    def expect(self, text: str) -> None:
        """Wait until a text is shown."""
        end = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert time.monotonic() < end, f"{text!r} is not shown: {self.screen!r}"
            self._read(0.1)
            if self.process.poll() is not None and not self._read(0):
                assert text in self.screen, f"{text!r} has not come: {self.screen!r}"

    def send(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def finish(self, code: int = 0) -> Terminal:
        """Wait for the end; assert the exit code, and that no secret was shown."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, f"langkeys does not end: {self.screen!r}"
            self._read(0.05)
        while self._read(0):
            pass
        if self._stdout is not None:
            self._stdout.seek(0)
            self.stdout = self._stdout.read().decode()
        assert self.process.returncode == code, (self.process.returncode, self.screen)
        assert "Traceback" not in self.screen
        for secret in SECRETS:
            assert secret not in self.screen
        if code != 0:
            assert_no_secret(self.screen + self.stdout)
        return self

    @property
    def is_restored(self) -> bool:
        """Whether the terminal echoes and edits again as before langkeys ran."""
        return termios.tcgetattr(self.device) == self._before

    @property
    def text(self) -> str:
        """What was shown, without escape sequences."""
        return _ESCAPE.sub("", self.screen)

    @property
    def has_escapes(self) -> bool:
        """Whether escape sequences, for example colours, were shown."""
        return "\x1b" in self.screen


def run_at_terminal(site: Site, *arguments: str, **options: Any) -> Terminal:
    """Run langkeys on a terminal without typing; assert that it succeeds."""
    with Terminal(site, *arguments, **options) as terminal:
        return terminal.finish()
