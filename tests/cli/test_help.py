"""The help of every command, and of the topics."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from langkeys.cli import app
from langkeys.cli.groups import Group, context_of
from langkeys.cli.help.pages import page_of, text_of
from langkeys.cli.options import Command

from ..support.commands import paths
from ..support.sites import Result, Site

Call = Callable[..., Result]
GROUPS = ["", "api-key", "variable", "user", "secret-key"]
PATHS = paths()


def context_at(path: str) -> Any:
    """Return the context of a command or a group, as its help uses it."""
    command: Any = typer.main.get_command(app)
    context = context_of(None, command, "langkeys")
    for word in path.split():
        command = command.get_command(context, word)
        context = context_of(context, command, word)
    context.help_option_names = ["-h", "--help"]
    return context


@pytest.fixture(params=[*GROUPS, *PATHS])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Examples


def example_lines() -> Iterator[tuple[str, str]]:
    for path in [*GROUPS, *PATHS]:
        for line in page_of(context_at(path)).examples:
            yield path, line


@pytest.mark.parametrize("path", PATHS)
def test_every_command_has_an_example_of_itself(path: str) -> None:
    lines = page_of(context_at(path)).examples
    assert any(path in f"{command} " for line in lines for command in _called(line)), lines


def _called(line: str) -> list[str]:
    """Return the langkeys commands in an example, without their options."""
    found = []
    for words in _command_lines(line):
        command: Any = typer.main.get_command(app)
        named = []
        for word in words:
            if not isinstance(command, Group):
                break
            if word.startswith("-"):
                command = None if command.default is None else command
                break
            command = command.get_command(context_of(None, command, "langkeys"), word)
            assert command is not None, (line, word)
            named.append(word)
        if isinstance(command, Group) and command.default is not None:
            named.append(command.default)
        found.append(" ".join(named))
    return found


def _command_lines(line: str) -> Iterator[list[str]]:
    """Yield the words after each ``langkeys`` in an example."""
    code = re.split(r"\s{2,}", line)[0]
    lexer = shlex.shlex(code, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = [*lexer]
    for is_operator, group in itertools.groupby(words, lambda word: not word.strip("();<>|&")):
        command = [*group]
        if not is_operator and command[0] == "langkeys":
            yield command[1:]


@pytest.mark.parametrize(("path", "line"), [*example_lines()])
def test_every_option_in_an_example_is_one_of_its_command(path: str, line: str) -> None:
    for words, called in zip(_command_lines(line), _called(line), strict=True):
        known = {
            name
            for parameter in context_at(called).command.get_params(context_at(called))
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        own = itertools.takewhile(lambda word: word != "--", words)
        for word in own:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, line


# Pages


def test_every_command_is_made_as_langkeys_makes_them() -> None:
    for path in PATHS:
        assert isinstance(context_at(path).command, Command), path


def test_the_page_names_every_parameter(path: str) -> None:
    context = context_at(path)
    text = text_of(context, 78)
    for parameter in context.command.get_params(context):
        names = (
            [parameter.make_metavar(context)]
            if parameter.param_type_name == "argument"
            else parameter.opts
        )
        for name in names:
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text), name


def test_the_page_has_no_raw_range_and_no_unfilled_place(path: str) -> None:
    text = text_of(context_at(path), 78)
    assert "<=" not in text
    assert not re.search(r"\{\w+\}", text)
    assert "[default" not in text


@pytest.mark.parametrize("width", [58, 78])
def test_the_page_fits_its_width(path: str, width: int) -> None:
    for line in text_of(context_at(path), width).splitlines():
        # A quoted part of an example is not wrapped.
        assert len(line) <= width or line.strip().startswith('"$('), line


def test_an_example_that_is_too_long_is_continued(path: str) -> None:
    page, lines = page_of(context_at(path)), text_of(context_at(path), 58).splitlines()
    shown = " ".join(line.strip() for line in lines).replace(" \\ ", " ")
    for example in page.examples:
        command, _, does = example.partition("  ")
        assert command in shown
        assert does.strip() in shown


def test_the_global_options_are_described_once(path: str) -> None:
    text = text_of(context_at(path), 78)
    assert ("Read settings from FILE" in text) == (path == "")
    assert "--env-file FILE" in text


def test_examples_come_before_everything_but_the_summary(path: str) -> None:
    usage, summary, examples, *_ = text_of(context_at(path), 78).split("\n\n")
    assert usage.startswith("Usage: langkeys")
    assert summary.startswith("  ")
    assert examples.startswith("Examples:\n")


def test_short_and_long_option_show_the_page(call: Call, path: str) -> None:
    words = path.split()
    text = call(*words, "--help").done().stdout
    assert call(*words, "-h").done().stdout == text
    assert call("help", *words).done().stdout == text
    assert text == f"{text_of(context_at(path), 78)}\n"


def test_a_group_takes_the_word_help(call: Call) -> None:
    page = call("api-key", "rotate", "-h").done().stdout
    assert call("api-key", "help", "rotate").done().stdout == page
    assert call("api-key", "help").done().stdout == call("api-key", "-h").done().stdout


def test_the_help_of_a_program_that_is_run_is_its_own(call: Call, site: Site) -> None:
    (site.folder / "program").write_text('#!/bin/sh\necho "got $*"\n')
    (site.folder / "program").chmod(0o755)
    assert site.run("run", "./program", "-h").done().stdout == "got -h\n"


def test_an_option_refers_to_the_topic_that_explains_it() -> None:
    assert "langkeys help references" in text_of(context_at("api-key show"), 78)
    assert "langkeys help formats" in text_of(context_at("api-key list"), 78)
    assert "See also" not in text_of(context_at("doctor"), 78)
