"""The base class of every engine's store: it keeps listeners and the changes of a transaction."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, TypeVar

from langkeys.errors import StoreError, UnreadableRowError
from langkeys.models import FERNET_PREFIX
from langkeys.store.generations import (
    Generation,
    get_generation,
    schema_problems,
    unfinished_tables,
)
from langkeys.store.protocol import Change, CommitContext

MAX_WARNED = 100
"""The maximum number of unreadable rows that get their own warning; doctor lists all of them."""

Value = TypeVar("Value")


class BadCellError(Exception):
    """A cell contains a value that no server writes there; names the column, never the content."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class BaseStore:
    """The engine-independent part of a store; see ``langkeys.store.protocol``."""

    def __init__(self) -> None:
        self.commit_context: CommitContext | None = None
        self.before_encrypted: Callable[[], None] | None = None
        self._writes_encrypted = False
        self._changes: list[Iterable[Change]] = []
        self._unreadable: set[tuple[str, str]] = set()
        self._waiting: list[tuple[bool, str]] = []
        self._listeners: tuple[Callable[[str], None], Callable[[str], None]] | None = None

    @property
    def location(self) -> str:
        raise NotImplementedError

    @property
    def generation(self) -> Generation:
        return self._generation

    @property
    def schema_problems(self) -> Sequence[str]:
        return self._schema_problems

    def _recognize(
        self, columns: Mapping[str, frozenset[str]], revisions: Sequence[str], *, writable: bool
    ) -> None:
        """Find out the generation by the columns of all tables and alembic's revisions.

        Raises StoreError if a migration is unfinished and the store is writable.
        """
        revision = revisions[0] if len(revisions) == 1 else None
        self._generation = get_generation(columns, revision, self.location)
        self._schema_problems = schema_problems(columns, revisions, self._generation)
        if writable and (left := unfinished_tables(columns)):
            raise StoreError(
                f"{self.location} has {', '.join(left)} from an unfinished migration"
                " of Langflow; nothing was written",
                hint="restore the copy from before the upgrade, or let the server finish it",
            )
        for problem in self._schema_problems:
            if problem != self._generation.note:  # the session itself reports the note
                self._tell(f"{self.location}: {problem}", is_warning=True)

    def listen(self, *, note: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._listeners = (note, warn)
        waiting, self._waiting = self._waiting, []
        for is_warning, sentence in waiting:
            self._tell(sentence, is_warning=is_warning)

    def _tell(self, sentence: str, *, is_warning: bool) -> None:
        if self._listeners is None:
            self._waiting.append((is_warning, sentence))
        else:
            self._listeners[is_warning](sentence)

    def _readable(
        self, rows: Iterable[Sequence[Any]], load: Callable[[Sequence[Any]], Value]
    ) -> Iterator[Value]:
        """Yield the values of rows; skip unreadable rows with a warning."""
        for row in rows:
            try:
                value = load(row)
            except UnreadableRowError as error:
                self._tell_unreadable(error)
            else:
                yield value

    def _tell_unreadable(self, error: UnreadableRowError) -> None:
        row = (error.table, error.row)
        if row in self._unreadable or len(self._unreadable) > MAX_WARNED:
            return
        self._unreadable.add(row)
        if len(self._unreadable) > MAX_WARNED:
            self._tell(
                f"{self.location} has more unreadable rows; langkeys doctor lists all of them",
                is_warning=True,
            )
        else:
            self._tell(f"{error.message}; it is left out", is_warning=True)

    def _forget_changes(self) -> None:
        """Forget the changes of the previous transaction."""
        self._changes = []
        self._writes_encrypted = False

    def _commit_context(self) -> AbstractContextManager[None]:
        """Return the context manager for the commit; see ``CommitContext``."""
        if self.commit_context is None or not self._changes:
            return nullcontext()
        return self.commit_context(chain.from_iterable(self._changes))

    def _allow_encrypted(self, stored: Iterable[str]) -> None:
        """Call ``before_encrypted`` before the first encrypted value of a transaction."""
        if self.before_encrypted is None or self._writes_encrypted:
            return
        if any(value.startswith(FERNET_PREFIX) for value in stored):
            self.before_encrypted()
            self._writes_encrypted = True

    def note(self, change: Change) -> None:
        self._note([change])

    def _note(self, changes: Iterable[Change]) -> None:
        """Remember changes for the commit, if there is a ``commit_context``."""
        if self.commit_context is not None and (noted := list(changes)):
            self._changes.append(noted)

    def _note_unread(self, changes: Iterable[Change]) -> None:
        """Remember at least one change, without reading them: they may not fit into memory."""
        if self.commit_context is not None:
            self._changes.append(changes)
