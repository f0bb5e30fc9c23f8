"""Tables, panels and progress bars for terminals. The only module that imports rich."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

FOLDED = frozenset({"NAME", "USER", "VALUE", "SOURCE", "CHANGE", "MESSAGE"})
"""Columns that give way where the terminal is narrow."""


def _rendered(renderable: RenderableType) -> str:
    # Rich honours NO_COLOR and TERM=dumb by itself.
    console = Console(file=sys.stdout, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under column titles, fitted to the terminal."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        # Names may be long; everything else is short, and easier to read on one line.
        drawn.add_column(column, overflow="fold", no_wrap=column not in FOLDED)
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return _rendered(drawn)


def card(fields: Mapping[str, str]) -> str:
    """Return one thing's fields, a line each."""
    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(style="bold")
    drawn.add_column(overflow="fold")
    for name, value in fields.items():
        drawn.add_row(name, Text(value))
    return _rendered(drawn)


def titled(title: str, lines: Sequence[str]) -> str:
    """Return lines under a titled rule, never folded or cut, so that they can be copied."""
    body = "\n".join(lines)
    return f"{_rendered(Rule(Text(title, style='bold'), align='left'))}{body}\n{_rendered(Rule())}"


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs; yields what sets the number done."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
