"""What goes to stdout and what to stderr, on a terminal and in a pipe."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest

from ..support.databases import Database
from ..support.sites import LANGKEYS, Result, Site
from ..support.terminals import Terminal, run_at_terminal

Call = Callable[..., Result]

NASTY = "tab\there\nnew line\\backslash"
ESCAPES = "\x1b[31mred\x1b[0m \x07bell \x9b31m"
OVERRIDES = "a\u202eevil\u202c \u2066isolate\u2069"
HARMLESS = "👩🏽 ❤\ufe0f שלום"


@pytest.fixture
def key_named(database: Database, superuser: str) -> Callable[[str], str]:
    """Return a function that adds a key with a name to the site and returns its dashed id."""
    return lambda name: database.add_key(superuser, name).dashed


# In a pipe


def test_a_piped_list_is_a_line_a_row_in_fixed_columns(
    call: Call, key_named: Callable[[str], str]
) -> None:
    ids = [key_named("one"), key_named("two")]
    result = call("api-key", "list").done()
    assert [row[0] for row in result.rows] == ids
    assert [len(row) for row in result.rows] == [9, 9]
    assert result.stdout.endswith("\n")
    assert result.stderr == ""


def test_tab_newline_and_backslash_are_escaped_in_a_piped_row(
    call: Call, key_named: Callable[[str], str]
) -> None:
    key_named(NASTY)
    (row,) = call("api-key", "list").done().rows
    assert len(row) == 9
    assert row[1] == "tab\\there\\nnew line\\\\backslash"


def test_a_missing_value_is_an_empty_column(call: Call, database: Database, superuser: str) -> None:
    database.add_key("0" * 32, None)
    (row,) = call("api-key", "list", "--all-users").done().rows
    assert (row[1], row[3], row[6], row[8]) == ("", "", "", "")


def test_nothing_is_cut_or_coloured_in_a_pipe(run: Call, key_named: Callable[[str], str]) -> None:
    key_named("x" * 250)
    for extra in ({}, {"FORCE_COLOR": "1", "COLUMNS": "20", "CLICOLOR_FORCE": "1"}):
        result = run("api-key", "list", **extra).done()
        assert "x" * 250 in result.stdout
        assert "\x1b" not in result.stdout
        assert len(result.lines) == 1


def test_an_empty_list_is_nothing_in_a_pipe_and_an_empty_array_in_json(call: Call) -> None:
    assert call("api-key", "list").done().stdout == ""
    assert call("api-key", "list", "--json").done().json() == []


def test_json_is_one_document_with_the_name_as_it_is(
    call: Call, key_named: Callable[[str], str]
) -> None:
    for name in (NASTY, ESCAPES, OVERRIDES, HARMLESS):
        key_named(name)
    found = call("api-key", "list", "--json").done().json()
    assert [key["name"] for key in found] == [NASTY, ESCAPES, OVERRIDES, HARMLESS]


def test_notes_go_to_stderr_and_quiet_silences_them(call: Call) -> None:
    result = call("api-key").done()
    assert result.stderr.startswith("note: ")
    assert len(result.lines) == 1
    assert call("api-key", "--quiet").done().stderr == ""


def test_warnings_stay_with_quiet(site: Site) -> None:
    site.write_env("AUTO_LOGIN=true\n")
    result = site.call("api-key", "list", "-q").done()
    assert result.stderr.startswith("warning: ")
    assert "LANGFLOW_AUTO_LOGIN" in result.stderr


def test_json_has_no_notes_and_keeps_warnings_off_stdout(site: Site) -> None:
    site.write_env("AUTO_LOGIN=true\n")
    result = site.call("api-key", "--json").done()
    assert result.json()["name"] == "CLI"
    assert "LANGFLOW_AUTO_LOGIN" in result.stderr
    assert "note: " not in result.stderr


@pytest.mark.parametrize("locale", [{"LANG": "C", "LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_name_does_not_fail_in_an_ascii_locale(
    run: Call, key_named: Callable[[str], str], locale: dict[str, str]
) -> None:
    key_named(HARMLESS)
    settings = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", **locale}
    for arguments in (("api-key", "list"), ("api-key", "list", "--json")):
        run(*arguments, **settings).done()
    run("api-key", "show", "שלום", **settings).failed(3)


# On a terminal


def test_a_list_at_a_terminal_is_a_table_with_titles(
    site: Site, key_named: Callable[[str], str]
) -> None:
    key_id = key_named("one")
    terminal = run_at_terminal(site, "api-key", "list")
    for word in ("ID", "NAME", "STATUS", key_id[:8], "one", "active", "24h ago"):
        assert word in terminal.text
    assert "\t" not in terminal.text


@pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize(
    "arguments",
    [("api-key", "list"), ("api-key", "create"), ("api-key", "show", "one"), ("whoami",)],
)
def test_no_color_and_a_dumb_terminal_are_honoured(
    site: Site,
    key_named: Callable[[str], str],
    settings: dict[str, str],
    arguments: tuple[str, ...],
) -> None:
    key_named("one")
    terminal = run_at_terminal(site, *arguments, **settings)
    colours = [part for part in terminal.screen.split("\x1b[")[1:] if part[:2] not in ("1m", "0m")]
    assert colours == []
    if settings.get("TERM") == "dumb":
        assert not terminal.has_escapes


def test_a_card_has_the_whole_of_a_long_name(site: Site, key_named: Callable[[str], str]) -> None:
    key_id = key_named("abcdefghijklmnopqrstuvwxyz" * 4)
    terminal = run_at_terminal(site, "api-key", "show", key_id, columns=60)
    assert "abcdefghijklmnopqrstuvwxyz" * 4 in terminal.text


@pytest.mark.parametrize("name", [ESCAPES, OVERRIDES])
@pytest.mark.parametrize("arguments", [("list",), ("show", "ID"), ("revoke", "ID", "--dry-run")])
def test_control_characters_in_a_name_are_shown_and_not_obeyed_at_a_terminal(
    site: Site, key_named: Callable[[str], str], name: str, arguments: tuple[str, ...]
) -> None:
    key_id = key_named(name)
    given = [key_id if argument == "ID" else argument for argument in arguments]
    terminal = run_at_terminal(site, "api-key", *given, TERM="dumb")
    _assert_tame(terminal)


def test_control_characters_in_a_name_are_not_obeyed_in_a_question(
    site: Site, key_named: Callable[[str], str]
) -> None:
    for name in (ESCAPES, OVERRIDES):
        with Terminal(site, "api-key", "revoke", key_named(name), TERM="dumb") as terminal:
            terminal.expect("[y/N]")
            terminal.send("n\n")
            terminal.finish(1)
            _assert_tame(terminal)


def test_control_characters_in_a_name_are_not_obeyed_among_candidates(
    site: Site, key_named: Callable[[str], str]
) -> None:
    for name in (ESCAPES, OVERRIDES):
        key_named(name)
        key_named(name)
        with Terminal(site, "api-key", "show", name, TERM="dumb") as terminal:
            _assert_tame(terminal.finish(3))


def test_a_newline_in_a_name_makes_no_candidate_of_its_own(
    site: Site, key_named: Callable[[str], str]
) -> None:
    name = "ci\n  ffffffff-0000-0000-0000-000000000000  forged  administrator"
    key_named(name)
    key_named(name)
    result = site.call("api-key", "show", name).failed(3)
    assert len([line for line in result.stderr.splitlines() if line.startswith("  ")]) == 2


def test_the_name_of_a_user_is_not_obeyed_at_a_terminal(site: Site, database: Database) -> None:
    database.rows("UPDATE user SET username = ?", (ESCAPES,))
    _assert_tame(run_at_terminal(site, "whoami", LANGFLOW_SUPERUSER=ESCAPES, TERM="dumb"))


def _assert_tame(terminal: Terminal) -> None:
    assert "\\" in terminal.text
    for character in ("\x1b", "\x07", "\x9b", "\u202e", "\u2066"):
        assert character not in terminal.screen


def test_emoji_and_right_to_left_names_are_shown_as_they_are(
    site: Site, key_named: Callable[[str], str]
) -> None:
    key_named(HARMLESS)
    key_named("👩\u200d💻")
    text = run_at_terminal(site, "api-key", "list").text
    assert HARMLESS in text
    assert "👩\\u200d💻" in text


def test_json_is_the_same_at_a_terminal(site: Site, key_named: Callable[[str], str]) -> None:
    key_named("one")
    piped = site.call("api-key", "list", "--json").stdout
    assert run_at_terminal(site, "api-key", "list", "--json").screen == piped


def test_progress_shows_at_a_terminal_only_and_never_on_stdout(site: Site) -> None:
    count = ("api-key", "create", "--count", "1500")
    with Terminal(site, *count, piped=True) as terminal:
        terminal.finish()
    assert "creating API keys" in terminal.text
    assert len(terminal.stdout.splitlines()) == 1500
    assert all(line.startswith("sk-") for line in terminal.stdout.splitlines())
    assert "creating API keys" not in site.call(*count).done().stderr


# A stdout that is closed or full, or whose reader has gone


def test_a_reader_that_goes_away_ends_a_list_without_a_traceback(
    site: Site, database: Database, superuser: str
) -> None:
    for _ in range(20):
        database.add_key(superuser, "x" * 200)
    script = f"{' '.join(LANGKEYS)} api-key list --all-users | head -1"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=site.folder,
        env=site.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments", [("api-key", "list"), ("api-key", "list", "--json"), ("whoami",), ("--version",)]
)
def test_a_reader_that_has_gone_is_a_failure_without_words(
    site: Site, key_named: Callable[[str], str], arguments: tuple[str, ...]
) -> None:
    key_named("one")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout:
        result = site.run(*arguments, stdout=stdout)
    assert result.code == 1
    assert result.stderr == ""


@pytest.mark.parametrize(
    "arguments", ["api-key list", "api-key create", "whoami", "--version", "api-key list --json"]
)
def test_a_closed_stdout_is_said_on_stderr_before_anything_is_done(
    site: Site, arguments: str
) -> None:
    before = site.database.content()
    script = f"{' '.join(LANGKEYS)} {arguments} >&-"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=site.folder,
        env=site.environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "stdout" in done.stderr
    assert "Traceback" not in done.stderr
    assert site.database.content() == before


@pytest.mark.parametrize("arguments", [("api-key", "list"), ("whoami", "--json"), ("--version",)])
def test_a_full_disk_behind_stdout_is_an_error(
    site: Site, key_named: Callable[[str], str], arguments: tuple[str, ...]
) -> None:
    key_named("one")
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        result = site.run(*arguments, stdout=full)
    assert result.code == 1
    assert "No space left" in result.stderr


def test_a_closed_stderr_does_no_harm(site: Site) -> None:
    script = f"{' '.join(LANGKEYS)} api-key create 2>&-"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=site.folder,
        env=site.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("sk-")
