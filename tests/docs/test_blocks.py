"""Every code block of the documents is run and compared, or quotes an example that is tested."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from ..support import postgresql
from .markdown import ROOT, Block, blocks, pages
from .pages import run_page, updated

PAGES = pages()
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}
BLOCKS = [(name, block) for name, text in TEXTS.items() for block in blocks(text)]
EXAMPLES = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for path in (ROOT / "examples").rglob("*")
    if path.is_file()
}
QUOTED = ("dockerfile", "ini", "python", "yaml")
"""Blocks in these languages are excerpts of files in examples/, which are tested there."""


def _id(found: object) -> str | None:
    return f"line {found.first}" if isinstance(found, Block) else None


def of(*languages: str) -> list[tuple[str, Block]]:
    return [(name, block) for name, block in BLOCKS if block.language in languages]


@pytest.mark.parametrize("name", sorted({name for name, _ in of("console", "sh")}))
def test_a_page_shows_what_its_commands_show(name: str) -> None:
    typed = " ".join(block.text for page, block in of("console", "sh") if page == name)
    for program in ("curl", "jq"):
        if re.search(rf"\b{program} -", typed) and shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    if "<!-- scene: postgresql -->" in TEXTS[name]:
        postgresql.cluster()  # skips the test if it cannot start
    differences = [
        f"{name}, line {outcome.block.first + 1}:\n{outcome.difference}"
        for outcome in run_page(TEXTS[name])
        if outcome.difference
    ]
    assert not differences, (
        "a run shows something else; look at it, then: python -m tests.docs --update\n"
        + "\n".join(differences)
    )


def test_a_block_has_a_language_that_is_run_quoted_or_read() -> None:
    # SQL blocks are run by tests/docs/test_postgresql.py.
    known = {"console", "sh", *QUOTED, "text", "json", "sql"}
    assert {
        (name, block.language) for name, block in BLOCKS if block.language not in known
    } == set()


def test_a_console_block_is_run_and_nothing_else_looks_like_one() -> None:
    for name, block in BLOCKS:
        assert block.language != "console" or "not run" not in block.notes, name
        is_typed = any(line.startswith("$ ") for line in block.lines)
        assert is_typed == (block.language == "console"), (name, block.text)


@pytest.mark.parametrize(("name", "block"), of("sh"), ids=_id)
def test_a_script_is_posix_shell(name: str, block: Block) -> None:
    checked = subprocess.run(
        ["sh", "-n"], input=block.text, text=True, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, ""), name


@pytest.mark.parametrize(("name", "block"), of(*QUOTED), ids=_id)
def test_what_is_quoted_is_in_an_example(name: str, block: Block) -> None:
    assert any(block.text in text for text in EXAMPLES.values()), (name, block.text)


# Tests of the machinery

_PAGE = """\
<!-- scene: empty -->
```console
$ echo one; (exit 3)
$ printf '%s\\n' "$HOME/x" 7a1b2c3d 5
```
"""


def test_a_run_is_written_into_a_page_and_then_compared() -> None:
    with pytest.raises(AssertionError, match="exit 3, not 0"):
        updated(_PAGE)
    page = updated(_PAGE.replace("```console", "<!-- exits: 3 0 -->\n```console"))
    assert "$ echo one; (exit 3)\none\n$ printf" in page
    assert "\n/home/admin/x\n7a1b2c3d\n5\n" in page
    # A different id is ignored, a different number is not.
    assert not next(run_page(page.replace("7a1b2c3d\n5", "0fffffff\n5"))).difference
    assert "+5" in next(run_page(page.replace("\n5\n", "\n6\n"))).difference


def test_a_later_command_may_name_an_id_of_the_page() -> None:
    page = (
        "<!-- scene: store -->\n```console\n"
        "$ langkeys -q api-key create --name ci > key; langkeys api-key list | cut -f 1\n"
        "aaaaaaaa-1111-4222-8333-444444444444\n"
        "$ langkeys api-key show aaaaaaaa-1111-4222-8333-444444444444 | cut -f 1,2\n"
        "aaaaaaaa-1111-4222-8333-444444444444\tci\n"
        "```\n"
    )
    assert updated(page) == page


def test_what_is_typed_answers_a_question() -> None:
    page = (
        "<!-- scene: store -->\n<!-- types: y -->\n```console\n"
        "$ langkeys -q api-key create --name ci > key; langkeys -q api-key revoke ci > out\n"
        "```\n"
    )
    assert "? [y/N] y\n" in updated(page)
