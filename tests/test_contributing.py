"""The files and names in CONTRIBUTING.md, SECURITY.md and docs/architecture.md exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_FILE = re.compile(
    r"`((?:langkeys|tests|docs|examples|\.ci)/[\w./-]*|\.?[\w-]+\.(?:md|yaml|example))`"
)
_PATH = re.compile(r"\b(?:langkeys|tests|docs|examples)/[\w./-]*\.(?:py|md|sh|sql|json)\b")
_MODULE = re.compile(r"``?(langkeys(?:\.[A-Za-z]\w*)+)``?")
_LINK = re.compile(r"\]\(([^):#]+)\)")
_NAME = re.compile(r"`(_?[A-Z][A-Z_]{4,}|[A-Z]\w+[a-z]\w*|_?[a-z]+_[a-z_]+)`")


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md"])
def test_every_file_that_is_named_is_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = {(ROOT / document).parent / link for link in _LINK.findall(text)}
    named = links | {ROOT / name for name in _FILE.findall(text)}
    assert named
    assert [path for path in sorted(named) if not path.exists()] == []


@pytest.mark.parametrize("folder", ["langkeys", "tests", "docs"])
def test_every_file_that_the_sources_name_is_there(folder: str) -> None:
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".sh")
    }
    found = {name for text in texts.values() for name in _PATH.findall(text)}
    assert found
    assert [name for name in sorted(found) if not (ROOT / name).exists()] == []
    modules = {name for text in texts.values() for name in _MODULE.findall(text)}
    assert [name for name in sorted(modules) if not is_module_or_in_one(name)] == []


def is_module_or_in_one(name: str) -> bool:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:count])
        module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if module.exists():
            source = module.read_text(encoding="utf-8")
            return count == len(parts) or re.search(rf"\b{parts[count]}\b", source) is not None
    return False


def test_a_file_that_has_moved_is_noticed() -> None:
    assert _PATH.findall("see langkeys/errors.py") == ["langkeys/errors.py"]
    assert _MODULE.findall("see ``langkeys.errors``") == ["langkeys.errors"]
    assert is_module_or_in_one("langkeys.errors.FailedError")
    assert not is_module_or_in_one("langkeys.mistakes")


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
