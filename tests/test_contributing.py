"""The files and names in CONTRIBUTING.md, SECURITY.md and docs/architecture.md exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_FILE = re.compile(
    r"`((?:langkeys|tests|docs|examples|\.ci)/[\w./-]*|\.?[\w-]+\.(?:md|yaml|example))`"
)
_LINK = re.compile(r"\]\(([^):#]+)\)")
_NAME = re.compile(r"`(_?[A-Z][A-Z_]{4,}|[A-Z]\w+[a-z]\w*|_?[a-z]+_[a-z_]+)`")


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md"])
def test_every_file_that_is_named_is_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = {(ROOT / document).parent / link for link in _LINK.findall(text)}
    named = links | {ROOT / name for name in _FILE.findall(text)}
    assert named
    assert [path for path in sorted(named) if not path.exists()] == []


def test_every_name_that_a_change_touches_is_in_the_code() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    changes = text.partition("## Where does")[2].partition("\n## ")[0]
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("langkeys", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if path != Path(__file__)
    )
    names = set(_NAME.findall(changes))
    assert {"API_KEYS", "KNOWN", "GENERATIONS", "RemoteCommand"} <= names
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", code)] == []
