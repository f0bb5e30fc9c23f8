"""Rules for README and the other documents."""

from __future__ import annotations

import re

from .markdown import ROOT, pages

README = (ROOT / "README.md").read_text(encoding="utf-8")
_BY_NAME = re.compile(
    r"\b(?:pip3?|pipx|uv|uvx|pipx run)\b(?: (?:tool|pip|run|install|add|upgrade|-\S+))*"
    r" '?langkeys\b(?![-./])"
)


def test_the_readme_can_be_read_in_minutes() -> None:
    assert len(README.splitlines()) <= 220
    before_the_picture = README.partition("![")[0]
    assert len(before_the_picture.splitlines()) <= 6


def test_nothing_is_fetched_by_the_name_that_is_not_ours_yet() -> None:
    files = [
        *pages().values(),
        *(path for path in (ROOT / "examples").rglob("*") if path.is_file()),
    ]
    for path in files:
        assert not _BY_NAME.search(path.read_text(encoding="utf-8")), path


def test_a_fetch_by_name_is_noticed() -> None:
    for line in (
        "pip install langkeys", "pip install -q 'langkeys[test]'", "pipx install langkeys",
        "uv tool install langkeys", "uvx langkeys", "pip install -U langkeys==0.2.0",
    ):  # fmt: skip
        assert _BY_NAME.search(line), line
    for line in (
        "pip install wheels/langkeys-0.2.0.whl",
        "pipx install .",
        "pip install langkeys-0.whl",
    ):
        assert not _BY_NAME.search(line), line
