"""Global options, the default command, refused arguments, help and completion."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from langkeys import __version__

from ..support import databases
from ..support.databases import Database
from ..support.samples import SECRET_KEY, new_api_key
from ..support.sites import Result, Site

Call = Callable[..., Result]


@pytest.fixture
def other(site: Site) -> Database:
    """A second database next to the site's, with a key in it."""
    database = databases.create(site.folder / "other.db")
    database.add_key(database.add_user("administrator"), "of the other")
    return database


# Global options


@pytest.mark.parametrize(
    "arguments",
    [
        ("--database", "other.db", "api-key", "list"),
        ("api-key", "--database", "other.db", "list"),
        ("api-key", "list", "--database", "other.db"),
        ("api-key", "list", "--database=other.db"),
        ("api-key", "list", "--database", "sqlite:///other.db"),
        ("--database", "missing.db", "api-key", "list", "--database", "other.db"),
        ("--database", "missing.db", "api-key", "--database", "other.db", "list"),
    ],
)
def test_a_global_option_is_taken_anywhere_and_the_last_one_counts(
    call: Call, other: Database, arguments: tuple[str, ...]
) -> None:
    assert [row[1] for row in call(*arguments).done().rows] == ["of the other"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--env-file", "other.env", "whoami"),
        ("whoami", "--env-file", "other.env"),
        ("--env-file", "missing.env", "whoami", "--env-file=other.env"),
    ],
)
def test_a_settings_file_is_taken_before_the_command_or_after_it(
    site: Site, arguments: tuple[str, ...]
) -> None:
    site.database.add_user("ops")
    (site.folder / "other.env").write_text("LANGFLOW_SUPERUSER=ops\n")
    result = site.call(*arguments, LANGFLOW_SUPERUSER=None).done()
    assert result.rows[0][1] == "ops"


@pytest.mark.parametrize("quiet", ["-q", "--quiet"])
def test_quiet_is_taken_before_the_command_or_after_it(call: Call, quiet: str) -> None:
    for arguments in ((quiet, "api-key"), ("api-key", quiet), ("api-key", "create", quiet)):
        assert call(*arguments).done().stderr == ""


def test_a_reason_is_taken_before_the_command_or_after_it(call: Call) -> None:
    reason = ("--reason", "ticket 17")
    for arguments in ((*reason, "api-key"), ("api-key", *reason), ("api-key", "create", *reason)):
        assert call(*arguments).done().stdout.startswith("sk-")


# The default command


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--name", "CLI"),
        ("--name=CLI", "--count", "1"),
        ("-q",),
        ("--database", "langflow.db"),
        ("--database=langflow.db", "-q", "--name", "CLI"),
    ],
)
def test_api_key_alone_makes_one(call: Call, database: Database, options: tuple[str, ...]) -> None:
    result = call("api-key", *options).done()
    assert result.stdout.startswith("sk-")
    assert database.rows("SELECT name FROM apikey") == [("CLI",)]


def test_api_key_alone_takes_json(call: Call) -> None:
    assert call("api-key", "--json").done().json()["name"] == "CLI"


def test_a_name_that_is_a_verb_is_a_name(call: Call, database: Database) -> None:
    call("api-key", "--name", "list").done()
    assert database.rows("SELECT name FROM apikey") == [("list",)]


# Refused arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ("api-key", "show", "{key}"),
        ("api-key", "revoke", "{key}", "--yes"),
        ("api-key", "revoke", "sample", "{key}"),
        ("api-key", "--name", "{key}"),
        ("api-key", "--name={key}"),
        ("whoami", "--api-key", "{key}"),
        ("whoami", "--api-key={key}"),
        ("whoami", "{key}"),
        ("{key}",),
        ("api-key", "show", "--", "{key}"),
        ("api-key", "show", " {key} "),
        ("api-key", "show", "x-api-key: {key}"),
        ("api-key", "list", "--user", "{key}"),
        ("whoami", "--url", "http://localhost/?x-api-key={key}"),
        ("whoami", "--url", "http://localhost/?a=b&x-api-key={key}"),
        ("whoami", "--database", "{key}"),
        ("--help", "{key}"),
    ],
)
def test_a_whole_key_in_the_arguments_is_refused_and_not_shown(
    site: Site, superuser: str, arguments: tuple[str, ...]
) -> None:
    key = site.database.add_key(superuser)
    before = site.database.content()
    given = [argument.format(key=key.plaintext) for argument in arguments]
    result = site.call(*given, LANGFLOW_URL="http://localhost:9").failed(2)
    assert "argument" in result.stderr
    assert key.plaintext[10:] not in result.stderr
    assert site.database.content() == before


def test_a_whole_key_in_the_arguments_is_refused_in_json_too(call: Call) -> None:
    result = call("api-key", "show", new_api_key(), "--json").failed(2)
    assert result.error["code"] == "usage"
    assert "stdin" in result.error["hint"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("whoami", SECRET_KEY),
        ("api-key", "create", SECRET_KEY),
        ("api-key", "list", SECRET_KEY, "another"),
        ("api-key", "show", "sample", SECRET_KEY),
        ("init", SECRET_KEY),
    ],
)
def test_extra_arguments_are_refused_and_not_shown(site: Site, arguments: tuple[str, ...]) -> None:
    # Site.call itself asserts that no output contains SECRET_KEY.
    result = site.call(*arguments).failed(2)
    assert "too many" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("hint: ")


BAD_NAMES = {
    "empty": "",
    "blank": "   ",
    "10 kB": "x" * 10_240,
    "NUL": "a\0b",
    "escape": "a\x1b[31mb",
    "newline": "a\nb",
    "tab": "a\tb",
    "bell": "a\x07",
    "C1 control": "a\x9b31m",
    "right-to-left override": "a\u202eb",
    "isolate": "a\u2066b",
    "line separator": "a\u2028b",
    "lone surrogate": "a\udcffb",
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_name_that_cannot_be_shown_is_refused_and_not_repeated(site: Site, name: str) -> None:
    result = site.call("api-key", "--name", name).failed(2)
    assert result.stderr.startswith("error: ")
    assert len(result.stderr) < 500
    assert not any(c in result.stderr for c in "\0\x1b\x07\x9b\u202e\u2066\u2028")
    assert site.database.key_ids() == []


@pytest.mark.parametrize(
    "name",
    [
        "x" * 255,
        "🚀",
        "👩\u200d💻 👍🏽 ❤️",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "שלום עולם",
        "مفتاح",
        "鍵\u3000一",
        "with 'quotes' \"and\" $HOME; rm -rf /",
        "-",
        "back\\slash",
    ],
)
def test_any_other_name_is_taken_as_it_is(site: Site, name: str) -> None:
    site.call("api-key", f"--name={name}").done()
    assert site.database.rows("SELECT name FROM apikey") == [(name,)]
    assert site.call("api-key", "list", "--json").done().json()[0]["name"] == name


# Version, help, completion


def test_version_is_one_line_on_stdout(empty_site: Site) -> None:
    result = empty_site.run("--version").done()
    assert (result.stdout, result.stderr) == (f"langkeys {__version__}\n", "")


@pytest.mark.parametrize(
    "path", [(), ("api-key",), ("init",), ("whoami",), ("api-key", "create"), ("api-key", "revoke")]
)
def test_help_goes_to_stdout_and_needs_nothing(empty_site: Site, path: tuple[str, ...]) -> None:
    result = empty_site.call(*path, "--help").done()
    assert result.stdout.startswith(f"Usage: {' '.join(('langkeys', *path))}")
    assert result.stderr == ""
    for word in ("--database", "--env-file", "--quiet"):
        assert word in result.stdout
    assert "\x1b" not in result.stdout


def test_no_argument_at_all_is_the_help(empty_site: Site) -> None:
    assert empty_site.call().done().stdout == empty_site.call("--help").done().stdout


def test_the_help_of_a_group_lists_its_commands(empty_site: Site) -> None:
    text = empty_site.call("api-key", "--help").done().stdout
    for verb in ("create", "list", "show", "revoke"):
        assert verb in text


def test_completion_knows_commands_and_verbs(empty_site: Site) -> None:
    def completed(line: str) -> str:
        words = line.split(" ")
        return empty_site.run(
            _LANGKEYS_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
        ).stdout

    assert "whoami" in completed("langkeys who")
    assert "revoke" in completed("langkeys api-key ")
    assert "--all-users" in completed("langkeys api-key list --all")


def test_completion_can_be_installed(empty_site: Site) -> None:
    assert "--install-completion" in empty_site.call("--help").done().stdout
    # The shell is detected by the parent process, so run langkeys below a shell.
    below = ("bash", "-c", '"$0" -m langkeys "$@"; exit $?', sys.executable)
    script = empty_site.run("--show-completion", command=below)
    assert "_LANGKEYS_COMPLETE" in script.done().stdout
