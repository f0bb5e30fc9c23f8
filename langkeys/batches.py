"""Iterate over long sequences in batches."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of up to ``size`` items, as ``itertools.batched`` of Python 3.12 does."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
