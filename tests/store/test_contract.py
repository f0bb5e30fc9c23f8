"""The contract of all engines' stores; uses only ``langkeys.store.protocol``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langkeys.errors import ConflictError, LangkeysError, StoreError
from langkeys.models import ApiKey
from langkeys.store.protocol import KeyFilter, Store

from .conftest import NOW, OWNER, Engine, add_keys, api_key, user

ALL = KeyFilter(now=NOW)
DAY = timedelta(days=1)


def ids(keys: Sequence[ApiKey]) -> list[str]:
    return [key.id for key in keys]


def listed(store: Store, wanted: KeyFilter = ALL, **paging: int) -> list[str]:
    return [key.id for key in store.api_keys(wanted, **paging)]


# Users


def test_a_user_reads_back_as_it_was_written(writer: Store, reader: Store) -> None:
    alice = user("alice", "b" * 32)._replace(
        is_active=False,
        is_superuser=False,
        last_login_at=NOW + DAY,
        profile_image="Space/Alien.svg",
        optins=None,
    )
    with writer.transaction():
        writer.insert_user(alice)
    assert reader.find_user("b" * 32) == alice
    assert reader.find_user_named("alice") == alice
    assert reader.find_user_named("administrator") == user()


def test_a_user_is_found_by_exactly_its_name(reader: Store) -> None:
    for name in ("Administrator", "administrator ", "admin", "admin%", "", "nobody"):
        assert reader.find_user_named(name) is None
    assert reader.find_user("c" * 32) is None


def test_two_users_with_one_name_are_a_conflict(writer: Store) -> None:
    with pytest.raises(ConflictError), writer.transaction():
        writer.insert_user(user("administrator", "b" * 32))


# Transactions


def test_a_key_reads_back_as_it_was_written_with_its_owners_name(
    writer: Store, reader: Store
) -> None:
    key = api_key(
        "tabs\tand\nlines 🚀 עברית",
        last_used_at=NOW - DAY,
        expires_at=NOW + DAY,
        is_active=False,
    )
    add_keys(writer, key)
    assert reader.find_api_key(key.id) == key._replace(username="administrator")


def test_a_key_without_name_hash_or_times_reads_back(writer: Store, reader: Store) -> None:
    key = api_key(None, hashed=None)
    add_keys(writer, key)
    assert reader.find_api_key(key.id) == key._replace(username="administrator")


def test_a_key_without_an_owner_reads_back_or_is_a_conflict(
    engine: Engine, writer: Store, reader: Store
) -> None:
    key = api_key(user_id="d" * 32)
    if engine.enforces_owners:
        with pytest.raises(ConflictError):
            add_keys(writer, key)
    else:
        add_keys(writer, key)
        assert reader.find_api_key(key.id) == key


def test_nothing_is_seen_by_others_before_the_transaction_ends(
    writer: Store, reader: Store
) -> None:
    key = api_key()
    with writer.transaction():
        writer.insert_api_keys([key])
        assert listed(reader) == []
    assert listed(reader) == [key.id]


def test_an_error_rolls_the_whole_transaction_back(writer: Store, reader: Store) -> None:
    kept = add_keys(writer, api_key())[0]

    def failing(store: Store) -> None:
        with store.transaction():
            store.insert_api_keys([api_key(), api_key()])
            store.delete_api_keys([kept.id])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing(writer)
    assert listed(reader) == [kept.id]
    add_keys(writer, api_key())
    assert len(listed(reader)) == 2


def test_a_conflict_in_the_middle_rolls_all_of_it_back(writer: Store, reader: Store) -> None:
    key = api_key()
    with pytest.raises(ConflictError), writer.transaction():
        writer.insert_api_keys([api_key(), key, key])
    assert listed(reader) == []


def test_two_keys_with_the_same_stored_form_are_a_conflict(writer: Store, reader: Store) -> None:
    add_keys(writer, api_key(stored="gAAAAAsame"))
    with pytest.raises(ConflictError):
        add_keys(writer, api_key(stored="gAAAAAsame"))
    assert len(listed(reader)) == 1


def test_a_second_writer_gets_an_error_that_the_store_is_locked(
    engine: Engine, writer: Store
) -> None:
    with engine.opened(writable=True) as second, writer.transaction():
        with pytest.raises(StoreError, match="locked") as caught, second.transaction():
            second.insert_api_keys([api_key()])
        assert second.location in caught.value.message
        assert caught.value.hint
    with engine.opened(writable=True) as second:
        add_keys(second, api_key())


def test_a_store_open_for_reading_writes_nothing(reader: Store) -> None:
    with pytest.raises(LangkeysError):
        add_keys(reader, api_key())
    assert listed(reader) == []


def test_a_reopened_store_sees_what_was_committed(writer: Store) -> None:
    key = add_keys(writer, api_key())[0]
    with writer.reopened() as fresh:
        assert fresh is not writer
        assert fresh.find_api_key(key.id) is not None


def test_closing_twice_does_no_harm(engine: Engine) -> None:
    with engine.opened() as store:
        store.close()


# Deleting


def test_keys_are_deleted_by_id_and_counted(writer: Store, reader: Store) -> None:
    one, two, three = add_keys(writer, api_key(), api_key(), api_key())
    with writer.transaction():
        assert writer.delete_api_keys([one.id, three.id, "0" * 32]) == 2
    assert listed(reader) == [two.id]


def test_deleting_nothing_deletes_nothing(writer: Store, reader: Store) -> None:
    add_keys(writer, api_key())
    with writer.transaction():
        assert writer.delete_api_keys([]) in (0, -1)
    assert len(listed(reader)) == 1


# Finding


def test_keys_are_found_by_exact_name_up_to_a_limit(writer: Store, reader: Store) -> None:
    keys = add_keys(writer, *(api_key("ci") for _ in range(3)), api_key("CI"), api_key(None))
    assert ids(reader.api_keys_named("ci", 10)) == ids(keys[:3])
    assert ids(reader.api_keys_named("ci", 2)) == ids(keys[:2])
    assert ids(reader.api_keys_named("c%", 10)) == []


def test_keys_are_found_by_the_start_of_their_id(writer: Store, reader: Store) -> None:
    low, middle, high = (api_key(key_id=c * 32) for c in "0af")
    add_keys(writer, low, middle, high, api_key(key_id="ab" + "0" * 30))
    assert ids(reader.api_keys_by_id_start("0000", 10)) == [low.id]
    assert ids(reader.api_keys_by_id_start("aa", 10)) == [middle.id]
    assert ids(reader.api_keys_by_id_start("ffff", 10)) == [high.id]
    assert ids(reader.api_keys_by_id_start("f" * 32, 10)) == [high.id]
    assert len(reader.api_keys_by_id_start("a", 10)) == 2
    assert len(reader.api_keys_by_id_start("a", 1)) == 1
    assert ids(reader.api_keys_by_id_start("b", 10)) == []


# Listing


def test_keys_are_listed_in_the_order_of_their_creation(writer: Store, reader: Store) -> None:
    keys = [add_keys(writer, api_key(key_id=f"{9 - n}" * 32))[0] for n in range(5)]
    assert listed(reader) == ids(keys)


def test_keys_can_be_listed_by_owner(writer: Store, reader: Store) -> None:
    with writer.transaction():
        writer.insert_user(user("alice", "d" * 32))
    key, _ = add_keys(writer, api_key(), api_key(user_id="d" * 32))
    assert listed(reader, KeyFilter(now=NOW, user_id=OWNER)) == [key.id]


STATES = {
    "active": [{}, {"expires_at": NOW + DAY}],
    "expired": [{"expires_at": NOW - DAY}, {"expires_at": NOW - timedelta(microseconds=1)}],
    "inactive": [{"is_active": False}, {"is_active": False, "expires_at": NOW - DAY}],
}


def test_each_key_has_exactly_one_status_and_the_store_agrees_with_the_model(
    writer: Store, reader: Store
) -> None:
    keys = add_keys(writer, *(api_key(**state) for states in STATES.values() for state in states))
    found = {status: listed(reader, KeyFilter(now=NOW, status=status)) for status in STATES}
    assert sorted(itertools.chain(*found.values())) == sorted(ids(keys))
    for key in keys:
        assert key.id in found[key.status(NOW)]


def test_unused_means_neither_used_nor_created_since(writer: Store, reader: Store) -> None:
    since = NOW - 10 * DAY
    old, new = since - DAY, since + DAY
    never, long_ago, _, _, _ = add_keys(
        writer,
        api_key(created_at=old),
        api_key(created_at=old, last_used_at=old),
        api_key(created_at=old, last_used_at=new),
        api_key(created_at=new),
        api_key(created_at=new, last_used_at=new),
    )
    wanted = KeyFilter(now=NOW, unused_since=since)
    assert sorted(listed(reader, wanted)) == sorted([never.id, long_ago.id])


def test_expiring_means_between_now_and_then(writer: Store, reader: Store) -> None:
    soon, edge, _, _, _ = add_keys(
        writer,
        api_key(expires_at=NOW + DAY),
        api_key(expires_at=NOW + 7 * DAY),
        api_key(expires_at=NOW + 8 * DAY),
        api_key(expires_at=NOW - DAY),
        api_key(),
    )
    wanted = KeyFilter(now=NOW, expires_before=NOW + 7 * DAY)
    assert listed(reader, wanted) == [soon.id, edge.id]


def test_conditions_combine_with_and(writer: Store, reader: Store) -> None:
    old = NOW - 20 * DAY
    with writer.transaction():
        writer.insert_user(user("alice", "d" * 32))
    key, *_ = add_keys(
        writer,
        api_key(created_at=old, expires_at=NOW + DAY),
        api_key(created_at=old, expires_at=NOW + DAY, user_id="d" * 32),
        api_key(created_at=old, expires_at=NOW + DAY, is_active=False),
        api_key(created_at=old),
        api_key(expires_at=NOW + DAY),
    )
    wanted = KeyFilter(
        now=NOW,
        user_id=OWNER,
        status="active",
        unused_since=NOW - 10 * DAY,
        expires_before=NOW + 2 * DAY,
        created_before=NOW - DAY,
    )
    assert listed(reader, wanted) == [key.id]


_TIMES = st.one_of(st.none(), st.integers(-5, 5).map(lambda days: NOW + days * DAY))
_KEYS = st.lists(st.tuples(_TIMES, _TIMES, st.integers(-9, 0), st.booleans()), max_size=8)


@given(keys=_KEYS, days=st.integers(0, 9), status=st.sampled_from([None, *STATES]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_filter_selects_what_its_documentation_says(
    writer: Store,
    keys: list[tuple[datetime | None, datetime | None, int, bool]],
    days: int,
    status: str | None,
) -> None:
    with writer.transaction():
        writer.delete_api_keys(listed(writer))
    made = add_keys(
        writer,
        *(
            api_key(
                expires_at=expires_at,
                last_used_at=used_at,
                created_at=NOW + age * DAY,
                is_active=is_active,
            )
            for expires_at, used_at, age, is_active in keys
        ),
    )
    since = NOW - days * DAY
    expected = [
        key.id
        for key in made
        if status in (None, key.status(NOW)) and (key.last_used_at or key.created_at) <= since
    ]
    found = listed(writer, KeyFilter(now=NOW, status=status, unused_since=since))
    assert sorted(found) == sorted(expected)


# Paging


def test_limits_and_offsets_beyond_a_page_yield_each_key_once(writer: Store, reader: Store) -> None:
    keys = ids(add_keys(writer, *(api_key() for _ in range(1203))))
    assert listed(reader) == keys
    for limit, offset in (
        (0, 0), (1, 0), (499, 1), (500, 0), (501, 0), (1000, 2), (1203, 0), (5000, 0),
        (10, 1200), (10, 1203), (10, 9999), (700, 700),
    ):  # fmt: skip
        assert listed(reader, limit=limit, offset=offset) == keys[offset : offset + limit]
    assert listed(reader, offset=700) == keys[700:]


def test_keys_deleted_between_pages_do_not_hide_others(writer: Store, reader: Store) -> None:
    keys = ids(add_keys(writer, *(api_key() for _ in range(1100))))
    found = reader.api_keys(ALL)
    first = [next(found).id for _ in range(500)]
    with writer.transaction():
        writer.delete_api_keys(keys[:500])
    assert [*first, *(key.id for key in found)] == keys


def test_no_lock_is_held_between_pages(writer: Store, reader: Store) -> None:
    add_keys(writer, *(api_key() for _ in range(600)))
    found = reader.api_keys(ALL)
    next(found)
    add_keys(writer, api_key())


# Encrypted values


def test_a_sample_of_encrypted_values_starts_with_the_keys_and_its_repr_hides_them(
    writer: Store, reader: Store
) -> None:
    keys = add_keys(writer, *(api_key() for _ in range(3)), api_key(stored="sk-plain"))
    sample = list(reader.sample_of_encrypted_values())
    assert {value.row for value in sample if value.table == "apikey"} == {k.id for k in keys[:3]}
    assert sample[0].table == "apikey"
    assert not any("gAAAAA" in repr(value) for value in sample)
