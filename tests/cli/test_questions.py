"""Questions before access ends, and questions if stdin is used for data."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ..support.databases import Database, ago, ahead
from ..support.samples import PASSWORD, encrypted, new_api_key
from ..support.sites import Site
from ..support.terminals import Terminal

PROMPT = "Password for administrator"


@pytest.fixture
def asking(site: Site) -> Site:
    """The site, on which the superuser's password must be prompted for."""
    site.settings["LANGFLOW_AUTO_LOGIN"] = "false"
    return site


# Commands that end access


@pytest.fixture
def ending(site: Site, database: Database, superuser: str) -> Site:
    """A site with two keys, one of which expires, a user with a key, and a second superuser."""
    database.add_key(superuser, "ci")
    database.add_key(superuser, "dated", expires_at=ahead(days=3))
    (site.folder / "given-key").write_text(new_api_key())
    database.add_key(database.add_user("alice", is_superuser=False), "hers")
    database.add_user("bob")
    return site


ENDINGS = (
    ("api-key", "revoke", "ci"),
    ("api-key", "prune", "--user", "alice"),
    ("api-key", "deactivate", "ci"),
    ("api-key", "update", "ci", "--expires", "30d"),
    ("api-key", "update", "dated", "--expires", "2d", "--name", "dated"),
    ("api-key", "ensure", "ci", "--value-file", "new-key", "--new", "--replace"),
    ("api-key", "ensure", "ci", "--value-file", "given-key", "--replace"),
    ("user", "deactivate", "alice"),
    ("user", "deactivate", "alice", "--revoke-keys"),
    ("user", "deactivate", "bob"),
    ("user", "demote", "bob"),
)
REFUSED_UNASKED = (ENDINGS[0], ENDINGS[1])
"""These commands are refused if nobody can be asked."""


@pytest.mark.parametrize("line", ENDINGS)
def test_a_person_is_asked_before_access_ends(
    ending: Site, database: Database, line: tuple[str, ...]
) -> None:
    before = database.content()
    for answer in ("n\n", "\n", "\x04", "\x03"):
        with Terminal(ending, *line) as terminal:
            terminal.expect("[y/N]")
            assert str(database.path) in terminal.text
            terminal.send(answer)
            terminal.finish(130 if answer == "\x03" else 1)
        assert database.content() == before
        assert not (ending.folder / "new-key").exists()
    with Terminal(ending, *line) as terminal:
        terminal.expect("[y/N]")
        terminal.send("y\n")
        terminal.finish()
    assert database.content() != before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("alice",), "alice, who has 1 API key, in {}? They will not be able to log in, and servers"
                     " refuse their keys. [y/N]"),
        (("alice", "--revoke-keys"), "alice, who has 1 API key, in {}? They will not be able to log"
                                     " in, and their keys are revoked for good. [y/N]"),
        (("bob",), "bob, a superuser, in {}? They will not be able to log in. [y/N]"),
        (("eve",), "eve, a superuser with 2 API keys, in {}? They will not be able to log in, and"
                   " servers refuse their keys. [y/N]"),
    ],
)  # fmt: skip
def test_the_question_says_what_a_user_loses(
    ending: Site, database: Database, line: tuple[str, ...], said: str
) -> None:
    eve = database.add_user("eve")
    database.add_key(eve)
    database.add_key(eve)
    with Terminal(ending, "user", "deactivate", *line) as terminal:
        terminal.expect("[y/N]")
        terminal.send("n\n")
        terminal.finish(1)
    assert f"Deactivate {said.format(database.path)}" in " ".join(terminal.text.split())


@pytest.mark.parametrize("line", ENDINGS)
def test_yes_skips_the_question(ending: Site, database: Database, line: tuple[str, ...]) -> None:
    before = database.content()
    with Terminal(ending, *line, "--yes") as terminal:
        terminal.finish()
    assert "[y/N]" not in terminal.text
    assert database.content() != before


@pytest.mark.parametrize("line", ENDINGS)
def test_where_nobody_can_be_asked_all_goes_on_as_before(
    ending: Site, database: Database, line: tuple[str, ...]
) -> None:
    before = database.content()
    result = ending.call(*line)
    if line in REFUSED_UNASKED:
        result.failed(2, "--yes")
        assert database.content() == before
    else:
        result.done()
        assert database.content() != before


@pytest.mark.parametrize(
    "line",
    [
        ("user", "deactivate", "carol"),
        ("user", "demote", "carol"),
        ("api-key", "activate", "ci"),
        ("user", "deactivate", "alice", "--dry-run"),
        ("api-key", "update", "dated", "--expires", "4d"),
        ("api-key", "update", "dated", "--expires", "never"),
        ("api-key", "update", "over", "--expires", "1d"),
        ("api-key", "update", "ci", "--name", "other"),
        ("api-key", "ensure", "ci", "--value-file", "new-key", "--new"),
        ("api-key", "ensure", "new", "--value-file", "new-key", "--replace"),
        ("api-key", "ensure", "over", "--value-file", "new-key", "--replace"),
        ("variable", "set", "TOKEN", "--value-file", "given-key"),
    ],
)
def test_where_nothing_ends_nobody_is_asked(
    ending: Site, database: Database, superuser: str, line: tuple[str, ...]
) -> None:
    database.add_user("carol", is_superuser=False)
    database.add_key(superuser, "over", expires_at=ago(days=1))
    database.add_variable(superuser, "TOKEN", encrypted("x"))
    with Terminal(ending, *line) as terminal:
        terminal.finish()
    assert "[y/N]" not in terminal.text


def test_only_the_keys_that_were_there_at_the_question_are_revoked(
    ending: Site, database: Database, superuser: str
) -> None:
    line = ("api-key", "ensure", "ci", "--value-file", "given-key", "--replace")
    with Terminal(ending, *line) as terminal:
        terminal.expect("Revoke 1 API key of administrator named ci")
        added = database.add_key(superuser, "ci")
        terminal.send("y\n")
        terminal.finish()
    assert f"there are other keys of that name: {added.dashed}" in terminal.text
    assert database.rows("SELECT count(*) FROM apikey WHERE name = 'ci'") == [(2,)]
    ending.call("whoami", "--api-key", "-", stdin=added.plaintext).done()


def test_a_person_sees_that_a_stored_value_is_replaced(
    ending: Site, database: Database, superuser: str
) -> None:
    database.add_variable(superuser, "TOKEN", encrypted("x"))
    with Terminal(ending, "variable", "set", "TOKEN") as terminal:
        terminal.expect("Value of TOKEN (replaces the stored value): ")
        terminal.send("y\n")
        terminal.finish()


# stdin used for data


def test_a_password_is_asked_for_at_the_terminal_where_stdin_has_a_key(
    asking: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "leaked")
    with Terminal(asking, "api-key", "show", "-", "--json", data=key.plaintext, piped=True) as at:
        at.expect(PROMPT)
        at.send(f"{PASSWORD}\n")
        at.finish()
        assert at.is_restored
    assert json.loads(at.stdout)["name"] == "leaked"
    assert PASSWORD not in at.screen


@pytest.mark.parametrize("answer", ["y\n", "n\n", "\x03"])
def test_a_question_is_asked_at_the_terminal_where_stdin_has_a_key(
    site: Site, database: Database, superuser: str, answer: str
) -> None:
    key = database.add_key(superuser, "leaked")
    with Terminal(site, "api-key", "revoke", "-", data=f"{key.plaintext}\n") as terminal:
        terminal.expect("[y/N]")
        terminal.send(answer)
        terminal.finish({"y": 0, "n": 1, "\x03": 130}[answer[0]])
    assert database.key_ids() == ([] if answer == "y\n" else [key.id])
    assert key.plaintext not in terminal.screen


def test_a_value_on_stdin_and_a_password_at_the_terminal(
    asking: Site, database: Database, superuser: str
) -> None:
    line = ("variable", "set", "MY_TOKEN", "--value-file", "-")
    with Terminal(asking, *line, data="a value\n") as terminal:
        terminal.expect(PROMPT)
        terminal.send(f"{PASSWORD}\n")
        terminal.finish()
    assert database.rows("SELECT name FROM variable") == [("MY_TOKEN",)]


def test_stdin_that_is_no_data_is_no_reason_to_ask(
    asking: Site, ending: Site, database: Database
) -> None:
    # stdin is not a terminal, as in a loop that reads a list, or with < /dev/null.
    before = database.key_ids()
    with Terminal(asking, "api-key", "list", data="") as terminal:
        terminal.finish(4)
    assert PROMPT not in terminal.text
    asking.settings["LANGFLOW_AUTO_LOGIN"] = "true"
    with Terminal(ending, "api-key", "revoke", "ci", data="x") as terminal:
        terminal.finish(2)
    with Terminal(ending, "api-key", "create", "--write-to", "-", data="x") as terminal:
        terminal.finish()
    assert "[y/N]" not in terminal.text
    assert len(database.key_ids()) == len(before) + 1


# Runs langkeys as a background job of a shell with a terminal; or without a controlling terminal,
# although stderr is a terminal, as is possible with docker run -t or ssh -t.
_JOB = """
import fcntl, os, sys, termios
how, *arguments = sys.argv[1:]
if how == "background":
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)
child = os.fork()
if child == 0:
    if how == "background":
        os.setpgid(0, 0)
    os.execv(sys.executable, [sys.executable, "-m", "langkeys", *arguments])
if how == "background":
    os.setpgid(child, child) if os.getpgid(child) != child else None
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("how", ["background", "no terminal of its own"])
@pytest.mark.parametrize("stdin", ["data", "terminal"])
@pytest.mark.parametrize(
    ("line", "code"), [(("api-key", "revoke", "-"), 2), (("api-key", "list", "--json"), 4)]
)
def test_a_job_that_nobody_answers_does_not_wait(
    asking: Site, database: Database, superuser: str, how: str, stdin: str,
    line: tuple[str, ...], code: int,
) -> None:  # fmt: skip
    key = database.add_key(superuser, "leaked")
    if how != "background" and stdin == "terminal":
        pytest.skip("stdin and stderr are terminals, so a person could answer")
    if code == 2 and stdin == "terminal":
        pytest.skip("a background job reads its key from a file")
    settings = {"LANGFLOW_AUTO_LOGIN": "true"} if code == 2 else {}
    with Terminal(asking, "--version") as terminal:
        terminal.finish()
        process = asking.spawn(
            how, *line,
            command=(sys.executable, "-c", _JOB),
            settings={"COLUMNS": None, **settings},
            stdin=subprocess.PIPE if stdin == "data" else terminal.device,
            stdout=subprocess.PIPE, stderr=terminal.device, start_new_session=True,
        )  # fmt: skip
        out, _ = process.communicate(
            key.plaintext.encode() if stdin == "data" else None, timeout=30
        )
        assert process.returncode == code
        assert out == b""
    assert database.key_ids() == [key.id]


# Ctrl-C


@pytest.mark.parametrize("line", [("whoami",), ("api-key", "revoke", "ci")])
def test_ctrl_c_ends_its_line(ending: Site, line: tuple[str, ...]) -> None:
    settings = {"LANGFLOW_AUTO_LOGIN": "false"} if line == ("whoami",) else {}
    with Terminal(ending, *line, **settings) as terminal:
        terminal.expect(PROMPT if settings else "[y/N]")
        terminal.send("\x03")
        terminal.finish(130)
    assert terminal.text.endswith("\nerror: interrupted; nothing was done\n")
    question, error = terminal.text.splitlines()[-2:]
    assert question.rstrip("^C ").endswith((":", "[y/N]"))
    assert error == "error: interrupted; nothing was done"


# Questions about several keys


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize(
    ("line", "verb"),
    [(("prune", "--user", "alice"), "Revoke"), (("rotate", "--user", "alice", "--all"), "Rotate")],
)
def test_a_question_about_several_keys_is_below_a_table_of_them(
    ending: Site, database: Database, line: tuple[str, ...], verb: str, piped: bool
) -> None:
    (owner,) = database.rows("SELECT id FROM user WHERE username = 'alice'")[0]
    added = [database.add_key(owner, f"key-{number}").id for number in range(11)]
    before = database.content()
    with Terminal(ending, "api-key", *line, piped=piped, columns=100) as terminal:
        terminal.expect("[y/N]")
        terminal.send("n\n")
        terminal.finish(1)
    assert terminal.stdout == ""
    table, _, question = terminal.text.partition("and 2 more\n")
    assert f"{verb} 12 API keys in {database.path}?" in " ".join(question.split())
    shown = [row.split()[:2] for row in table.splitlines()[2:]]
    names = [[key_id[:8], f"key-{number}"] for number, key_id in enumerate(added[:9])]
    assert shown[1:] == names
    assert shown[0][1] == "hers"
    assert "note: the same in every row: user alice" in question
    assert database.content() == before
    with Terminal(ending, "api-key", *line, "--yes", piped=piped) as terminal:
        terminal.finish()
    assert "more\n" not in terminal.text
