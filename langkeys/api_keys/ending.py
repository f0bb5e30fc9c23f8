"""Ended means ended: an API key with all of its rows, and the proof that a server refuses it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from langkeys.api_keys.finder import KeyFinder
from langkeys.api_keys.verification import Judge, Verified, by_rows
from langkeys.errors import ConflictError, FailedError, InvalidKeyError, NotFoundError
from langkeys.models import ApiKey, dashed
from langkeys.progress import Advance
from langkeys.store.owners import with_owners
from langkeys.store.protocol import KeyBatch, KeyFilter, OwnedKey, RowStub, Store
from langkeys.store.read_back import require_deleted, require_stored
from langkeys.text import counted

FEW = 500
"""So many keys of a batch are judged one by one; of more, those that could be let in after all."""

Expiry = Callable[[ApiKey], datetime | None]
"""When a row is to expire."""


@dataclass(frozen=True)
class WholeKey:
    """An API key: the row that is meant, and every row of the same key that can be found.

    ``hashed`` stands for the key; None where the secret key does not open the only row known.
    ``plaintext`` is the key itself, where a row opens. ``stubs`` are rows of the key that cannot
    be read for what is in other cells of them.
    """

    meant: ApiKey
    rows: tuple[ApiKey, ...]
    hashed: str | None = field(repr=False)
    plaintext: str | None = field(default=None, repr=False)
    stubs: tuple[RowStub, ...] = ()

    @property
    def others(self) -> tuple[ApiKey, ...]:
        """The rows besides the one that is meant."""
        return tuple(row for row in self.rows if row.id != self.meant.id)


class Endings:
    """Ends API keys, whole, each call in one transaction, and proves that they are ended.

    ``finder`` finds their rows and ``judge`` answers for the server. After a call ``unreadable``
    is the number of rows that may be of the same keys and cannot be read, and ``has_ended`` says
    whether the transaction was committed, whatever its proof said.
    """

    def __init__(self, store: Store, finder: KeyFinder, judge: Judge) -> None:
        self._store = store
        self.finder = finder
        self._judge = judge
        self.unreadable = 0
        self.has_ended = False

    # Which rows make a key

    def whole(self, row: ApiKey) -> WholeKey:
        """Return the key that a row is of."""
        hashed, plaintext, found = self.finder.find_rows_with(row)
        rows = tuple(owned.key for owned in found)
        if row.id not in {other.id for other in rows}:
            rows = (row, *rows)
        row = next(other for other in rows if other.id == row.id)
        stubs = () if hashed is None else tuple(self.finder.find_stubs(hashed, plaintext))
        return WholeKey(row, rows, hashed, plaintext, stubs)

    def wholes(self, rows: Iterable[ApiKey]) -> list[WholeKey]:
        """Return the keys that rows are of, each key once."""
        keys: list[WholeKey] = []
        seen: set[str] = set()
        for row in rows:
            if row.id not in seen:
                keys.append(self.whole(row))
                seen.update(other.id for other in keys[-1].rows)
        return keys

    def find_working(self, key: WholeKey) -> ApiKey | None:
        """Return the row by which a server lets a key in, or None where it refuses the key."""
        return self.find_alive(key.hashed or "", _owned(self._store, key.rows))

    def is_in_environment(self, key: WholeKey) -> bool:
        """Tell whether a server lets a key in by its environment, whatever rows there are."""
        hashed = key.hashed or ""
        return self._judge.find_by_environment(self._store, hashed) is not None

    def find_repeated(self) -> list[tuple[str, Sequence[OwnedKey]]]:
        """Return the keys that stand in more than one row: their hashes, and all of their rows."""
        hashes = sorted(self.finder.find_repeated())
        return [(hashed, self.finder.find_all_hashed(hashed, None)) for hashed in hashes]

    def find_alive(self, hashed: str, rest: Sequence[OwnedKey]) -> ApiKey | None:
        """Return the row by which a server lets a key in that has only these rows left, or None."""
        try:
            return by_rows(self._store, hashed, rest).api_key
        except InvalidKeyError:
            return None

    # Ending

    def revoke(self, keys: Sequence[WholeKey], stubs: Sequence[RowStub] = ()) -> list[WholeKey]:
        """Delete keys, all or none; return them with the rows that went.

        ``stubs`` are rows that are named themselves and cannot be read: what else is of their keys
        cannot be told.
        """
        with self._store.transaction():
            keys = [self.again(key) for key in keys]
            self.delete_rows(keys)
            gone = {stub.position for key in keys for stub in key.stubs}
            named = [stub for stub in stubs if stub.position not in gone]
            self._delete_stubs(named)
        self.prove_revoked(keys)
        self.unreadable = self.finder.count_unreadable()
        return keys

    def delete_rows(self, keys: Iterable[WholeKey]) -> None:
        """Delete all rows of keys, within a transaction."""
        keys = list(keys)
        ids = list(dict.fromkeys(row.id for key in keys for row in key.rows))
        if ids and self._store.delete_api_keys(ids) != len(ids):
            raise NotFoundError(
                f"not all of {counted(len(ids), 'API key', 'are')} still in"
                f" {self._store.location}; nothing was done",
                hint="run the command again",
            )
        self._delete_stubs([stub for key in keys for stub in key.stubs])

    def _delete_stubs(self, stubs: Sequence[RowStub]) -> None:
        if stubs and self._store.delete_stubs(stubs) != len(stubs):
            raise NotFoundError(
                f"not all of {counted(len(stubs), 'row', 'are')} still in"
                f" {self._store.location}; nothing was done",
                hint="run the command again",
            )

    def prove_revoked(self, keys: Sequence[WholeKey]) -> None:
        """Raise FailedError where a row is still there, or where a server still lets a key in."""
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
        """Raise FailedError where a server with the database ``fresh`` still lets a key in."""
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
        """Revoke those keys of a batch that still match, all or none; return those that are left.

        Afterwards the batch holds the keys that were revoked. One that has been used, or given
        another expiry, since it was listed stays, and so does one that another row keeps alive.
        """
        self.finder.decrypt_all()
        with self._store.transaction():
            batch.keep_matching(wanted)
            left = self.leave_alive(batch)
            from_environment = self._environment_keys(batch)
            batch.delete(done=done)
        key_id = batch.find_undeleted()
        if key_id is not None:
            require_deleted(f"API key {dashed(key_id)}", self._store.location, is_deleted=False)
        with self._store.reopened() as fresh:
            rows = list(batch) if len(batch) <= FEW else []
            keys = [self.single(row) for row in rows]
            self.prove_refused(fresh, [*keys, *from_environment], "deleted")
        return left

    def leave_alive(self, batch: KeyBatch) -> list[WholeKey]:
        """Take the keys out of a batch that rows outside of it keep alive, and return them.

        ``meant`` of each is the row that keeps it alive.
        """
        left = []
        for hashed, rows in self.find_repeated():
            inside = batch.ids_among([row.key.id for row in rows])
            rest = [row for row in rows if row.key.id not in inside]
            kept_by = self.find_alive(hashed, rest) if inside else None
            if kept_by is not None:
                batch.discard(inside)
                left.append(WholeKey(kept_by, tuple(row.key for row in rows), hashed))
        return left

    def _environment_keys(self, batch: KeyBatch) -> list[WholeKey]:
        value = self._judge.environment_key
        rows = [row.key for row in self.finder.find_all(value)] if value else []
        ended = batch.ids_among([row.id for row in rows])
        return [self.whole(row) for row in rows if row.id in ended][:1]

    def deactivate(self, key: WholeKey) -> WholeKey:
        """Turn all rows of a key off; return it as it was, with the rows that were on."""
        with self._store.transaction():
            key = self.again(key)
            on = tuple(row for row in key.rows if row.is_active)
            self.update_rows([row._replace(is_active=False) for row in on])
        self.check_written([row._replace(is_active=False) for row in on])
        with self._store.reopened() as fresh:
            self.prove_refused(fresh, [key], "inactive")
        return WholeKey(key.meant, on, key.hashed, key.plaintext)

    def update(
        self, row: ApiKey, *, name: str | None = None, expiry: Expiry | None = None
    ) -> WholeKey:
        """Give a row another name and all rows of its key an expiry; return them as they are.

        That a key ends later is proved by the stored time.
        """
        with self._store.transaction():
            key = self.again(self.whole(row))
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
        """Give all rows of a key an expiry, within a transaction; return them with it."""
        rows = [row._replace(expires_at=expiry(row)) for row in key.rows]
        self.update_rows(rows)
        return rows

    # The other way

    def activate(self, row: ApiKey) -> str | None:
        """Turn one row on; return why a server refuses the key all the same, or None.

        Raises ConflictError where the row would make a server refuse a key that it lets in, or
        where two active rows would have one hash.
        """
        with self._store.transaction():
            active, refusal = self.activate_within(row)
        self.check_written([active])
        return refusal

    def activate_within(self, row: ApiKey) -> tuple[ApiKey, str | None]:
        """Turn one row on within a transaction; return it, and what ``activate`` returns."""
        key = self.again(self.whole(row))
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

    # What they share

    def single(self, row: ApiKey) -> WholeKey:
        """Return a key of which no other row is to be looked for."""
        return WholeKey(row, (row,), *self.finder.find_key(row))

    def again(self, key: WholeKey, *, as_whole: bool = True) -> WholeKey:
        """Return a key with the rows that it has now, within a transaction; NotFoundError.

        Without ``as_whole`` only those that it had before.
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
        return self.whole(row)

    def update_rows(self, rows: Iterable[ApiKey]) -> None:
        """Write rows within a transaction; raise NotFoundError where one is gone."""
        for row in rows:
            if not self._store.update_api_key(row):
                raise NotFoundError(
                    f"API key {dashed(row.id)} is no longer in {self._store.location}; nothing"
                    " was done"
                )

    def check_written(self, rows: Iterable[ApiKey]) -> None:
        """Raise FailedError unless rows read back so through a fresh connection."""
        with self._store.reopened() as fresh:
            for row in rows:
                is_stored = fresh.find_api_key(row.id) == row
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
            by_rows(store, key.hashed or "", _owned(store, key.rows))
        except InvalidKeyError as error:
            return error
        return None


def _owned(store: Store, rows: Iterable[ApiKey]) -> list[OwnedKey]:
    found = (store.find_api_key(row.id) for row in rows)
    return with_owners(store, (row for row in found if row is not None))


def _way_in(verified: Verified) -> str:
    row = verified.api_key
    if row is None:
        return "LANGFLOW_API_KEY (LANGFLOW_API_KEY_SOURCE is env)"
    return f"API key {dashed(row.id)} ({row.name}, {verified.user.username})"
