"""Suggestions for a mistyped command or option."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langkeys.cli.help import suggestions
from langkeys.cli.help.topics import TOPICS

from ..support.commands import command_named, paths
from ..support.sites import Result

Call = Callable[..., Result]


def hint(call: Call, *arguments: str) -> str:
    line = call(*arguments).failed(2).stderr.splitlines()[-1]
    assert line.startswith("hint: ")
    return line


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        # Mistyped letters
        ("whomai", "langkeys whoami"),
        ("docter", "langkeys doctor"),
        ("api-kye list", "langkeys api-key"),
        ("api_key", "langkeys api-key"),
        ("API-KEY", "langkeys api-key"),
        ("api-key lst", "langkeys api-key list"),
        ("api-key crate", "langkeys api-key create"),
        ("api-key revok", "langkeys api-key revoke"),
        ("user set-pasword", "langkeys user set-password"),
        ("variable exprot", "langkeys variable export"),
        # Abbreviations
        ("sec", "langkeys secret-key"),
        ("var", "langkeys variable"),
        ("api-key rot", "langkeys api-key rotate"),
        # The words of other programs
        ("version", "langkeys --version"),
        ("completion", "langkeys --install-completion"),
        ("api-key ls", "langkeys api-key list"),
        ("variable ls", "langkeys variable list"),
        ("user ls", "langkeys user list"),
        ("api-key rm", "langkeys api-key revoke"),
        ("api-key delete", "langkeys api-key revoke"),
        ("variable rm", "langkeys variable delete"),
        ("variable remove", "langkeys variable delete"),
        ("user rm", "langkeys user deactivate"),
        ("api-key get", "langkeys api-key show"),
        ("variable get", "langkeys variable show"),
        ("user get", "langkeys user show"),
        ("api-key add", "langkeys api-key create"),
        ("api-key new", "langkeys api-key create"),
        ("variable add", "langkeys variable set"),
        ("variable new", "langkeys variable set"),
        ("variable create", "langkeys variable set"),
        ("user add", "langkeys user create"),
        ("user new", "langkeys user create"),
        ("user disable", "langkeys user deactivate"),
        ("user passwd", "langkeys user set-password"),
        ("secret-key new", "langkeys secret-key generate"),
        ("secret-key verify", "langkeys secret-key check"),
        # Plural nouns, and short ones
        ("api-keys list", "langkeys api-key"),
        ("apikeys", "langkeys api-key"),
        ("keys", "langkeys api-key"),
        ("key list", "langkeys api-key"),
        ("variables", "langkeys variable"),
        ("users", "langkeys user"),
        ("secret-keys", "langkeys secret-key"),
        ("backups", "langkeys backup"),
        # A verb without its noun, and a verb after the wrong noun
        ("rotate", "langkeys api-key rotate or langkeys secret-key rotate"),
        ("ls", "langkeys api-key list, langkeys variable list or langkeys user list"),
        ("prune", "langkeys api-key prune"),
        ("revoke ci", "langkeys api-key revoke"),
        ("import", "langkeys variable import"),
        *(
            (f"{word} ci", "langkeys api-key revoke or langkeys variable delete")
            for word in ("delete", "remove", "rm", "del", "destroy", "DELETE")
        ),
        ("api-key whoami", "langkeys whoami"),
        # Topics
        ("help setings", "langkeys help settings"),
        ("help exit-code", "langkeys help exit-codes"),
        ("help config", "langkeys help settings"),
        ("help api-key rotat", "langkeys api-key rotate"),
    ],
)
def test_a_command_that_is_meant_is_suggested(call: Call, typed: str, meant: str) -> None:
    assert hint(call, *typed.split()).startswith(f"hint: did you mean {meant}? see langkeys ")


@pytest.mark.parametrize("path", paths())
def test_help_refuses_a_word_after_a_command(call: Call, path: str) -> None:
    for more in ("now", path.split()[-1], "list"):
        said = call("help", *path.split(), more).failed(2).stderr
        assert said == (
            f"error: no such command: langkeys {path} {more}\nhint: see langkeys {path} --help\n"
        )


@pytest.mark.parametrize("topic", TOPICS)
def test_help_refuses_a_word_after_a_topic(call: Call, topic: str) -> None:
    said = call("help", topic, "x").failed(2).stderr
    assert f"error: the topic {topic} takes no further word" in said
    assert f"hint: see langkeys help {topic}\n" in said


@pytest.mark.parametrize("typed", ["nonsense", "api-key qqq", "help zzz", "user x-y-z", "reset"])
def test_what_is_like_nothing_gets_no_suggestion(call: Call, typed: str) -> None:
    assert "did you mean" not in hint(call, *typed.split())


@pytest.mark.parametrize("typed", ["restore", "restore copy.db", "help restore"])
def test_restore_is_explained(call: Call, typed: str) -> None:
    assert hint(call, *typed.split()) == (
        "hint: a backup is restored by copying it in place while the server is stopped:"
        " docs/backup.md explains how"
    )


@pytest.mark.parametrize("word", ["security", "troubleshooting"])
def test_help_for_an_unknown_topic_lists_the_topics(call: Call, word: str) -> None:
    assert hint(call, "help", word) == (
        "hint: the topics are settings, formats, references, exit-codes and langflow-versions;"
        " for the commands, see langkeys --help"
    )


@pytest.mark.parametrize("option", ["-o", "--output", "--write-to", "-f"])
def test_the_manifest_goes_to_stdout(call: Call, option: str) -> None:
    assert hint(call, "manifest", option, "x") == (
        "hint: the manifest goes to stdout: langkeys manifest > FILE"
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("api-key list --users x", "--user"),
        ("api-key list --all_users", "--all-users"),
        ("api-key list --JSON", "--json"),
        ("api-key list --unused 90d", "--unused-for"),
        ("api-key list --limt 3", "--limit"),
        ("api-key list --stauts active", "--status"),
        ("api-key create --ttl 30d", "--expires"),
        ("api-key create --expiry 30d", "--expires"),
        ("api-key --expire 30d", "--expires"),
        ("api-key create --output f", "--write-to"),
        ("api-key revoke x -y", "--yes"),
        ("api-key revoke x --force", "--yes"),
        ("api-key revoke x --dryrun", "--dry-run"),
        ("api-key create --owner alice", "--user"),
        ("api-key create --overwrite", "--replace"),
        ("api-key list --db x", "--database"),
        ("api-key list --env x", "--env-file"),
        ("api-key list --silent", "--quiet"),
        ("user create bob --password x", "--password-file"),
        ("user create bob --admin", "--superuser"),
        ("variable set X --value x", "--value-file"),
        ("variable show X --plain", "--reveal"),
        ("-V", "--version"),
        ("--ver", "--version"),
    ],
)
def test_an_option_that_is_meant_is_suggested(call: Call, typed: str, meant: str) -> None:
    assert hint(call, *typed.split()).startswith(f"hint: did you mean {meant}? see langkeys ")


@pytest.mark.parametrize("typed", ["api-key list --nonsense", "api-key create --superuser", "-x"])
def test_an_option_that_is_like_none_gets_no_suggestion(call: Call, typed: str) -> None:
    assert "did you mean" not in hint(call, *typed.split())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("api-key create hunter2", "--name NAME"),
        ("api-key --expires 90d hunter2", "--name NAME"),
        ("api-key list hunter2", "--user USER or langkeys api-key show REF"),
        ("api-key update ci hunter2", "--name NAME"),
        ("variable import .env hunter2", "--only NAME"),
        ("variable set X hunter2", "--value-file FILE"),
        ("user create bob hunter2", "--password-file FILE"),
        ("doctor hunter2", "--database URL_OR_PATH"),
        ("plan hunter2", "-f FILE"),
    ],
)
def test_an_argument_too_many_gets_the_option_that_it_may_be_for(
    call: Call, typed: str, meant: str
) -> None:
    result = call(*typed.split()).failed(2, "1 argument too many for langkeys ")
    assert f"hint: did you mean {meant}? see langkeys " in result.stderr
    assert ("a secret is never given as an argument" in result.stderr) == ("-file" in meant)
    # The argument may be a password where the command takes a secret.
    assert (": 'hunter2'\n" in result.stderr) == ("-file" not in meant)
    assert ("hunter2" in result.stderr) == ("-file" not in meant)


@pytest.mark.parametrize(
    "argument", ["sk-short", "gAAAAAB", "x" * 20, "postgresql://u:p@h", "A=b", "a\x1bb"]
)
def test_an_argument_that_may_be_a_secret_is_not_repeated(call: Call, argument: str) -> None:
    assert argument not in call("audit", argument).failed(2, "1 argument too many").stderr
    result = call("audit", "list", argument).failed(2, "2 arguments too many for langkeys audit\n")
    assert "'list'" not in result.stderr


def test_arguments_too_many_that_fit_no_option_get_the_help(call: Call) -> None:
    said = hint(call, "user", "show", "alice", "hunter2", "x")
    assert said == "hint: see langkeys user show --help; a secret is never given as an argument"


def test_every_option_for_an_argument_is_one_of_its_command() -> None:
    for path, meant in suggestions._FOR_ARGUMENT.items():
        names = {name for parameter in command_named(path).params for name in parameter.opts}
        for words in map(str.split, meant):
            if words[0] == "langkeys":
                assert " ".join(words[1:-1]) in paths()
            else:
                assert words[0] in names, path


def test_an_option_of_another_command_names_that(call: Call) -> None:
    said = hint(call, "api-key", "--all-users", "list")
    assert "--all-users is an option of langkeys api-key list and goes after the command" in said
    said = call("api-key", "--all-users", "list").failed(2).stderr
    assert said.startswith("error: no such option: --all-users\n")
    error = call("--json", "whoami").failed(2).error
    assert "--json is an option of langkeys whoami, " in error["hint"]


@pytest.mark.parametrize(
    ("path", "option", "meant"),
    [
        ("api-key revoke", "--all", "did you mean langkeys api-key prune? "),
        ("doctor", "--fields", ""),
        ("api-key create", "--all-users", ""),
    ],
)
def test_an_option_after_a_command_that_lacks_it_is_not_told_to_go_there(
    call: Call, path: str, option: str, meant: str
) -> None:
    said = call(*path.split(), option, "x").failed(2).stderr
    assert said == (
        f"error: no such option of langkeys {path}: {option}\n"
        f"hint: {meant}see langkeys {path} --help\n"
    )


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("api-key list --limit", "--limit requires a value"),
        ("api-key list --json=1", "--json takes no value"),
        ("api-key list --limit x", "--limit: 'x' is not a whole number"),
        ("api-key create --count 0", "--count: 0 is not a number from 1 to 10000000"),
        ("api-key list --status old", "--status: 'old' is not one of 'active', 'expired', 'inac"),
        ("api-key show", "missing argument REF"),
        ("api-key ensure x", "missing option --value-file"),
        ("run", "missing argument COMMAND"),
        ("-q", "missing command"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_plainly(call: Call, typed: str, message: str) -> None:
    assert call(*typed.split()).failed(2).stderr.startswith(f"error: {message}")


def test_what_follows_an_unknown_option_is_not_repeated(call: Call) -> None:
    for typed in (["--pasword=hunter2"], ["--pasword", "hunter2"], ["-phunter2"]):
        assert "hunter2" not in call("user", "create", "bob", *typed).failed(2).stderr


def test_the_suggestion_is_in_json_too(call: Call) -> None:
    error = call("api-key", "lst", "--json").failed(2).error
    assert error["code"] == "usage"
    assert error["hint"].startswith("did you mean langkeys api-key list?")


def test_a_long_word_is_cut(call: Call) -> None:
    assert len(call("x" * 10_000).failed(2).stderr) < 200


def test_every_synonym_stands_for_something_that_there_is() -> None:
    last_words = {path.rpartition(" ")[2] for path in paths()}
    nouns = {path.partition(" ")[0] for path in paths()}
    assert {*suggestions._VERBS} <= last_words
    assert {*suggestions._NOUNS} <= nouns
    options = {
        name
        for path in paths()
        for parameter in command_named(path).params
        for name in parameter.opts
    } | {"--version", "--help"}
    assert {*suggestions._OPTIONS} <= options


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("--no-color doctor", "NO_COLOR=1"),
        ("api-key list --no-color", "NO_COLOR=1"),
        ("api-key revoke ci --no-input", "--yes"),
        ("doctor --debug", "LANGKEYS_DEBUG=1"),
        ("doctor --verbose", "LANGKEYS_DEBUG=1"),
    ],
)
def test_what_is_no_option_here_has_its_place_named(call: Call, typed: str, instead: str) -> None:
    assert instead in hint(call, *typed.split())
