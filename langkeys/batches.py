"""Long sequences, a part at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of ``size`` items, the last of them shorter; as ``itertools.batched`` of 3.12."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
