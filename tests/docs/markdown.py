"""Find the code blocks of a Markdown page, and the comments that say how to run them.

A comment on its own line applies to the next code block:

- ``<!-- scene: NAME -->``: start with empty folders and a new shell, and run scenes/NAME.sh first.
- ``<!-- exits: 0 4 -->``: the exit codes of the block's commands, if not all are 0.
- ``<!-- types: y -->``: the input, one word for each question; ``^D`` ends the input.
- ``<!-- not run: WHY -->``: only check the syntax of a ``sh`` block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^( *)(```+)\s*([\w+-]*)[^`]*$")
_COMMENT = re.compile(r"^ *<!-- (scene|exits|types|not run): (.*?) -->$")


@dataclass
class Block:
    """A fenced code block: its language, its lines without the fence, and their position."""

    language: str
    lines: list[str]
    first: int
    """The index of its first line in the page; for an empty block, of the closing fence."""
    indent: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def commands(self) -> list[Command]:
        """The commands of a console block, each with the output that follows it."""
        found: list[Command] = []
        for line in self.lines:
            if line.startswith("$ "):
                found.append(Command(line[2:]))
            elif line.startswith("> ") and found and not found[-1].output:
                found[-1].text += f"\n{line[2:]}"
            elif found:
                found[-1].output.append(line)
            else:
                raise ValueError(f"a console block begins with a prompt, not with {line!r}")
        codes = [int(code) for code in self.notes.get("exits", "").split()]
        if codes and len(codes) != len(found):
            raise ValueError(f"{len(codes)} exit codes for {len(found)} commands")
        for command, code in zip(found, codes, strict=False):
            command.code = code
        return found


@dataclass
class Command:
    """A command of a console block, with its documented output and exit code."""

    text: str
    output: list[str] = field(default_factory=list)
    code: int = 0

    @property
    def lines(self) -> list[str]:
        first, *more = self.text.split("\n")
        return [f"$ {first}", *(f"> {line}" for line in more), *self.output]


def blocks(text: str) -> list[Block]:
    """Return the code blocks of a page."""
    found: list[Block] = []
    notes: dict[str, str] = {}
    block: Block | None = None
    fence = ""
    for number, line in enumerate(text.splitlines()):
        if block is not None:
            if line.strip() == fence:
                block = None
            else:
                block.lines.append(line.removeprefix(block.indent))
        elif match := _FENCE.match(line):
            block = Block(match[3], [], number + 1, match[1], notes)
            fence, notes = match[2], {}
            found.append(block)
        elif match := _COMMENT.match(line):
            notes[match[1]] = match[2]
    return found


def replace_block(text: str, block: Block, lines: list[str]) -> str:
    """Return a page with other lines in one of its blocks."""
    page = text.splitlines()
    page[block.first : block.first + len(block.lines)] = [
        f"{block.indent}{line}".rstrip() for line in lines
    ]
    return "\n".join(page) + "\n"


def pages() -> dict[str, Path]:
    """Return every document of the project, by its path."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return {str(path.relative_to(ROOT)): path for path in sorted(found)}
