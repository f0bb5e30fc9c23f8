from __future__ import annotations

import itertools
import re
from pathlib import Path

from langkeys.config.known_settings import ENV_FILE, KNOWN
from langkeys.config.settings import Settings

PATH = Path(__file__).parents[2] / ".env.example"
EXAMPLE = PATH.read_text(encoding="utf-8")
_EXAMPLE_LINE = re.compile(r"(?:# )?([A-Z]+_[A-Z_]+)=.*")


def test_the_example_lists_every_setting_and_no_other() -> None:
    matches = [_EXAMPLE_LINE.fullmatch(line) for line in EXAMPLE.splitlines()]
    assert {match[1] for match in matches if match} == {*KNOWN, ENV_FILE, "LANGKEYS_DEBUG"}


def test_the_example_has_a_line_on_what_each_setting_does() -> None:
    lines = EXAMPLE.splitlines()
    for above, line in itertools.pairwise(lines):
        if _EXAMPLE_LINE.fullmatch(line):
            assert re.match(r"# .*[a-z]", above), line


def test_the_example_can_be_used_as_it_is() -> None:
    settings = Settings(env_file=str(PATH), environ={})
    settings.check()
    assert settings.unprefixed_names == []
    assert not any(settings.is_given(name) for name in KNOWN if KNOWN[name].kind == "secret")
