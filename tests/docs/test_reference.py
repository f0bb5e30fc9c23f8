"""The command reference and the man page match the parser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from langkeys.cli.help.topics import TOPICS
from langkeys.config.known_settings import ENV_FILE, KNOWN
from langkeys.errors import EXIT_CODE_MEANINGS

from ..support.commands import command_named, paths
from .reference import DOCS, MADE, man_page, pages

ROOT = Path(__file__).parents[2]
WRITE = "run python -m tests.docs.reference"


@pytest.mark.parametrize("name", MADE)
def test_a_file_that_is_made_from_the_parser_is_as_it_makes_it(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == MADE[name](), WRITE


def test_every_command_has_a_page() -> None:
    shown = {page.path.removeprefix("langkeys ") for page in pages()}
    assert {*paths()} <= shown


@pytest.mark.parametrize("path", paths())
def test_the_reference_names_every_command_with_all_its_options(path: str) -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    section = text.partition(f"## `langkeys {path}`\n")[2].partition("\n## ")[0]
    shared = text.partition("## Global options")[2].partition("\n## ")[0]
    for parameter in command_named(path).params:
        for name in parameter.opts if parameter.param_type_name == "option" else []:
            assert re.search(rf"`[^`]*(?<![\w-]){name}(?![\w-])", section + shared), name


@pytest.fixture(scope="module")
def manual() -> str:
    """The text that man shows."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    shown = subprocess.run(
        [groff, "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=200n", str(DOCS / "langkeys.1")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert shown.stderr == ""
    return shown.stdout


def test_the_manual_shows_every_command_example_and_option(manual: str) -> None:
    flowing = " ".join(manual.split())
    for page in pages():
        assert f"{page.path} {page.usage}" in flowing
        for example in page.examples:
            assert " ".join(example.split()) in flowing
        for name, text in (*page.options, *page.remote, *page.shared, *page.arguments):
            assert name in flowing
            assert text in flowing


def test_the_manual_shows_exit_codes_settings_and_topics(manual: str) -> None:
    for code, meaning in EXIT_CODE_MEANINGS.items():
        assert re.search(rf"^ +{code} +{re.escape(meaning.replace('`', ''))}$", manual, re.M), code
    for name in (*KNOWN, ENV_FILE, *TOPICS):
        assert name in manual


def test_a_line_of_the_manual_is_no_request_by_mistake() -> None:
    known = {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".I", ".RS", ".RE", ".nf", ".fi"}
    requests = {line.split()[0] for line in man_page().splitlines() if line.startswith((".", "'"))}
    assert requests <= known


def test_a_wheel_carries_the_manual() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"docs/langkeys.1" = "share/man/man1/langkeys.1"' in project
