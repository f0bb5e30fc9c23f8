"""The pictures match the current output."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from .markdown import pages
from .pictures import FOLDER, PICTURES, Picture, content, draw


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_what_a_run_shows(picture: Picture) -> None:
    assert content(picture.drawn) == content(draw(picture)), (
        "a run shows something else; look at it, then: python -m tests.docs --update"
    )


def test_a_picture_fetches_and_runs_nothing() -> None:
    for picture in PICTURES:
        for element in ET.fromstring(picture.drawn).iter():
            assert element.tag.rpartition("}")[2] not in ("script", "image", "a", "use")
            assert not any("href" in name for name in element.attrib)
        assert "url(http" not in picture.drawn
        assert "@" not in picture.drawn.partition("</style>")[0]


def test_a_changed_word_or_colour_is_another_picture() -> None:
    before = PICTURES[0].drawn
    same = before.replace("sk-", "sk-A", 1)
    assert content(same) == content(before) != content(before.replace("ci", "cd"))
    assert content(before.replace("font-weight: bold", "", 1)) != content(before)


def test_there_is_no_other_picture_and_each_is_in_a_page() -> None:
    assert sorted(FOLDER.iterdir()) == sorted(picture.path for picture in PICTURES)
    text = "".join(path.read_text(encoding="utf-8") for path in pages().values())
    assert all(f"pictures/{picture.path.name})" in text for picture in PICTURES)
