"""Completion in real shells: installed as a user installs it, and used on a terminal."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from ..support.databases import Database
from ..support.samples import encrypted
from ..support.sites import Site
from .test_completion import HOSTILE

PATIENCE = 60.0
READY = "ready>"

# A command only records its arguments; only completion runs langkeys itself.
_LANGKEYS = """\
#!/bin/sh
if [ "$1" = --install-completion ]; then
    exec {python} -m langkeys "$@"
elif [ -n "$_LANGKEYS_COMPLETE" ]; then
    echo asked >> {calls}
    {python} -m langkeys "$@"
    code=$?
    echo answered >> {calls}
    exit $code
fi
printf '%s\\n' "$@" > {typed}.new
mv {typed}.new {typed}
"""
# The session leader makes the terminal its controlling terminal, as login does: fish needs one.
_LEADER = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
_STARTUP_FILES = {
    "bash": (".bashrc", f"PS1='{READY}'\n"),
    "zsh": (".zshrc", f"PROMPT='{READY}'\n"),
    "fish": (".config/fish/config.fish", f"function fish_prompt; echo -n '{READY}'; end\n"),
}


class ShellAtTerminal:
    """An interactive shell, in which completion has been installed."""

    def __init__(self, name: str, site: Site) -> None:
        self._typed, self._calls = site.folder / "typed", site.folder / "calls"
        home = site.folder / "shell-home"
        programs = home / "bin"
        programs.mkdir(parents=True)
        program = programs / "langkeys"
        program.write_text(
            _LANGKEYS.format(python=sys.executable, typed=self._typed, calls=self._calls)
        )
        program.chmod(0o755)
        environment = {
            **site.environment(),
            "HOME": str(home),
            "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
            "TERM": "dumb" if name == "bash" else "xterm",
            "COLUMNS": "80",
        }
        # Within the shell, because langkeys detects the shell by its parent process.
        subprocess.run(
            [name, "-c", "langkeys --install-completion; true"],
            env=environment, cwd=site.folder, check=True, capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
        startup, prompt = _STARTUP_FILES[name]
        path = home / startup
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(prompt)
        self._master, device = pty.openpty()
        self.screen = ""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LEADER, name, "-i"], env=environment, cwd=site.folder,
            stdin=device, stdout=device, stderr=device, start_new_session=True,
        )  # fmt: skip
        os.close(device)
        self._expect(READY)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _read(self, wait: float) -> None:
        if select.select([self._master], [], [], wait)[0]:
            self.screen += os.read(self._master, 65_536).decode("utf-8", "replace")

    def _expect(self, text: str) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert time.monotonic() < end, f"{text!r} does not come: {self.screen!r}"
            self._read(0.1)

    @property
    def _is_answered(self) -> bool:
        calls = self._calls.read_text().split() if self._calls.exists() else []
        return bool(calls) and calls.count("asked") == calls.count("answered")

    def completed(self, line: str) -> list[str]:
        """Type a line, Tab and Return; return the arguments of the completed line."""
        self._typed.unlink(missing_ok=True)
        self._calls.unlink(missing_ok=True)
        self.screen = ""
        os.write(self._master, f"{line}\t".encode())
        # zsh may lose input while it completes, so wait. fish runs the completion twice.
        end = time.monotonic() + PATIENCE
        quiet_since = time.monotonic()
        before: object = None
        while not self._is_answered or time.monotonic() - quiet_since < 0.5:
            assert time.monotonic() < end, f"langkeys is not asked: {self.screen!r}"
            self._read(0.05)
            if (self.screen, self._is_answered) != before:
                before, quiet_since = (self.screen, self._is_answered), time.monotonic()
        os.write(self._master, b"\r")
        end = time.monotonic() + PATIENCE
        while not self._typed.exists():
            assert time.monotonic() < end, f"the line does not run: {self.screen!r}"
            self._read(0.1)
        return self._typed.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def stocked(site: Site, superuser: str) -> Site:
    database = site.database
    database.add_key(superuser, "laptop")
    database.add_user("alice", is_superuser=False)
    database.add_variable(superuser, "OPENAI_API_KEY", encrypted("x"))
    site.settings.update(LANGFLOW_AUTO_LOGIN="false", LANGFLOW_SECRET_KEY="")
    return site


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, stocked: Site) -> Iterator[ShellAtTerminal]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    shell = ShellAtTerminal(request.param, stocked)
    yield shell
    shell.close()


def test_names_ids_and_words_are_completed(shell: ShellAtTerminal, stocked: Site) -> None:
    ((key_id,),) = stocked.database.rows("SELECT id FROM apikey")
    for line, arguments in (
        ("langkeys api-k", ["api-key"]),
        ("langkeys api-key rot", ["api-key", "rotate"]),
        ("langkeys api-key list --all-u", ["api-key", "list", "--all-users"]),
        ("langkeys api-key show la", ["api-key", "show", "laptop"]),
        (f"langkeys api-key revoke {key_id[:6]}", ["api-key", "revoke", key_id[:8]]),
        ("langkeys user show al", ["user", "show", "alice"]),
        ("langkeys api-key list --user al", ["api-key", "list", "--user", "alice"]),
        ("langkeys variable show OPEN", ["variable", "show", "OPENAI_API_KEY"]),
        ("langkeys help sett", ["help", "settings"]),
    ):
        assert shell.completed(line) == arguments


def test_names_with_marks_at_which_bash_breaks_words_are_completed(
    shell: ShellAtTerminal, stocked: Site, superuser: str
) -> None:
    for name in ("bob@example.com", "carla@example.com", "carlo@example.org", "eve:prod"):
        stocked.database.add_user(name, is_superuser=False)
        stocked.database.add_key(superuser, name.replace("@", "/"))
    for line, arguments in (
        ("langkeys user show bo", ["user", "show", "bob@example.com"]),
        ("langkeys user show bob@", ["user", "show", "bob@example.com"]),
        ("langkeys user show bob@exa", ["user", "show", "bob@example.com"]),
        ("langkeys user show bob@example.c", ["user", "show", "bob@example.com"]),
        ("langkeys user show carlo@e", ["user", "show", "carlo@example.org"]),
        ("langkeys user show carl", ["user", "show", "carl"]),  # carla or carlo
        ("langkeys user show eve:", ["user", "show", "eve:prod"]),
        ("langkeys user show eve:pr", ["user", "show", "eve:prod"]),
        ("langkeys  user show   eve", ["user", "show", "eve:prod"]),
        ("langkeys api-key list --user bob@exa", ["api-key", "list", "--user", "bob@example.com"]),
        ("langkeys api-key show bob/e", ["api-key", "show", "bob/example.com"]),
        ("langkeys api-key show eve:p", ["api-key", "show", "eve:prod"]),
        ("langkeys user show bob@example.com --js", ["user", "show", "bob@example.com", "--json"]),
        ("langkeys api-key list --reason 'a b: c@d' --user ev",
         ["api-key", "list", "--reason", "a b: c@d", "--user", "eve:prod"]),
    ):  # fmt: skip
        assert shell.completed(line) == arguments, line


def test_files_are_completed_where_a_file_is_meant(shell: ShellAtTerminal, stocked: Site) -> None:
    (stocked.folder / "leaked-key.txt").touch()
    line = "langkeys whoami --api-key-file leak"
    assert shell.completed(line) == ["whoami", "--api-key-file", "leaked-key.txt"]


def test_a_name_is_never_run(shell: ShellAtTerminal, stocked: Site, superuser: str) -> None:
    database: Database = stocked.database
    database.rows("DELETE FROM apikey")
    for name in HOSTILE:
        database.add_key(superuser, name)
        database.add_user(name, is_superuser=False)
        database.add_variable(superuser, name, encrypted("x"))
    # The only name with this start: it would be inserted into the line.
    database.add_user("k;touch pwned", is_superuser=False)
    database.add_key(superuser, "m$(touch pwned)")
    for line in ("api-key show ", "user show a", "variable show a", "user show k",
                 "api-key show m"):  # fmt: skip
        shell.completed(f"langkeys {line}")
    assert not (stocked.folder / "pwned").exists()
    assert not list(stocked.folder.rglob("pwned*"))
