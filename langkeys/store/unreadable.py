"""Delete rows that cannot be read because a cell contains a value that no server writes."""

from collections.abc import Sequence

from langkeys.errors import MAX_CANDIDATES, AmbiguousError, NotFoundError
from langkeys.models import dashed
from langkeys.store.protocol import Store
from langkeys.store.records import RowStub
from langkeys.text import counted


def choose_unreadable(
    store: Store, found: Sequence[RowStub], ref: str, noun: str
) -> Sequence[RowStub]:
    """Return the one row that a reference matches, if it is unreadable; else an empty sequence.

    Raises AmbiguousError if several rows match and at least one of them is unreadable.
    """
    unreadable = [stub for stub in found if stub.problem is not None]
    if unreadable and len(found) > 1:
        raise AmbiguousError(
            f"{ref!r} matches {counted(len(found), noun)} in {store.location}",
            hint="use the id of one of them",
            candidates=tuple(f"{dashed(stub.id)}  {stub.name}" for stub in found[:MAX_CANDIDATES]),
        )
    return unreadable


def delete_unreadable(store: Store, stubs: Sequence[RowStub]) -> None:
    """Delete rows within a transaction; raise NotFoundError if one is gone or has changed."""
    if stubs and store.delete_stubs(stubs) != len(stubs):
        raise NotFoundError(
            f"not all of {counted(len(stubs), 'row', 'are')} still in {store.location};"
            " nothing was done",
            hint="run the command again",
        )
