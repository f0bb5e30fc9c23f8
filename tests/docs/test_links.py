"""Every link of the documents leads to a file, to a heading, or to a well-formed address."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from .markdown import ROOT, pages

PAGES = pages()
_FENCED = re.compile(r"^( *)(```+).*?^ *\2$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_ADDRESS = re.compile(r"\bhttps?://[^\s)>\]\"'`*]+")


def prose(text: str) -> str:
    """Return a page without its code blocks."""
    return _FENCED.sub("", text)


def anchors(text: str) -> list[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs generate them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.*?)\s*$", prose(text), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        found.append(words.strip().replace(" ", "-"))
    return found


def links(text: str) -> list[tuple[bool, str, str]]:
    """Return the links of a page: whether it is a picture, its text, and its target."""
    return [
        (mark == "!", words, target)
        for mark, words, target in _LINK.findall(_CODE.sub("", prose(text)))
    ]


@pytest.mark.parametrize("name", PAGES)
def test_every_local_link_leads_to_a_file_and_a_heading(name: str) -> None:
    path = PAGES[name]
    broken = []
    for _, _, target in links(path.read_text(encoding="utf-8")):
        address, _, anchor = target.partition("#")
        if urlsplit(address).scheme:
            continue
        file = (path.parent / address).resolve() if address else path
        is_there = file.is_relative_to(ROOT) and file.is_file()
        if not is_there or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", PAGES)
def test_headings_of_a_page_have_different_anchors(name: str) -> None:
    found = anchors(PAGES[name].read_text(encoding="utf-8"))
    if name != "CHANGELOG.md":  # each release has the same headings
        assert sorted(found) == sorted(set(found))


@pytest.mark.parametrize("name", PAGES)
def test_every_foreign_address_is_well_formed(name: str) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    foreign = [target for _, _, target in links(text) if urlsplit(target).scheme]
    for address in (*foreign, *_ADDRESS.findall(prose(text))):
        parts = urlsplit(address)
        assert parts.scheme in ("http", "https"), address
        assert re.fullmatch(r"[a-z0-9.-]+(:\d+)?", parts.netloc), address


@pytest.mark.parametrize("name", PAGES)
def test_a_picture_says_what_it_shows(name: str) -> None:
    pictures = [link for link in links(PAGES[name].read_text(encoding="utf-8")) if link[0]]
    assert all(len(words) > 20 for _, words, _ in pictures)


def test_every_page_is_linked_from_the_readme_or_the_home_page() -> None:
    linked = {
        (PAGES[name].parent / target.partition("#")[0]).resolve()
        for name in ("README.md", "docs/index.md")
        if name in PAGES
        for _, _, target in links(PAGES[name].read_text(encoding="utf-8"))
    }
    missing = [name for name, path in PAGES.items() if path not in linked]
    assert [name for name in missing if name not in ("README.md", "docs/index.md")] == []
