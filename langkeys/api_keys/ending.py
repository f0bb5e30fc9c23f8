"""Revoke, expire and deactivate API keys with all their rows; prove that servers refuse them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from langkeys.api_keys.finder import KeyFinder
from langkeys.api_keys.verification import Judge, Verified, verify_rows
from langkeys.errors import ConflictError, FailedError, InvalidKeyError, NotFoundError
from langkeys.models import ApiKey, dashed, shown_without
from langkeys.progress import Advance
from langkeys.store.owners import with_owners
from langkeys.store.protocol import KeyBatch, KeyFilter, OwnedKey, RowStub, Store
from langkeys.store.read_back import require_deleted, require_stored
from langkeys.store.unreadable import delete_unreadable
from langkeys.text import counted

FEW = 500
"""In a batch of up to this many keys, every key is verified.

In a larger batch, only keys that could still work are verified.
"""

Expiry = Callable[[ApiKey], datetime | None]
"""Returns the new expiry for a row."""


class WholeKey(NamedTuple):
    """An API key: the row that the caller named, and all known rows with the same key.

    ``meant`` is the row that the caller named. ``hashed`` is the hash of the key, or None if its
    only known row cannot be decrypted. ``plaintext`` is the key itself, if a row can be decrypted.
    ``stubs`` are rows of the key that cannot be read because of another column.
    """

    meant: ApiKey
    rows: tuple[ApiKey, ...]
    hashed: str | None
    plaintext: str | None = None
    stubs: tuple[RowStub, ...] = ()

    def __repr__(self) -> str:
        return shown_without(self, "hashed", "plaintext")

    @property
    def others(self) -> tuple[ApiKey, ...]:
        """The rows except the one that the caller named."""
        return tuple(row for row in self.rows if row.id != self.meant.id)


class Endings:
    """Ends API keys, and proves that a server refuses them; each call is one transaction.

    ``finder`` finds all rows of a key, and ``judge`` answers as a server would. After a call,
    ``unreadable`` is the number of unreadable rows that may belong to the same keys. ``has_ended``
    says whether the transaction was committed, even if the proof failed.
    """

    def __init__(self, store: Store, finder: KeyFinder, judge: Judge) -> None:
        self._store = store
        self.finder = finder
        self._judge = judge
        self.unreadable = 0
        self.has_ended = False

    @property
    def unreadable_warning(self) -> str | None:
        """A warning of the rows that ``unreadable`` counts."""
        if not self.unreadable:
            return None
        return (
            f"{counted(self.unreadable, 'API key')} in {self._store.location} cannot be decrypted"
            " and may hold the same key"
        )

    # Finding the rows of a key

    def whole_key(self, row: ApiKey) -> WholeKey:
        """Return the key that a row belongs to."""
        hashed, plaintext, found = self.finder.find_rows_with(row)
        rows = tuple(owned.key for owned in found)
        if row.id not in {other.id for other in rows}:
            rows = (row, *rows)
        row = next(other for other in rows if other.id == row.id)
        stubs = () if hashed is None else tuple(self.finder.find_stubs(hashed, plaintext))
        return WholeKey(row, rows, hashed, plaintext, stubs)

    def whole_keys(self, rows: Iterable[ApiKey]) -> list[WholeKey]:
        """Return the keys that rows belong to, each key only once."""
        keys: list[WholeKey] = []
        seen: set[str] = set()
        for row in rows:
            if row.id not in seen:
                keys.append(self.whole_key(row))
                seen.update(other.id for other in keys[-1].rows)
        return keys

    def find_working_row(self, key: WholeKey) -> ApiKey | None:
        """Return the row that makes a server accept a key, or None if a server refuses the key."""
        return self.find_accepting_row(key.hashed or "", _owned(self._store, key.rows))

    def is_in_environment(self, key: WholeKey) -> bool:
        """Tell whether a server accepts a key from its environment, even without any row."""
        hashed = key.hashed or ""
        return self._judge.find_by_environment(self._store, hashed) is not None

    def find_repeated(self) -> list[tuple[str, Sequence[OwnedKey]]]:
        """Return the hash and the rows of every API key that has more than one row."""
        hashes = sorted(self.finder.find_repeated())
        return [(hashed, self.finder.find_all_hashed(hashed, None)) for hashed in hashes]

    def find_accepting_row(self, hashed: str, rest: Sequence[OwnedKey]) -> ApiKey | None:
        """Return the row by which a server would accept a key that has only these rows, or None."""
        try:
            return verify_rows(self._store, hashed, rest).api_key
        except InvalidKeyError:
            return None

    # Ending

    def revoke(self, keys: Sequence[WholeKey], stubs: Sequence[RowStub] = ()) -> list[WholeKey]:
        """Delete keys, all or none; return them with the deleted rows.

        ``stubs`` are unreadable rows that the caller named; other rows of their keys cannot be
        found.
        """
        with self._store.transaction():
            keys = [self.reload(key) for key in keys]
            self.delete_rows(keys)
            gone = {stub.position for key in keys for stub in key.stubs}
            named = [stub for stub in stubs if stub.position not in gone]
            delete_unreadable(self._store, named)
        self.prove_revoked(keys)
        self.unreadable = self.finder.count_unreadable()
        return keys

    def delete_rows(self, keys: Iterable[WholeKey]) -> None:
        """Delete all rows of the keys, within a transaction."""
        keys = list(keys)
        ids = list(dict.fromkeys(row.id for key in keys for row in key.rows))
        if ids and self._store.delete_api_keys(ids) != len(ids):
            for row_id in ids:
                is_gone = self._store.find_api_key(row_id) is None
                require_deleted(
                    f"API key {dashed(row_id)}", self._store.location, is_deleted=is_gone
                )
            raise NotFoundError(
                f"not all of {counted(len(ids), 'API key', 'are')} still in"
                f" {self._store.location}; nothing was done",
                hint="run the command again",
            )
        delete_unreadable(self._store, [stub for key in keys for stub in key.stubs])

    def prove_revoked(self, keys: Sequence[WholeKey]) -> None:
        """Raise FailedError if a row still exists, or if a server still accepts a key."""
        self.has_ended = True
        with self._store.reopened() as fresh:
            for key in keys:
                for row in key.rows:
                    require_deleted(
                        f"API key {dashed(row.id)}",
                        fresh.location,
                        is_deleted=fresh.find_api_key(row.id) is None,
                    )
            self.prove_refused(fresh, keys, "deleted")

    def prove_refused(self, fresh: Store, keys: Iterable[WholeKey], ended: str) -> None:
        """Raise FailedError if a server with the database ``fresh`` still accepts a key."""
        finder = self.finder.on(fresh)
        for key in keys:
            if key.hashed is None:
                continue
            rows = finder.find_all_hashed(key.hashed, key.plaintext)
            verified = self._verdict(fresh, key.hashed, rows)
            if verified is not None:
                raise FailedError(
                    f"API key {dashed(key.meant.id)} is {ended} in {fresh.location},"
                    " but a server still accepts the key because of"
                    f" {_way_in(verified)}",
                    hint=(
                        "remove LANGFLOW_API_KEY from the server's environment and"
                        " restart the server"
                    )
                    if verified.api_key is None
                    else "revoke that key too: langkeys api-key revoke"
                    f" {dashed(verified.api_key.id)}",
                )
        self.unreadable = finder.count_unreadable()

    def revoke_batch(
        self, batch: KeyBatch, wanted: KeyFilter, *, done: Advance = lambda _: None
    ) -> list[WholeKey]:
        """Revoke the keys of a batch that still match, all or none; return the skipped keys.

        Afterwards the batch contains only the revoked keys. A key is skipped if it was used or got
        another expiry after it was listed, or if a row outside the batch keeps it valid.
        """
        self.finder.decrypt_all()
        with self._store.transaction():
            batch.keep_matching(wanted)
            left = self.exclude_kept_alive(batch)
            from_environment = self._environment_keys(batch)
            batch.delete(done=done)
        key_id = batch.find_undeleted()
        if key_id is not None:
            require_deleted(f"API key {dashed(key_id)}", self._store.location, is_deleted=False)
        with self._store.reopened() as fresh:
            rows = list(batch) if len(batch) <= FEW else []
            keys = [self.single_row_key(row) for row in rows]
            self.prove_refused(fresh, [*keys, *from_environment], "deleted")
        return left

    def exclude_kept_alive(self, batch: KeyBatch) -> list[WholeKey]:
        """Remove keys from the batch that rows outside it keep valid, and return these keys.

        ``meant`` of each returned key is the row that keeps it valid.
        """
        left = []
        for hashed, rows in self.find_repeated():
            inside = batch.ids_among([row.key.id for row in rows])
            rest = [row for row in rows if row.key.id not in inside]
            kept_by = self.find_accepting_row(hashed, rest) if inside else None
            if kept_by is not None:
                batch.discard(inside)
                left.append(WholeKey(kept_by, tuple(row.key for row in rows), hashed))
        return left

    def _environment_keys(self, batch: KeyBatch) -> list[WholeKey]:
        value = self._judge.environment_key
        rows = [row.key for row in self.finder.find_all(value)] if value else []
        ended = batch.ids_among([row.id for row in rows])
        return [self.whole_key(row) for row in rows if row.id in ended][:1]

    def deactivate(self, key: WholeKey) -> WholeKey:
        """Deactivate all rows of a key; return the key with its previously active rows."""
        with self._store.transaction():
            key = self.reload(key)
            on = tuple(row for row in key.rows if row.is_active)
            self.update_rows([row._replace(is_active=False) for row in on])
        self.check_written([row._replace(is_active=False) for row in on])
        with self._store.reopened() as fresh:
            self.prove_refused(fresh, [key], "inactive")
        return WholeKey(key.meant, on, key.hashed, key.plaintext)

    def update(
        self, row: ApiKey, *, name: str | None = None, expiry: Expiry | None = None
    ) -> WholeKey:
        """Rename a row, and set the expiry of all rows of its key; return the key as it is now.

        A later expiry is proved only by the stored time.
        """
        with self._store.transaction():
            key = self.reload(self.whole_key(row))
            rows = key.rows if expiry is not None else (key.meant,)
            updated = tuple(
                old._replace(
                    name=name if name is not None and old.id == row.id else old.name,
                    expires_at=old.expires_at if expiry is None else expiry(old),
                )
                for old in rows
            )
            self.update_rows(updated)
        self.check_written(updated)
        if expiry is not None:
            self.unreadable = self.finder.count_unreadable()
        meant = next(new for new in updated if new.id == row.id)
        return WholeKey(meant, updated, key.hashed, key.plaintext)

    def set_expiry(self, key: WholeKey, expiry: Expiry) -> list[ApiKey]:
        """Set the expiry of all rows of a key within a transaction; return the new rows."""
        rows = [row._replace(expires_at=expiry(row)) for row in key.rows]
        self.update_rows(rows)
        return rows

    # Activating

    def activate(self, row: ApiKey) -> str | None:
        """Activate one row; return why a server still refuses the key, or None.

        Raises ConflictError if the active row would make a server refuse a key that it accepts now,
        or if two active rows would have the same hash.
        """
        with self._store.transaction():
            active, refusal = self.activate_within(row)
        self.check_written([active])
        return refusal

    def activate_within(self, row: ApiKey) -> tuple[ApiKey, str | None]:
        """Activate one row within a transaction; return it and the result of ``activate``."""
        key = self.reload(self.whole_key(row))
        before = self._refusal(self._store, key)
        active = key.meant._replace(is_active=True)
        self.update_rows([active])
        after = self._refusal(self._store, key)
        if after is not None and (before is None or after.reason == "duplicate"):
            others = ", ".join(dashed(other.id) for other in key.others if other.is_active)
            raise ConflictError(
                f"if API key {dashed(row.id)} were active too, a server would"
                f" refuse the key: {after.message}; nothing was done",
                hint=f"the same key is active as {others or 'another row'}: use that one, or"
                " deactivate it first",
            )
        return active, None if after is None else after.message

    # Shared steps

    def single_row_key(self, row: ApiKey) -> WholeKey:
        """Return a row's key without searching for other rows."""
        return WholeKey(row, (row,), *self.finder.find_key(row))

    def reload(self, key: WholeKey, *, as_whole: bool = True) -> WholeKey:
        """Return a key with its current rows, within a transaction; NotFoundError if it is gone.

        If ``as_whole`` is false, rows that the key did not have before are ignored.
        """
        row = self._store.find_api_key(key.meant.id)
        if row is not None and not as_whole:
            found = map(self._store.find_api_key, (old.id for old in key.rows))
            rows = tuple(new for new in found if new is not None)
            return WholeKey(row, rows, key.hashed, key.plaintext)
        if row is None:
            raise NotFoundError(
                f"API key {dashed(key.meant.id)} has just been deleted from"
                f" {self._store.location} by another process; nothing was done",
                hint="run the command again",
            )
        return self.whole_key(row)

    def update_rows(self, rows: Iterable[ApiKey]) -> None:
        """Write rows within a transaction; raise NotFoundError if one is gone."""
        for row in rows:
            if not self._store.update_api_key(row):
                is_gone = self._store.find_api_key(row.id) is None
                require_stored(f"API key {dashed(row.id)}", self._store.location, is_stored=is_gone)
                raise NotFoundError(
                    f"API key {dashed(row.id)} is no longer in {self._store.location}; nothing"
                    " was done"
                )

    def check_written(self, rows: Iterable[ApiKey]) -> None:
        """Raise FailedError unless a new connection reads these rows, however often used."""
        with self._store.reopened() as fresh:
            for row in rows:
                found = fresh.find_api_key(row.id)
                is_stored = found is not None and _uncounted(found) == _uncounted(row)
                require_stored(f"API key {dashed(row.id)}", fresh.location, is_stored=is_stored)

    def _verdict(
        self, store: Store, hashed: str | None, rows: Sequence[OwnedKey]
    ) -> Verified | None:
        try:
            return self._judge.judge(store, hashed or "", rows)
        except InvalidKeyError:
            return None

    def _refusal(self, store: Store, key: WholeKey) -> InvalidKeyError | None:
        try:
            verify_rows(store, key.hashed or "", _owned(store, key.rows))
        except InvalidKeyError as error:
            return error
        return None


def _uncounted(row: ApiKey) -> ApiKey:
    """Return a row without what a server changes at each use of the key."""
    return row._replace(last_used_at=None, total_uses=0)


def _owned(store: Store, rows: Iterable[ApiKey]) -> list[OwnedKey]:
    found = (store.find_api_key(row.id) for row in rows)
    return with_owners(store, (row for row in found if row is not None))


def _way_in(verified: Verified) -> str:
    row = verified.api_key
    if row is None:
        return "LANGFLOW_API_KEY (LANGFLOW_API_KEY_SOURCE is env)"
    return f"API key {dashed(row.id)} ({row.name}, {verified.user.username})"
