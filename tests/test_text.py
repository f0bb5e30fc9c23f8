from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys.cli.output import array_lines, json_text, tab_separated
from langkeys.text import counted, joined, json_visible, listed, unshowable_in, visible

EVERY = [chr(number) for number in range(sys.maxunicode + 1)]
HIDDEN = [c for c in EVERY if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
# Letters and marks that are invisible.
FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u3164\uffa0\ufe00\U000e0100\U000e01ef"


def is_raw(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in FILLERS


def test_no_control_or_format_character_is_shown() -> None:
    assert len(HIDDEN) > 2000
    for character in (*HIDDEN, *FILLERS):
        shown = visible(f"a{character}b")
        assert shown.isascii()
        assert shown.isprintable()
        in_json = json_visible(json.dumps(f"a{character}b", ensure_ascii=False))
        assert in_json.isascii()
        assert in_json.isprintable()
        assert json.loads(in_json) == f"a{character}b"


def test_letters_marks_and_symbols_are_shown_as_they_are() -> None:
    for character in EVERY:
        if unicodedata.category(character)[0] in "LNPS" and character not in FILLERS:
            assert visible(character) == character
    for text in ("שלום", "é", "e\u0301", "鍵\u3000一", "👍🏽", "❤\ufe0f"):
        assert visible(text) == text


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\r", "\\r"), ("\n", "\\n"), ("\x1b", "\\x1b"), ("\x7f", "\\x7f"), ("\x9b", "\\x9b"),
        ("\xad", "\\xad"), ("\u202e", "\\u202e"), ("\u200b", "\\u200b"),
        ("\U000e0041", "\\U000e0041"), ("\udcff", "\\udcff"),
    ],
)  # fmt: skip
def test_what_is_not_shown_is_escaped_by_its_number(character: str, shown: str) -> None:
    assert visible(character) == shown


def unescaped(cell: str) -> str:
    """Read a cell back; its escapes are a subset of Python's."""
    return cell.encode("ascii", "backslashreplace").decode("unicode_escape")


TEXT = st.text(
    st.sampled_from([*HIDDEN, *FILLERS, "\\", "a", "é", "👩", "u", "x", "n"]), max_size=8
)


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_cells_of_a_line_read_back_and_hide_what_cannot_be_shown(row: list[str]) -> None:
    line = tab_separated(row)
    assert not any(is_raw(character) for character in line if character != "\t")
    assert [unescaped(cell) for cell in line.split("\t")] == row


@given(st.lists(TEXT, max_size=4))
def test_json_reads_back_and_hides_what_cannot_be_shown(values: list[str]) -> None:
    for text in (json_text(values), "\n".join(array_lines(values))):
        assert not any(is_raw(character) for character in text if character != "\n")
        # JSON joins two adjacent surrogates into one character.
        expected = [v.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for v in values]
        found = json.loads(text)
        assert [v.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for v in found] == (
            expected
        )


@pytest.mark.parametrize(
    "name",
    [
        "a\u200bb", "a\u200cb", "a\u200db", "a\u200e", "\u200f", "a\u061cb", "a\xadb", "\ufeffa",
        "a\u2060b", "a\ufff9b", "a\u3164", "a\U000e0041", "\U000e0041\U000e007f", "👩\u200d",
        "\u200d👩", "👩\u200d\u200d💻", "👩\u200d\u202e💻", "\U0001f3f4\U000e0067", "é\u200d ",
        "a\ufe00", "a\U000e0100",
    ],
)  # fmt: skip
def test_a_new_name_has_nothing_that_is_invisible(name: str) -> None:
    assert unshowable_in(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "👩\u200d💻", "❤\ufe0f\u200d🔥", "1\ufe0f\u20e3", "\u0645\u06cc\u200c\u062e",
        "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\u0600\u0661", "e\u0301",
    ],
)  # fmt: skip
def test_emoji_and_scripts_that_need_joiners_may_have_them(name: str) -> None:
    assert unshowable_in(name) is None


@pytest.mark.parametrize(
    ("arguments", "one", "two"),
    [
        (("value",), "1 value", "2 values"),
        (("value", "are"), "1 value is", "2 values are"),
        (("value", "have"), "1 value has", "2 values have"),
        (("value", "were"), "1 value was", "2 values were"),
        (("value", "expire"), "1 value expires", "2 values expire"),
    ],
)
def test_a_number_agrees_with_noun_and_verb(arguments: tuple[str, ...], one: str, two: str) -> None:
    assert counted(1, *arguments) == one
    assert counted(2, *arguments) == two
    assert counted(0, *arguments) == two.replace("2", "0")


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert counted(1, "entry", plural="entries") == "1 entry"
    assert counted(2, "entry", plural="entries") == "2 entries"


def test_of_many_names_the_first_ten_are_listed() -> None:
    names = [f"n{number}" for number in range(12)]
    assert listed(names[:1]) == "n0"
    assert listed(names[:10]) == ", ".join(names[:10])
    assert listed(names) == ", ".join(names[:10]) + " and 2 more"


def test_all_names_are_joined_for_a_sentence() -> None:
    assert [joined("abc"[:count]) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert joined(iter("abc"), "or") == "a, b or c"
