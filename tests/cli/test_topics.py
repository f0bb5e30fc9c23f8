"""Topics show the pages of docs/; exit codes are the same in code, help and pages."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import langkeys.cli
from langkeys.cli.help.markdown import plain_text
from langkeys.cli.help.topics import TOPICS, source_of
from langkeys.errors import EXIT_CODE_MEANINGS, EXIT_CODES, LangkeysError

from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal

Call = Callable[..., Result]
CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
PAGES = [CHECKOUT / "README.md", CHECKOUT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]


# Topics


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def without_markup(source: str) -> str:
    """Return Markdown without comments, link targets and table rules."""
    source = re.sub(r"<!--.*?-->|^```\w*$", "", source, flags=re.M | re.S)
    return re.sub(r"^\|[-|: ]+\|$", "", re.sub(r"\]\((?!\w+:)[^)]*\)", "", source), flags=re.M)


@pytest.mark.parametrize("topic", ["settings", "formats", "references", "exit-codes",
                                   "langflow-versions"])  # fmt: skip
def test_a_topic_shows_every_word_of_its_page(call: Call, topic: str) -> None:
    source = (DOCS / f"{topic}.md").read_text(encoding="utf-8")
    shown_words = words(call("help", topic).done().stdout)
    assert set(words(without_markup(source))) <= set(shown_words)
    prose = [line for line in without_markup(source).splitlines() if not line.startswith("|")]
    remaining = iter(shown_words)
    assert all(word in remaining for word in words("\n".join(prose))), (
        "not in the order of the page"
    )


def test_the_topics_are_those_of_the_contract_and_are_listed(call: Call) -> None:
    assert [*TOPICS] == ["settings", "formats", "references", "exit-codes", "langflow-versions"]
    page = call("help").done().stdout
    for topic in TOPICS:
        assert re.search(rf"^  {topic} +[A-Z]", page, re.M)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_of_a_topic_is_too_wide_or_breaks_a_word(topic: str, width: int) -> None:
    source = source_of(topic)
    text = plain_text(source, width)
    wide = {word.rstrip(":") for word in plain_text(source, 10_000).split()}
    assert {word.rstrip(":") for word in text.split()} <= wide
    for line in text.splitlines():
        assert len(line) <= width or line.startswith("    ") or len(line.split()) == 1, line


def test_a_topic_fits_the_terminal(site: Site) -> None:
    with_terminal = run_at_terminal(site, "help", "settings", columns=60)
    assert max(map(len, with_terminal.text.splitlines())) <= 60


def test_a_wheel_carries_every_topic() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    for topic in TOPICS:
        assert f'"docs/{topic}.md" = "langkeys/cli/help/{topic}.md"' in project


def test_markdown_becomes_plain_text() -> None:
    source = (
        "# One title\n\n<!-- a note -->\nA `code *word*` and **bold**, *so*, [here](#two) and"
        " [there](https://example.com/x).\n\n- an item that is long enough to be wrapped\n"
        "  over lines\n- another\n\n## Two\n\n```sh\n$ a   b\n```\n\n| a | b |\n|---|---|\n"
        "| `x\\|y` | second |\n"
    )
    assert plain_text(source, 34).splitlines() == [
        "ONE TITLE",
        "",
        "A code *word* and bold, so, here",
        "and there (https://example.com/x).",
        "",
        "- an item that is long enough to",
        "  be wrapped over lines",
        "",
        "- another",
        "",
        "Two",
        "",
        "    $ a   b",
        "",
        "a    b",
        "x|y  second",
    ]


def test_a_link_names_the_page_that_a_terminal_cannot_open() -> None:
    source = "see [Who may do what](security.md#who-is-acting) and [below](#fields)"
    assert plain_text(source, 80) == "see Who may do what in docs/security.md and below"


# Exit codes


def rows_of_exit_codes() -> Iterator[str]:
    """Yield the rows that the table must have according to the error classes."""
    for number, meaning in EXIT_CODE_MEANINGS.items():
        codes = sorted(
            {error.code: None for error in every_error() if error.exit_code == number},
            key=[*EXIT_CODES].index,
        )
        named = ", ".join(f"`{code}`" for code in reversed(codes) if number not in (126, 127))
        yield f"| {number} | {named} | {meaning} |".replace("|  |", "| |")


def every_error() -> list[type[LangkeysError]]:
    for module in pkgutil.walk_packages(langkeys.__path__, "langkeys."):
        if module.name != "langkeys.__main__":
            importlib.import_module(module.name)
    found, waiting = [], [LangkeysError]
    while waiting:
        error = waiting.pop()
        found.append(error)
        waiting += error.__subclasses__()
    return [error for error in found if error.__module__.startswith("langkeys.")]


def test_the_table_of_exit_codes_is_the_codes() -> None:
    page = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| \d", line)]
    assert rows == [*rows_of_exit_codes()]


def test_every_error_has_a_meaning() -> None:
    for error in every_error():
        assert error.exit_code in EXIT_CODE_MEANINGS, error
        assert error.code in EXIT_CODES, error


def test_no_command_ends_with_a_number_of_its_own() -> None:
    for path in sorted(Path(langkeys.cli.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Exit"):
                assert not any(isinstance(value, ast.Constant) for value in node.args), path


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield the texts of the source that may be shown as help: docstrings and ``help=``."""
    for path in sorted(Path(langkeys.cli.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(
                ast.unparse(decorator).startswith("app.") for decorator in node.decorator_list
            ):
                yield path.name, ast.get_docstring(node) or ""
            elif isinstance(node, ast.keyword) and node.arg == "help":
                yield path.name, ast.unparse(node.value)


def test_help_names_exit_codes_by_their_error() -> None:
    texts = [*help_texts()]
    assert len(texts) > 100
    assert any("exit {conflict}" in text for _, text in texts)
    for name, text in texts:
        assert not re.search(r"\bexits?( code)?\s+\d", text, re.I), (name, text)
        for code in re.findall(r"\{(\w+)\}", text):
            assert code in EXIT_CODES or f"exit {{{code}}}" not in text.lower(), (name, code)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_names_exit_codes_that_there_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for number in re.findall(r"\bexits? (?:code )?(?:is )?(\d+)", text, re.I):
        assert int(number) in EXIT_CODE_MEANINGS, number
    for number, code in re.findall(r"\bexit (\d+),? \(?`(\w+)`", text, re.I):
        assert EXIT_CODES[code] == int(number), (number, code)


def test_formats_says_which_rotation_asks_nothing(call: Call) -> None:
    said = " ".join(call("help", "formats").done().stdout.split())
    assert "api-key rotate of one key, or with --grace, asks nothing" in said
