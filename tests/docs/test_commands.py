"""Every command is mentioned on a page of its own subject, and its lines in docs/formats.md."""

from __future__ import annotations

import re

import pytest

from ..support.commands import command_named, paths
from .markdown import ROOT, pages

LISTS = (
    "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/benchmarks.md",
    "docs/commands.md", "docs/formats.md", "docs/rest.md",
)  # fmt: skip
"""Pages that list commands, or are not for users."""
PAGES = {
    name: " ".join(path.read_text(encoding="utf-8").split())
    for name, path in pages().items()
    if name not in LISTS
}
FORMATS = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")


def with_columns() -> set[str]:
    """Return the commands in the table of columns; a verb alone has the noun before it."""
    table = FORMATS.partition("| command | columns |")[2].partition("\n\n")[0]
    found: set[str] = set()
    for row in table.splitlines():
        noun = ""
        for named in re.findall(r"`([a-z -]+?)(?: --[a-z]+)?`", row.split("|")[1] if row else ""):
            noun, _, verb = named.rpartition(" ") if " " in named else (noun, "", named)
            found.add(f"{noun} {verb}".strip())
    return found


@pytest.mark.parametrize("path", paths())
def test_a_page_mentions_the_command(path: str) -> None:
    whole = re.compile(rf"(?<![\w-]){path}(?![\w-])")
    assert any(whole.search(text) for text in PAGES.values())


def test_the_table_of_columns_has_every_command_with_piped_columns_and_no_other() -> None:
    columns = re.compile("[Cc]olumns(, one line)?:")
    piped = {path for path in paths() if columns.search(command_named(path).help)}
    assert piped > {"api-key list", "user set-password", "audit"}
    # A new key has no column but itself.
    assert with_columns() == piped | {"api-key create", "api-key rotate"}
