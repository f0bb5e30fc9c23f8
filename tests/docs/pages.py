"""Run the blocks of a page in order, and write their actual output back into the page."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from .markdown import Block, Command, blocks, replace_block
from .masks import NAMED, masked
from .shell import Shell, plain


@dataclass
class Outcome:
    """A block of a page, and the lines that it should have according to a run."""

    block: Block
    lines: list[str]

    @property
    def difference(self) -> str:
        """A diff of the page and the run; empty if only ids and times differ."""
        before, after = (masked("\n".join(lines)) for lines in (self.block.lines, self.lines))
        if before == after:
            return ""
        lines = difflib.unified_diff(self.block.lines, self.lines, "page", "run", lineterm="", n=99)
        return "\n".join(lines)


def run_page(text: str, *, uid: int | None = None) -> Iterator[Outcome]:
    """Run a page's console and sh blocks; yield the outcome of each console block."""
    with ExitStack() as stack:
        shell: Shell | None = None
        names: dict[str, str] = {}
        for block in blocks(text):
            if "scene" in block.notes:
                stack.close()
                names = {}
                shell = stack.enter_context(Shell(block.notes["scene"], uid=uid))
            if block.language not in ("console", "sh") or "not run" in block.notes:
                continue
            if shell is None:
                raise ValueError(f"line {block.first + 1}: no scene for this block")
            if block.language == "sh":
                _run_script(shell, block)
            else:
                yield Outcome(block, _transcript(shell, block, names))


def _run_script(shell: Shell, block: Block) -> None:
    text = block.text
    if text.startswith("#!"):
        text = f"sh <<'END_OF_SCRIPT'\n{text}END_OF_SCRIPT"
    output, code = shell.run(text, block.notes.get("types", "").split())
    expected = int(block.notes.get("exits", "0"))
    if code != expected:
        raise AssertionError(f"line {block.first + 1}: exit {code} of\n{block.text}{output}")


def _transcript(shell: Shell, block: Block, names: dict[str, str]) -> list[str]:
    """Run the commands of a console block; return its lines as they should be.

    A command may use an id or a key that an earlier one printed: ``names`` maps those of the page
    to those of this run. Output that only differs in ids and times keeps the page's text.
    """
    types = block.notes.get("types", "").split()
    lines: list[str] = []
    for command in block.commands:
        output, code = shell.run(_renamed(command.text, names), types)
        if code != command.code:
            raise AssertionError(
                f"line {block.first + 1}: exit {code}, not {command.code}, of\n"
                f"$ {command.text}\n{output}"
            )
        shown = Command(command.text, _lines(output))
        if masked("\n".join(shown.output)) == masked("\n".join(command.output)):
            old, new = (NAMED.findall("\n".join(found.output)) for found in (command, shown))
            names.update(zip(old, new, strict=False))
            shown = command
        else:
            back = {new: old for old, new in names.items()}
            shown.output = [_renamed(line, back) for line in shown.output]
        lines += shown.lines
    return lines


def _lines(output: str) -> list[str]:
    return [line.rstrip() for line in plain(output).splitlines()]


def _renamed(text: str, names: dict[str, str]) -> str:
    if not names:
        return text
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(pattern, lambda match: names[match[0]], text)


def updated(text: str) -> str:
    """Return the page with the actual output in its console blocks."""
    # From the last to the first, because the number of lines in a block may change.
    for outcome in reversed(list(run_page(text))):
        if outcome.difference:
            text = replace_block(text, outcome.block, outcome.lines)
    return text
