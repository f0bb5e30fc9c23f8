"""Generate the map of docs/architecture.md from the rooms of the architecture test."""

from __future__ import annotations

import ast
import re

from ..test_architecture import FILES, GROUND, ROOMS
from .markdown import ROOT

PATH = ROOT / "docs" / "architecture.md"
_TABLE = re.compile(r"(?<=\n\| room \|)[^\n]*\n\|---[^\n]*\n(?:\|[^\n]*\n)*")


def table() -> str:
    """Return the table of rooms, the ground first."""
    ground = [room for room in ROOMS if room in GROUND]
    rows = [_row(room) for room in (*ground, *(room for room in ROOMS if room not in GROUND))]
    return " what is in it | imports, besides the ground |\n|---|---|---|\n" + "".join(rows)


def with_map(text: str) -> str:
    """Return the page with an up-to-date map."""
    made, count = _TABLE.subn(lambda _: table(), text)
    assert count == 1, "docs/architecture.md has no map"
    return made


def _row(room: str) -> str:
    docstring = ast.get_docstring(ast.parse(FILES[f"langkeys.{room}"].read_text(encoding="utf-8")))
    first = re.split(r"(?<=[.])\s|\n\n", docstring or "", maxsplit=1)[0]
    what = " ".join(first.split()).rstrip(".").replace("``", "`")
    imported = [f"`{other}`" for other in ROOMS if other in ROOMS[room] - GROUND]
    kind = "ground" if room in GROUND else ", ".join(imported) or "-"
    return f"| `{room}` | {what} | {kind} |\n"
