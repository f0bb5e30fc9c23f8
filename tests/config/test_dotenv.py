from __future__ import annotations

import pytest

from langkeys.config import dotenv


@pytest.mark.parametrize(
    "line", ["=hidden-part", "OTHER SECRET KEY=hidden-part", "OTHER: hidden-part", "- hidden-part"]
)
def test_a_malformed_line_of_somebody_elses_is_a_warning(line: str) -> None:
    found = dotenv.parse(
        f"A=1\n{line}\nB=2\n", "x.env", environ={}, is_ours=lambda name: name in ("A", "B")
    )
    assert found.values == {"A": "1", "B": "2"}
    (warning,) = found.warnings
    assert "line 2 of x.env" in warning
    assert "hidden-part" not in warning


def test_a_variable_is_put_in_from_the_file_before_the_environment() -> None:
    text = "A=1\nB=${A}${C}\nC=3\nD=${E:-4}\n"
    found = dotenv.parse(text, "x", environ={"A": "9", "C": "2"})
    assert found.values == {"A": "1", "B": "12", "C": "3", "D": "4"}
    assert [binding.is_expanded for binding in found.bindings] == [False, True, False, True]
