"""Messages on narrow terminals are wrapped at words, but commands can still be copied."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from langkeys.cli import app
from langkeys.cli.wrapping import command_lines, wrapped

from ..support.databases import Database, ahead
from ..support.samples import encrypted
from ..support.sites import Result, Site
from ..support.terminals import Terminal

Call = Callable[..., Result]

WIDTHS = (60, 80, 120)


def test_a_message_is_wrapped_at_words_below_its_start() -> None:
    said = "note: the same in every row: user administrator, status active"
    assert wrapped(said, 30, 6) == [
        "note: the same in every row:",
        "      user administrator,",
        "      status active",
    ]
    assert wrapped(said, None, 6) == [said] == wrapped(said, len(said), 6)
    assert wrapped("x" * 40, 30) == ["x" * 40]
    assert wrapped(f"  {'x' * 40} y", 30, 2) == [f"  {'x' * 40}", "    y"]


def test_a_command_after_a_colon_has_its_own_line() -> None:
    said = "hint: to see ids: langkeys api-key list --all-users; or use an id"
    assert wrapped(said, 45, 6) == [
        "hint: to see ids:",
        "      langkeys api-key list --all-users; or",
        "      use an id",
    ]
    assert wrapped(said, 30, 6) == [
        "hint: to see ids:",
        "      langkeys api-key list \\",
        "      --all-users; or use an",
        "      id",
    ]


def test_every_command_is_known_and_prose_is_none() -> None:
    root = typer.main.get_command(app)
    for name in root.members:
        assert wrapped(f"to do it: langkeys {name} --all x, then", 30)[1].startswith("langkeys")
    said = "remove the newline: langkeys and Langflow treat it as a part of the key"
    assert wrapped(said, 40)[0] == "remove the newline: langkeys and"


@given(
    st.lists(
        st.sampled_from(["langkeys", "--name", "'a b  c'", '"x y"', "-", "k" * 30]), min_size=1
    ),
    st.integers(1, 90),
)
def test_a_shell_reads_a_wrapped_command_as_it_was(words: list[str], width: int) -> None:
    command = " ".join(words)
    lines = command_lines(command, width)
    assert " ".join(line.removesuffix(" \\") for line in lines) == command
    assert all(line.endswith(" \\") for line in lines[:-1])
    for line in lines:
        assert len(line) <= width or line.removesuffix(" \\") in words


def test_a_wrapped_command_runs(tmp_path: str) -> None:
    command = "printf '%s|' one 'two  three' \"four five\" six"
    wrapped_command = "\n  ".join(command_lines(command, 20))
    assert "\n" in wrapped_command
    ran = [
        subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout
        for line in (command, wrapped_command)
    ]
    assert ran[0] == ran[1] == b"one|two  three|four five|six|"


@pytest.fixture
def filled(site: Site, database: Database, superuser: str) -> Site:
    alice = database.add_user("alice.with.a.long.name@example.com", is_superuser=False)
    database.add_key(superuser, "ci", expires_at=ahead(days=9))
    database.add_key(alice, "the staging deployment of the customer portal in Frankfurt am Main")
    for _ in range(2):
        database.add_key(alice, "twice")
    database.add_variable(superuser, "OPENAI_API_KEY", encrypted("x"))
    return site


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("whoami", 0),
        ("api-key show ci", 0),
        ("api-key show nothing", 3),
        ("api-key show twice", 3),
        ("api-key create --name new", 0),
        ("api-key rotate ci --grace 7d", 0),
        ("api-key revoke twice --yes", 3),
        ("user show alice.with.a.long.name@example.com", 0),
        ("user deactivate alice.with.a.long.name@example.com --yes --dry-run", 0),
        ("variable explain OPENAI_API_KEY", 0),
        ("variable explain NOTHING", 0),
        ("variable show NOTHING", 3),
        ("secret-key check", 0),
        ("backup copy.db", 0),
        ("doctor", 0),
        ("api-key lst", 2),
        ("api-key create --expire 3d", 2),
        ("init", 0),
    ],
)
def test_no_word_is_folded_at_a_terminal(filled: Site, line: str, code: int, width: int) -> None:
    with Terminal(filled, *line.split(), columns=width) as terminal:
        terminal.finish(code)
    for shown in terminal.text.splitlines():
        # A path may be wider than the terminal.
        assert len(shown) <= width or " " not in shown.strip(), shown


def test_a_question_is_wrapped(filled: Site, database: Database) -> None:
    line = ("user", "deactivate", "alice.with.a.long.name@example.com")
    with Terminal(filled, *line, columns=60) as terminal:
        terminal.expect("[y/N]")
        terminal.send("n\n")
        terminal.finish(1)
    question = terminal.text.split("[y/N]")[0]
    assert all(len(shown) <= 60 or " " not in shown for shown in question.splitlines())


def test_elsewhere_a_message_is_one_line(filled: Site, call: Call) -> None:
    failed = call("api-key", "show", "nothing", COLUMNS="20").failed(3)
    assert len(failed.stderr.splitlines()) == 2


@pytest.mark.parametrize("width", WIDTHS)
def test_doctor_shows_every_setting_whole(filled: Site, width: int) -> None:
    settings = filled.call("doctor", "--json").json()["settings"]
    with Terminal(filled, "doctor", columns=width) as terminal:
        terminal.finish()
    lines = terminal.text.splitlines()
    for setting in settings:
        if setting["value"] is not None:
            (at,) = (n for n, line in enumerate(lines) if line.startswith(f"{setting['name']} "))
            assert setting["value"] in " ".join(lines[at : at + 2])
