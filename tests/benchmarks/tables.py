"""Markdown tables, printed row by row, so that an aborted run has shown its results so far."""

import math
from collections.abc import Sequence

Cell = str | int | float | None


class Table:
    """A table: the heading is printed immediately, and each row when it is known."""

    def __init__(self, title: str, columns: Sequence[str]) -> None:
        self._columns = len(columns)
        print(f"\n{title}\n\n| {' | '.join(columns)} |\n{'|---' * self._columns}|", flush=True)

    def row(self, *cells: Cell) -> None:
        """Print a row: floats with three significant digits, None as an empty cell."""
        assert len(cells) == self._columns, cells
        print(f"| {' | '.join(map(shown, cells))} |", flush=True)


def shown(cell: Cell) -> str:
    """Return a cell's text: whole numbers in groups of three digits."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    if cell == 0 or not math.isfinite(cell):
        return f"{cell:g}"
    # Rounded before the magnitude is taken: 0.9999 is 1.00.
    rounded = float(f"{cell:.2e}")
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"
