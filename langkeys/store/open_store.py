"""What the stores of all engines share: their listeners, and what a transaction changes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, TypeVar

from langkeys.errors import UnreadableRowError
from langkeys.models import FERNET_PREFIX
from langkeys.store.protocol import Change, Committing

MOST_TOLD = 100
"""Rows that cannot be read named one by one; doctor names all of them."""

Value = TypeVar("Value")


class OpenStore:
    """The part of a store that no engine does in its own way; see ``langkeys.store.protocol``."""

    def __init__(self) -> None:
        self.committing: Committing | None = None
        self.before_encrypted: Callable[[], None] | None = None
        self._writes_encrypted = False
        self._changes: list[Iterable[Change]] = []
        self._unreadable: set[tuple[str, str]] = set()
        self._told: list[tuple[bool, str]] = []
        self._listeners: tuple[Callable[[str], None], Callable[[str], None]] | None = None

    @property
    def location(self) -> str:
        raise NotImplementedError

    def listen(self, *, note: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._listeners = (note, warn)
        waiting, self._told = self._told, []
        for is_warning, sentence in waiting:
            self._tell(sentence, is_warning=is_warning)

    def _tell(self, sentence: str, *, is_warning: bool) -> None:
        if self._listeners is None:
            self._told.append((is_warning, sentence))
        else:
            self._listeners[is_warning](sentence)

    def _readable(
        self, rows: Iterable[Sequence[Any]], load: Callable[[Sequence[Any]], Value]
    ) -> Iterator[Value]:
        """Yield the values of rows; a row that makes none is told of and left out."""
        for row in rows:
            try:
                value = load(row)
            except UnreadableRowError as error:
                self._tell_unreadable(error)
            else:
                yield value

    def _tell_unreadable(self, error: UnreadableRowError) -> None:
        row = (error.table, error.row)
        if row in self._unreadable or len(self._unreadable) > MOST_TOLD:
            return
        self._unreadable.add(row)
        if len(self._unreadable) > MOST_TOLD:
            self._tell(
                f"{self.location} has more unreadable rows; langkeys doctor lists all of them",
                is_warning=True,
            )
        else:
            self._tell(f"{error.message}; it is left out", is_warning=True)

    def _forget_changes(self) -> None:
        """Begin a transaction: nothing is changed yet."""
        self._changes = []
        self._writes_encrypted = False

    def _commit_context(self) -> AbstractContextManager[None]:
        """Return what the commit takes place in; see ``Committing``."""
        if self.committing is None or not self._changes:
            return nullcontext()
        return self.committing(chain.from_iterable(self._changes))

    def _allow_encrypted(self, stored: Iterable[str]) -> None:
        """Have it allowed, once a transaction, that an encrypted value is written."""
        if self.before_encrypted is None or self._writes_encrypted:
            return
        if any(value.startswith(FERNET_PREFIX) for value in stored):
            self.before_encrypted()
            self._writes_encrypted = True

    def note(self, change: Change) -> None:
        self._note([change])

    def _note(self, changes: Iterable[Change]) -> None:
        """Keep what the transaction changes for its commit, where anybody wants to know."""
        if self.committing is not None and (noted := list(changes)):
            self._changes.append(noted)

    def _note_unread(self, changes: Iterable[Change]) -> None:
        """Keep changes, at least one, that are too many to be in memory and read at the commit."""
        if self.committing is not None:
            self._changes.append(changes)
