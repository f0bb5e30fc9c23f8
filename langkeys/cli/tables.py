"""Tables, panels and progress bars for terminals. The only module that imports rich."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

UNFOLDED = frozenset({"ID", "KEY", "STATUS", "SETTING"})
"""Columns that stay whole where the terminal is narrow: they are copied, or are one word."""

NARROWEST = 7
"""How far the others give way."""


def _rendered(renderable: RenderableType, *, least_width: int = 0) -> str:
    # Rich honours NO_COLOR and TERM=dumb by itself.
    console = Console(file=sys.stdout, highlight=False)
    # Where the terminal is narrower, its lines wrap: a table that leaves columns out is no data.
    console.width = max(console.width, least_width)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under column titles, fitted to the terminal."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="bold")
    content = [list(row) for row in rows]
    least_width = 2 * len(columns)
    for position, column in enumerate(columns):
        width = max(map(cell_len, [column, *(row[position] for row in content)]))
        whole = column in UNFOLDED
        least = width if whole else min(width, NARROWEST)
        least_width += least
        drawn.add_column(column, overflow="fold", no_wrap=whole, min_width=least)
    for row in content:
        drawn.add_row(*map(Text, row))
    return _rendered(drawn, least_width=least_width)


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
