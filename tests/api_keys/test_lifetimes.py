"""The expiry of new keys, the end of grace periods, and which keys count as replaced."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys.api_keys.lifetimes import Replacements, grace_end, new_expiry
from langkeys.errors import ConflictError
from langkeys.models import ApiKey
from langkeys.times import FIRST, LAST

from ..store.conftest import api_key

MADE = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)

TIMES = st.datetimes(timezones=st.just(timezone.utc))
SPANS = st.timedeltas(min_value=timedelta(microseconds=1))


def key(created_at: datetime, expires_at: datetime | None, name: str | None = "ci") -> ApiKey:
    return api_key(name, created_at=created_at, expires_at=expires_at)


@pytest.mark.parametrize(
    ("created_at", "expires_at", "expected"),
    [
        (MADE - 20 * DAY, None, None),
        (MADE - 20 * DAY, MADE + 10 * DAY, MADE + 30 * DAY),
        (MADE - 20 * DAY, MADE - 10 * DAY, MADE + 10 * DAY),
        (MADE - 20 * DAY, datetime(9999, 12, 31, tzinfo=timezone.utc), LAST),
        (FIRST, MADE + DAY, MADE + (MADE + DAY - FIRST)),
        (FIRST, LAST, LAST),
        # Created in the future, for example by a wrong clock.
        (MADE + 20 * DAY, MADE + 10 * DAY, MADE + 10 * DAY),
    ],
)
def test_a_new_key_has_the_lifetime_that_the_old_one_was_made_with(
    created_at: datetime, expires_at: datetime | None, expected: datetime | None
) -> None:
    assert new_expiry(key(created_at, expires_at), MADE) == expected


def test_a_key_that_ended_before_it_was_made_tells_no_lifetime() -> None:
    with pytest.raises(ConflictError) as caught:
        new_expiry(key(MADE - DAY, MADE - 2 * DAY), MADE)
    assert "--expires" in (caught.value.hint or "")


@given(TIMES, st.none() | TIMES, TIMES)
def test_no_new_key_has_expired_when_it_is_made(
    created_at: datetime, expires_at: datetime | None, made_at: datetime
) -> None:
    try:
        found = new_expiry(key(created_at, expires_at), made_at)
    except ConflictError:
        assert expires_at is not None
        assert expires_at <= min(created_at, made_at)
    else:
        assert found is None or found > made_at or made_at == LAST


@given(st.none() | TIMES, TIMES, SPANS)
def test_a_grace_ends_whole_seconds_after_the_new_key_was_made_and_no_later_than_the_old_one(
    expires_at: datetime | None, made_at: datetime, grace: timedelta
) -> None:
    end = grace_end(key(FIRST, expires_at), made_at, grace)
    if expires_at is not None and expires_at <= made_at:
        assert end == expires_at
        return
    assert made_at <= end
    assert (end - made_at) % SECOND == timedelta(0)
    assert expires_at is None or end <= expires_at
    assert end - made_at < grace + SECOND
    if expires_at is None and grace < timedelta(days=1) and made_at.year < 9999:
        assert end - made_at >= grace


@given(st.none() | TIMES, TIMES, SPANS)
def test_what_a_grace_has_cut_is_seen_to_be_replaced(
    expires_at: datetime | None, made_at: datetime, grace: timedelta
) -> None:
    old = key(FIRST, expires_at)
    if made_at == FIRST or (expires_at is not None and expires_at <= made_at):
        return
    old = old._replace(expires_at=grace_end(old, made_at, grace))
    new = key(made_at, None)
    assert Replacements([old, new]).find_newer(old) == new
    assert Replacements([old, new]).find_newer(new) is None


@pytest.mark.parametrize(
    "newer",
    [
        key(MADE, None, "another name"),
        key(MADE, None)._replace(user_id="b" * 32),
        key(MADE + timedelta(microseconds=1), None),
        key(MADE - 3 * DAY, None),  # older
        key(MADE + 8 * DAY, None),  # created after the old key expired
    ],
)
def test_the_same_name_alone_is_never_enough(newer: ApiKey) -> None:
    old = key(MADE - 2 * DAY, MADE + 7 * DAY)
    assert Replacements([old, newer]).find_newer(old) is None
    assert Replacements([old, key(MADE, None)]).find_newer(old) is not None
    assert Replacements([old, newer]).find_newer(old._replace(expires_at=None)) is None


def test_of_a_chain_the_newest_key_is_found() -> None:
    first = key(MADE - DAY, MADE + 7 * DAY)
    second = key(MADE, MADE + 9 * DAY + 5 * SECOND + timedelta(microseconds=1))
    third = key(MADE + 2 * DAY + timedelta(microseconds=1), MADE + 50 * DAY)
    replaced = Replacements([third, first, second])
    assert replaced.find_newest(first) == third
    assert replaced.find_newest(third) == third
