"""The contract of all engines for batches of API keys: all or none, and not kept in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import pytest

from langkeys.errors import ConflictError, StoreError
from langkeys.models import ApiKey
from langkeys.store.protocol import Change, KeyFilter, Store

from .conftest import NOW, OWNER, Engine, add_keys, api_key

ALL = KeyFilter(now=NOW)
DAY = timedelta(days=1)
MANY = 1203
"""More than a page, and more than is inserted in the order of creation."""


def listed(store: Store) -> list[ApiKey]:
    return list(store.api_keys(ALL))


def named(keys: Iterable[ApiKey]) -> set[str | None]:
    return {key.name for key in keys}


def record_commits(store: Store) -> list[list[Change]]:
    """Return a list that receives the changes of each commit of a store."""
    commits: list[list[Change]] = []

    @contextlib.contextmanager
    def commit_context(changes: Iterable[Change]) -> Iterator[None]:
        commits.append(list(changes))
        yield

    store.commit_context = commit_context
    return commits


@pytest.mark.parametrize("count", [0, 1, 3, MANY])
def test_a_whole_batch_is_inserted_and_reads_back(writer: Store, reader: Store, count: int) -> None:
    keys = [
        api_key(f"key {n}", stored=f"gAAAAA{n}", hashed=f"hash {n}", expires_at=NOW + n * DAY)
        for n in range(count)
    ]
    with writer.key_batch() as batch:
        batch.add(keys[: count // 2])
        batch.add(keys[count // 2 :])
        assert len(batch) == count
        assert listed(reader) == []
        with writer.transaction():
            batch.insert()
            assert listed(reader) == []
        assert batch.find_unwritten() is None
        assert list(batch) == keys
    found = listed(reader)
    assert len(found) == count
    expected = {key.id: key._replace(username="administrator") for key in keys}
    assert {key.id: key for key in found} == expected
    if count < MANY:
        assert [key.id for key in found] == [key.id for key in keys]


def test_a_conflict_in_a_batch_leaves_none_of_it(writer: Store, reader: Store) -> None:
    (there,) = add_keys(writer, api_key())

    def inserted(store: Store) -> None:
        with store.key_batch() as batch:
            batch.add([api_key(), there])
            with store.transaction():
                batch.insert()

    with pytest.raises(ConflictError):
        inserted(writer)
    assert [key.id for key in listed(reader)] == [there.id]
    with writer.key_batch() as batch:  # the previous batch is gone
        assert len(batch) == 0
        assert list(batch) == []


def test_keys_of_a_batch_that_was_not_committed_are_found_unwritten(writer: Store) -> None:
    keys = [api_key() for _ in range(3)]
    with writer.key_batch() as batch:
        batch.add(keys)
        with contextlib.suppress(ZeroDivisionError), writer.transaction():
            batch.insert()
            raise ZeroDivisionError
        assert batch.find_unwritten() == keys[0].id


@pytest.mark.parametrize("count", [3, MANY])
def test_a_key_that_others_have_changed_is_found_unwritten(
    writer: Store, engine: Engine, count: int
) -> None:
    keys = [api_key(f"key {n}") for n in range(count)]
    with writer.key_batch() as batch:
        batch.add(keys)
        with writer.transaction():
            batch.insert()
        with engine.opened(writable=True) as other, other.transaction():
            changed = keys[1]._replace(stored="gAAAAAchanged")
            assert other.replace_stored([(keys[1], changed)]) == 1
        assert batch.find_unwritten() == keys[1].id


def test_only_matching_keys_are_deleted(writer: Store, reader: Store) -> None:
    keys = add_keys(
        writer,
        api_key("expired", expires_at=NOW - DAY),
        api_key("spared", expires_at=NOW - DAY),
        api_key("expires later", expires_at=NOW + DAY),
        api_key("never expires"),
    )
    wanted = KeyFilter(now=NOW, is_expired=True)
    with writer.key_batch() as batch:
        batch.add_matching(wanted, spared=keys[1].id)
        assert list(batch) == [keys[0]._replace(username="administrator")]
        with writer.transaction():
            batch.delete(wanted)
        assert batch.find_undeleted() is None
        assert named(batch) == {"expired"}
    assert named(listed(reader)) == {"spared", "expires later", "never expires"}


def test_a_key_that_no_longer_matches_stays(writer: Store, reader: Store, engine: Engine) -> None:
    used, gone, unused = add_keys(writer, api_key("used"), api_key("gone"), api_key("unused"))
    wanted = KeyFilter(now=NOW + 2 * DAY, unused_since=NOW + DAY)
    with writer.key_batch() as batch:
        batch.add_matching(wanted)
        assert len(batch) == 3
        with engine.opened(writable=True) as other:
            other.count_use(used.id, NOW + 2 * DAY)
            with other.transaction():
                other.delete_api_keys([gone.id])
        with writer.transaction():
            batch.delete(wanted)
        assert len(batch) == 1
        assert [key.id for key in batch] == [unused.id]
    assert named(listed(reader)) == {"used"}


@pytest.mark.parametrize("count", [1, MANY, 5001])
def test_a_large_batch_is_deleted_completely_with_progress(
    writer: Store, reader: Store, count: int
) -> None:
    add_keys(writer, *(api_key(f"key {n}") for n in range(count)))
    progress: list[int] = []
    with writer.key_batch() as batch:
        batch.add_matching(ALL)
        assert len(batch) == count
        with writer.transaction():
            batch.delete(done=progress.append)
        assert batch.find_undeleted() is None
        assert len(batch) == count
    assert progress == sorted(progress)
    assert progress[-1] == count
    assert listed(reader) == []


def test_keys_whose_deletion_was_not_committed_are_found_undeleted(
    writer: Store, reader: Store
) -> None:
    (key,) = add_keys(writer, api_key())
    with writer.key_batch() as batch:
        batch.add_matching(ALL)
        with contextlib.suppress(ZeroDivisionError), writer.transaction():
            batch.delete()
            raise ZeroDivisionError
        assert batch.find_undeleted() == key.id
    assert [found.id for found in listed(reader)] == [key.id]


def test_a_commit_reports_every_key_of_a_batch(writer: Store) -> None:
    commits = record_commits(writer)
    keys: Sequence[ApiKey] = [
        *(api_key("alike") for _ in range(MANY)),
        api_key("other"),
        api_key("expires", expires_at=NOW + DAY),
    ]
    with writer.key_batch() as batch:
        batch.add(key._replace(username="administrator") for key in keys)
        with writer.transaction():
            batch.insert()
        with writer.transaction():
            batch.delete()
    inserted, deleted = commits
    assert [row_id for change in inserted for row_id in (change.id, *change.more_ids)] == [
        key.id for key in keys
    ]
    assert {(c.action, c.kind, c.name, c.user_id) for c in inserted} == {
        ("insert", "api_key", name, OWNER) for name in ("alike", "other", "expires")
    }
    assert len(inserted) < 10
    assert [change.id for change in deleted] == [key.id for key in keys]
    assert {change.action for change in deleted} == {"delete"}
    assert all(change.ended is not None for change in deleted)


def test_the_commit_of_an_empty_batch_is_not_reported(writer: Store) -> None:
    commits = record_commits(writer)
    with writer.key_batch() as batch:
        with writer.transaction():
            batch.insert()
        with writer.transaction():
            batch.delete()
    assert commits == []


def test_a_batch_needs_no_lock_until_it_is_written(writer: Store, engine: Engine) -> None:
    with engine.opened(writable=True) as other, other.transaction(), writer.key_batch() as batch:
        batch.add([api_key()])
        batch.add_matching(ALL)
        with pytest.raises(StoreError, match="locked"), writer.transaction():
            batch.insert()


def test_discarded_keys_are_neither_inserted_nor_deleted(writer: Store, reader: Store) -> None:
    stays, goes = add_keys(writer, api_key("stays"), api_key("goes"))
    with writer.key_batch() as batch:
        batch.add_matching(KeyFilter(now=NOW))
        assert batch.ids_among([stays.id, goes.id, "0" * 32]) == {stays.id, goes.id}
        batch.discard([stays.id, "0" * 32])
        assert batch.ids_among([stays.id]) == set()
        assert len(batch) == 1
        with writer.transaction():
            batch.delete()
    assert [key.id for key in reader.api_keys(KeyFilter(now=NOW))] == [stays.id]


def test_keys_that_no_longer_match_leave_the_batch(writer: Store, reader: Store) -> None:
    used, unused, gone = add_keys(writer, api_key("a"), api_key("b"), api_key("c"))
    with writer.key_batch() as batch:
        batch.add_matching(KeyFilter(now=NOW))
        writer.count_use(used.id, NOW)
        with writer.transaction():
            writer.delete_api_keys([gone.id])
        batch.keep_matching(KeyFilter(now=NOW, name="b"))
        assert [key.id for key in batch] == [unused.id]
        assert len(batch) == 1
