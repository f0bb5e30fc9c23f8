from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys import times
from langkeys.errors import UsageError

UTC = timezone.utc


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(weeks=2)),
        (" 2w ", timedelta(weeks=2)),
        ("007d", timedelta(days=7)),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert times.parsed_span(text, "--span") == span


@given(
    number=st.integers(min_value=1, max_value=9999),
    unit=st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]),
)
def test_every_span_has_the_length_that_it_names(number: int, unit: tuple[str, int]) -> None:
    letter, seconds = unit
    assert times.parsed_span(f"{number}{letter}", "--span").total_seconds() == number * seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d",
        "90",
        "-1d",
        "1.5h",
        "1y",
        "1D",
        "1d2h",
        "1 d",
        "0d",
        "000s",
        "999999999w",
        "٣d",
        "½d",
    ],
)
def test_what_is_no_span_is_a_usage_error_that_names_the_option(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        times.parsed_span(text, "--unused-for")
    assert "--unused-for" in caught.value.message
    assert "90d" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T18:00", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-01-31 18:00:05", datetime(2027, 1, 31, 18, 0, 5, tzinfo=UTC)),
        ("2027-01-31T18:00:00Z", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-01-31T18:00:00z", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-01-31T18:00:00+02:00", datetime(2027, 1, 31, 16, tzinfo=UTC)),
        ("2027-01-31T18:00:00.5Z", datetime(2027, 1, 31, 18, 0, 0, 500_000, tzinfo=UTC)),
        ("2027-01-31T18:00:00.123456789Z", datetime(2027, 1, 31, 18, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_time_is_iso_8601_and_naive_means_utc(text: str, moment: datetime) -> None:
    assert times.parsed_when(text, "--expires") == moment


def test_a_time_may_be_a_span_from_now() -> None:
    before = times.now()
    when = times.parsed_when("2h", "--expires")
    assert before + timedelta(hours=2) <= when <= times.now() + timedelta(hours=2)


@pytest.mark.parametrize(
    "text", ["", "soon", "2027-13-01", "2027-02-30", "31.01.2027", "9999-12-31T23:59:59-14:00", "Z"]
)
def test_what_is_no_time_is_a_usage_error_that_names_the_option(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        times.parsed_when(text, "--expires")
    assert "--expires" in caught.value.message


def test_a_span_beyond_the_calendar_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--expires"):
        times.parsed_when("999999999d", "--expires")


@pytest.mark.parametrize("text", ["2020-01-01", "1999-12-31T23:59:59Z"])
def test_a_time_that_has_passed_is_no_future(text: str) -> None:
    with pytest.raises(UsageError, match="passed"):
        times.parsed_future(text, "--expires")


def test_a_future_is_taken() -> None:
    assert times.parsed_future("2999-01-01", "--expires") == datetime(2999, 1, 1, tzinfo=UTC)


_MOMENTS = st.datetimes(
    min_value=datetime(1000, 1, 2),  # noqa: DTZ001 - hypothesis adds the time zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=7))]),
)


@given(_MOMENTS)
def test_a_time_that_is_written_is_read_back(moment: datetime) -> None:
    text = times.iso(moment)
    assert text.endswith("Z")
    assert times.parsed_iso(text) == moment
    assert times.parsed_iso(text.removesuffix("Z")) == moment


def test_a_missing_time_is_none() -> None:
    assert times.iso_or_none(None) is None
    assert times.iso_or_none(datetime(2027, 1, 31, tzinfo=UTC)) == "2027-01-31T00:00:00Z"


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(0), "now"),
        (timedelta(milliseconds=-300), "now"),
        (timedelta(seconds=-1), "1 second ago"),
        (timedelta(seconds=59), "in 59 seconds"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(hours=2), "in 2 hours"),
        (timedelta(hours=25), "in 25 hours"),
        (timedelta(days=-3), "3 days ago"),
        (timedelta(days=800), "in 2 years"),
    ],
)
def test_a_distance_is_said_in_words(distance: timedelta, words: str) -> None:
    reference = datetime(2026, 6, 1, tzinfo=UTC)
    assert times.relative(reference + distance, reference) == words


def test_now_is_aware_and_in_utc() -> None:
    assert times.now().utcoffset() == timedelta(0)


def test_a_span_may_end_now_instead_of_starting_now() -> None:
    before = times.now()
    assert before - timedelta(days=7) <= times.parsed_when("1w", "--since", is_past=True)
    assert times.parsed_when("1w", "--since", is_past=True) <= times.now() - timedelta(days=7)


@pytest.mark.parametrize(
    ("text", "is_past", "hint"),
    [
        ("last week", True, "as a span until now (12h, 90d, 2w)"),
        ("next week", False, "as a span from now (12h, 90d, 2w)"),
        ("90", False, "a number needs a unit: 90d for days, 90h for hours"),
        ("7", True, "a number needs a unit: 7d for days, 7h for hours"),
    ],
)
def test_what_is_no_time_is_told_how_to_write_one(text: str, is_past: bool, hint: str) -> None:
    with pytest.raises(UsageError, match=r"is not a time$") as raised:
        times.parsed_when(text, "--option", is_past=is_past)
    assert (raised.value.hint or "").endswith(hint)
