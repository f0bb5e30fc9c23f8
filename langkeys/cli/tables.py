"""Tables, panels and progress bars for terminals. The only module that imports rich."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text


def _rendered(renderable: RenderableType) -> str:
    # Rich honours NO_COLOR and TERM=dumb by itself.
    console = Console(file=sys.stdout, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under column titles, fitted to the terminal."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        # The first column is what is copied into the next command.
        drawn.add_column(column, overflow="fold", no_wrap=position == 0)
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


def panel(title: str, lines: Sequence[str]) -> str:
    """Return a titled panel; its lines are never folded, so that they can be copied."""
    text = Text("\n".join(lines), no_wrap=True, overflow="ignore")
    return _rendered(Panel(text, title=title, expand=False, box=box.HORIZONTALS))


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs; yields what sets the number done."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
