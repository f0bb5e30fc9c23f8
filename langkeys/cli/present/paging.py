"""Sort and limit the rows of a list: ``--sort``, ``--limit`` and ``--offset``."""

import heapq
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Generic, TypeVar

from langkeys.cli.present.columns import Column, Listing
from langkeys.errors import UsageError

Item = TypeVar("Item")
Found = TypeVar("Found")

UNSORTABLE = frozenset(("api_key", "value", "opens", "optins"))
"""Fields that are masked, cannot be ordered, or are only computed for rows that are shown."""


class Paging(Generic[Item]):
    """The options of a list; UsageError if rows cannot be sorted by the field in ``sort``.

    With ``sort``, all rows are read before the first is shown; with a limit, at most offset plus
    limit rows are in memory. Rows without a value come last, also in descending order. Equal rows
    stay in the order of their creation.
    """

    def __init__(
        self, listing: Listing[Item], *, sort: str | None, limit: int | None, offset: int
    ) -> None:
        self._limit = limit
        self._offset = offset
        self._is_descending = sort is not None and sort.startswith("-")
        self._column = None if sort is None else _sortable(listing, sort.removeprefix("-"))

    def page(
        self,
        read: Callable[[int | None, int], Iterable[Found]],
        row: Callable[[Found], Item],
    ) -> Iterable[Found]:
        """Return the rows to show; ``read`` takes limit and offset, and reads in creation order.

        ``row`` converts a row to the type of the listing's items.
        """
        if self._column is None:
            return read(self._limit, self._offset)
        column, is_descending = self._column, self._is_descending

        def sort_key(found: Found) -> tuple[Any, ...]:
            content = column.value(row(found))
            if isinstance(content, str):
                content = (content.casefold(), content)
            is_missing = content is None or content == ()
            # Missing values sort last; they sort first if the order is reversed afterwards.
            return (is_missing != is_descending, 0 if is_missing else content)

        found = read(None, 0)
        if self._limit is None:
            ordered = sorted(found, key=sort_key, reverse=is_descending)
        else:
            choose = heapq.nlargest if is_descending else heapq.nsmallest
            ordered = choose(self._offset + self._limit, found, key=sort_key)
        return ordered[self._offset :]


def _sortable(listing: Listing[Item], name: str) -> Column[Item]:
    column = listing.by_name.get(name)
    if column is None or name in UNSORTABLE:
        names = ", ".join(known for known in listing.by_name if known not in UNSORTABLE)
        raise UsageError(
            f"--sort has no field {name!r}", hint=f"sort by one of: {names}; -FIELD is descending"
        )
    return column


def sliced(items: Iterable[Found], limit: int | None, offset: int) -> Iterable[Found]:
    """Apply a limit and an offset."""
    return islice(items, offset, None if limit is None else offset + limit)
