"""Questions on a real terminal: passwords, Ctrl-C, and cases where nobody can be asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from ..support.databases import Database
from ..support.samples import PASSWORD, WRONG_PASSWORD
from ..support.sites import LANGKEYS, Site
from ..support.terminals import Terminal

PROMPT = "Password for administrator"


@pytest.fixture
def asking(site: Site) -> Site:
    """The site, on which the superuser's password must be prompted for."""
    site.settings["LANGFLOW_AUTO_LOGIN"] = "false"
    return site


def test_a_password_is_asked_for_and_not_shown(asking: Site) -> None:
    with Terminal(asking, "whoami") as terminal:
        terminal.expect(PROMPT)
        terminal.send(f"{PASSWORD}\n")
        terminal.finish()
        assert "administrator, superuser" in terminal.text
        assert terminal.is_restored


def test_a_password_is_asked_for_though_stdout_is_no_terminal(asking: Site) -> None:
    # KEY=$(langkeys api-key)
    with Terminal(asking, "api-key", piped=True) as terminal:
        terminal.expect(PROMPT)
        terminal.send(f"{PASSWORD}\n")
        terminal.finish()
    assert terminal.stdout.startswith("sk-")
    assert len(terminal.stdout.splitlines()) == 1
    assert terminal.stdout.strip() not in terminal.screen


def test_a_password_is_asked_for_with_json(asking: Site) -> None:
    with Terminal(asking, "whoami", "--json", piped=True) as terminal:
        terminal.expect(PROMPT)
        terminal.send(f"{PASSWORD}\n")
        terminal.finish()
    assert json.loads(terminal.stdout)["username"] == "administrator"


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        (("user", "create", "alice", "--password-file", "-"), "\nPassword: "),
        (("variable", "set", "TOKEN", "--value-file", "-"), "\nValue of TOKEN: "),
    ],
)
def test_a_secret_from_stdin_is_asked_for_by_its_name(
    site: Site, line: tuple[str, ...], prompt: str
) -> None:
    with Terminal(site, *line) as terminal:
        terminal.expect(prompt.strip())
        assert f"\n{terminal.text}".endswith(prompt)
        terminal.send(f"{PASSWORD}\n")
        terminal.finish()


def test_a_password_is_taken_whole(asking: Site, database: Database) -> None:
    for answer in (f" {PASSWORD}", f"{PASSWORD} ", PASSWORD.upper()):
        with Terminal(asking, "whoami") as terminal:
            terminal.expect(PROMPT)
            terminal.send(f"{answer}\n")
            terminal.finish(4)


@pytest.mark.parametrize("answer", ["\n", "\x04", f"{WRONG_PASSWORD}\n"])
def test_no_password_or_a_wrong_one_is_refused(
    asking: Site, database: Database, answer: str
) -> None:
    before = database.digest()
    with Terminal(asking, "api-key", piped=True) as terminal:
        terminal.expect(PROMPT)
        terminal.send(answer)
        terminal.finish(4)
        assert terminal.is_restored
    assert "error: " in terminal.text
    assert terminal.stdout == ""
    assert database.digest() == before


def test_a_password_that_is_set_is_not_asked_for(asking: Site) -> None:
    with Terminal(asking, "whoami", LANGFLOW_SUPERUSER_PASSWORD=PASSWORD) as terminal:
        terminal.finish()
    assert PROMPT not in terminal.text


@pytest.mark.parametrize("stream", ["stdin", "stderr"])
def test_nobody_is_asked_where_stdin_or_stderr_is_no_terminal(asking: Site, stream: str) -> None:
    with Terminal(asking, "--version") as terminal:
        terminal.finish()
        slave = terminal.device
        streams = {"stdin": slave, "stderr": slave, "stdout": subprocess.PIPE}
        streams[stream] = subprocess.PIPE
        process = asking.spawn("whoami", start_new_session=True, **streams)
        out, err = process.communicate(b"" if stream == "stdin" else None, timeout=60)
        assert process.returncode == 4
        assert out == b""
        if stream == "stderr":
            assert b"no terminal to ask for one" in err


# Ctrl-C, end of input, and closed terminals


@pytest.mark.parametrize("piped", [False, True])
def test_ctrl_c_at_a_password_ends_with_130_and_the_terminal_restored(
    asking: Site, database: Database, piped: bool
) -> None:
    before = database.digest()
    with Terminal(asking, "api-key", piped=piped) as terminal:
        terminal.expect(PROMPT)
        assert not terminal.is_restored
        terminal.send("\x03")
        terminal.finish(130)
        assert terminal.is_restored
    assert "error: interrupted; nothing was done" in terminal.text
    assert terminal.stdout == ""
    assert database.digest() == before


def test_ctrl_c_in_json_is_one_error_object(asking: Site) -> None:
    with Terminal(asking, "api-key", "--json", piped=True) as terminal:
        terminal.expect(PROMPT)
        terminal.send("\x03")
        terminal.finish(130)
    described = terminal.text[terminal.text.index("{") :]
    error = json.loads(described)["error"]
    assert (error["code"], error["message"]) == ("interrupted", "interrupted; nothing was done")


def test_ctrl_c_at_a_question_does_nothing(site: Site, database: Database, superuser: str) -> None:
    database.add_key(superuser, "ci")
    before = database.digest()
    with Terminal(site, "api-key", "revoke", "ci") as terminal:
        terminal.expect("[y/N]")
        terminal.send("\x03")
        terminal.finish(130)
    assert database.digest() == before


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_a_password_ends_with_the_terminal_restored(
    asking: Site, signal_number: signal.Signals
) -> None:
    with Terminal(asking, "api-key") as terminal:
        terminal.expect(PROMPT)
        os.kill(terminal.process.pid, signal_number)
        terminal.finish(128 + signal_number)
        assert terminal.is_restored


def test_a_key_that_is_being_made_when_ctrl_c_comes_is_all_or_nothing(
    site: Site, database: Database
) -> None:
    with Terminal(site, "api-key", "--count", "100000", piped=True) as terminal:
        terminal.expect("creating API keys")
        terminal.send("\x03")
        terminal.finish(130)
    assert terminal.stdout == ""
    assert database.key_ids() == []
    assert database.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_shell_gets_the_key_alone(site: Site) -> None:
    script = f'KEY=$({" ".join(LANGKEYS)} api-key 2>/dev/null); printf "[%s]" "$KEY"'
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=site.folder,
        env=site.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("[sk-")
    assert len(done.stdout) == len("[]") + 46
