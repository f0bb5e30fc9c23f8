"""Tables, panels and progress bars for terminals. Only this module imports rich."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule
from rich.text import Text

from langkeys.cli.output import Head
from langkeys.text import agreeing, joined

GAP = "  "
EMPTY = ("", "-")
CUT = "…"


def _console(stream: TextIO | None = None) -> Console:
    # Rich itself handles NO_COLOR and TERM=dumb.
    return Console(file=sys.stdout if stream is None else stream, highlight=False)


def _rendered(renderable: RenderableType) -> str:
    console = _console()
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


class Layout:
    """The columns of one table; its rows are measured first, then fitted, then written.

    A column with the same text in every row is omitted; of a single row, only empty columns are,
    and only if the row is too wide. If the others are too wide, texts that may be cut are cut, the
    widest first. If that is not enough, whole columns are omitted by their rank. Nothing is
    wrapped; on terminals below 60 columns, the terminal may wrap lines.

    ``stream`` is where the table is written to, by default stdout.
    """

    def __init__(self, heads: Sequence[Head], stream: TextIO | None = None) -> None:
        self._heads = heads
        self._stream = stream
        self._widths = [cell_len(head.title) for head in heads]
        self._same: list[str | None] = []
        self._shown: list[int] = []
        self._constant: list[int] = []
        self._unfit: list[int] = []
        self._cut: list[int] = []
        self.rows = 0

    def measured(self, rows: Iterable[Sequence[str]]) -> Iterator[str]:
        """Measure rows of visible text; yield each row as a line for ``lines``."""
        widths = self._widths
        for row in rows:
            if self.rows == 0:
                self._same = list(row)
            self.rows += 1
            for position, cell in enumerate(row):
                width = _width(cell)
                if width > widths[position]:
                    widths[position] = width
                if self._same[position] != cell:
                    self._same[position] = None
            yield "\t".join(row)

    def fit(self) -> None:
        """Choose the columns and their widths, after all rows have been measured."""
        everyone = range(len(self._heads))
        terminal = _console(self._stream).width
        self._shown = list(everyone)
        if self.rows > 1 or self._total(self._widths.__getitem__) > terminal:
            self._constant = [position for position in everyone if self._is_omitted(position)]
            self._shown = [position for position in everyone if position not in self._constant]
        if not self._shown:  # all rows are equal
            self._shown, self._constant = list(everyone), []
        while self._total(self._least) > terminal:
            last = max(self._shown, key=lambda position: self._heads[position].rank)
            if self._heads[last].rank == 0:
                break
            self._shown.remove(last)
            self._unfit.append(last)
        self._cut_to(terminal)

    def _is_omitted(self, position: int) -> bool:
        text = self._same[position]
        if text is None or self._heads[position].is_kept:
            return False
        return self.rows > 1 or text in EMPTY

    def _least(self, position: int) -> int:
        head, width = self._heads[position], self._widths[position]
        return min(width, max(head.least, cell_len(head.title))) if head.least else width

    def _total(self, width: Callable[[int], int]) -> int:
        return sum(map(width, self._shown)) + len(GAP) * (len(self._shown) - 1)

    def _cut_to(self, terminal: int) -> None:
        """Cut the widest texts to a common width, so that the table fits."""
        widths, most = self._widths, max(self._widths)

        def cut(position: int) -> int:
            return max(self._least(position), min(widths[position], most))

        most = min(most, terminal)
        while most > 1 and self._total(cut) > terminal:
            most -= 1
        fitted = {position: cut(position) for position in self._shown}
        spare = terminal - self._total(cut)
        for position in self._shown:
            more = max(0, min(spare, widths[position] - fitted[position]))
            if fitted[position] + more < widths[position]:
                self._cut.append(position)
            widths[position] = fitted[position] + more
            spare -= more

    def lines(self, rows: Iterable[str]) -> Iterator[str]:
        """Yield the table's lines: titles, a rule, and the rows."""
        titles = [head.title for head in self._heads]
        console = _console(self._stream)
        with console.capture() as capture:
            console.print(Text(self._line(titles), style="bold"), soft_wrap=True)
        yield capture.get().rstrip("\n")
        yield GAP.join("─" * self._widths[position] for position in self._shown)
        for row in rows:
            yield self._line(row.split("\t"))

    def _line(self, row: Sequence[str]) -> str:
        widths = self._widths
        cells = [_fitted(row[position], widths[position]) for position in self._shown]
        return GAP.join(cells).rstrip()

    def remarks(self, whole: str | None = None) -> Iterator[str]:
        """Yield sentences about what the table omits; ``whole`` says how to see everything."""
        same: list[str] = []
        empty: list[str] = []
        for position in self._constant:
            title, text = self._heads[position].title.lower(), self._same[position]
            if text in EMPTY:
                empty.append(title)
            else:
                same.append(f"{title} {text}")
        if same:
            more = f"; empty: {', '.join(empty)}" if empty else ""
            yield f"the same in every row: {', '.join(same)}{more}"
        elif empty:
            yield f"empty{' in every row' if self.rows > 1 else ''}: {', '.join(empty)}"
        parts = []
        if self._unfit:
            parts.append(f"no room for {', '.join(self._titles(self._unfit))}")
        if self._cut:
            verb = agreeing("are", len(self._cut))
            parts.append(f"{joined(self._titles(self._cut))} {verb} cut")
        if parts:
            yield "; ".join([*parts, *([] if whole is None else [whole])])

    def _titles(self, positions: Iterable[int]) -> list[str]:
        return [self._heads[position].title for position in sorted(positions)]


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _fitted(text: str, width: int) -> str:
    """Return a text padded to exactly this width, or cut with an ellipsis if it is wider."""
    missing = width - _width(text)
    return text + " " * missing if missing >= 0 else _cut(text, width)


def _cut(text: str, width: int) -> str:
    start = text[: 8 * width]  # only combining marks make it much longer
    while _width(start) > width - 1:
        start = start[:-1]
    return start + CUT + " " * (width - 1 - _width(start))


def titled(title: str, lines: Sequence[str]) -> str:
    """Return lines below a titled rule; they are not wrapped or cut, so that they can be copied."""
    body = "\n".join(lines)
    return f"{_rendered(Rule(Text(title, style='bold'), align='left'))}{body}\n{_rendered(Rule())}"


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr during the block; yield a function that sets the number done."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
