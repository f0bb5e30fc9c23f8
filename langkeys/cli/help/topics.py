"""Help topics: pages of ``docs/`` that the terminal can show.

A wheel contains copies of these pages next to this module. In a checkout, they are read from
``docs/``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from langkeys.errors import FailedError

_HERE = Path(__file__).parent


class Topic(NamedTuple):
    """A page of ``docs/``; ``langkeys help`` accepts its name."""

    title: str
    """Its subject, for the list of topics."""


TOPICS: Mapping[str, Topic] = {
    "settings": Topic("Environment variables, .env files and where the database is."),
    "formats": Topic("What goes to stdout: piped columns, JSON, times and spans."),
    "references": Topic("How to identify an API key, a user or a variable."),
    "exit-codes": Topic("What each exit code and error code means."),
    "langflow-versions": Topic("What langkeys supports on each Langflow version."),
}


def source_of(topic: str) -> str:
    """Return the Markdown of a topic."""
    for folder in (_HERE, _HERE.parents[2] / "docs"):
        path = folder / f"{topic}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FailedError(
        f"the text of the topic {topic} is not installed",
        hint="install langkeys again; the text is also in docs/ of its sources",
    )
