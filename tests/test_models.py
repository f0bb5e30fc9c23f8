from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys.models import ApiKey, User, dashed, masked, parsed_id

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
KEY = ApiKey(
    id="0" * 32,
    name="sample",
    user_id="1" * 32,
    stored="gAAAAAhidden",
    hash="hidden-hash",
    created_at=NOW,
    last_used_at=None,
    total_uses=0,
    is_active=True,
    expires_at=None,
)


@given(st.uuids())
def test_an_id_is_read_back_from_its_dashed_form_in_either_case(value: uuid.UUID) -> None:
    assert dashed(value.hex) == str(value)
    for text in (str(value), value.hex, str(value).upper(), value.hex.upper()):
        assert parsed_id(text) == value.hex


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 31,
        "0" * 33,
        "g" * 32,
        "00000000-0000-0000-0000-00000000000",
        "0000-00000000-0000-0000-000000000000",
        "{00000000-0000-0000-0000-000000000000}",
        " " + "0" * 32,
        "٣" * 32,
    ],
)
def test_what_is_no_whole_id_is_none(text: str) -> None:
    assert parsed_id(text) is None


def test_what_is_no_id_is_not_dashed() -> None:
    assert dashed("short") == "short"


def test_a_key_is_masked_after_its_first_8_characters_as_rest_shows_it() -> None:
    key = "sk-aS2-jIConVBGW1NQZSDmRG04Zc9qE8x_hlWTB4LH7tc"
    assert masked(key) == "sk-aS2-j" + "*" * 38


@given(st.text(max_size=80))
def test_a_mask_keeps_the_length_and_shows_little(key: str) -> None:
    hidden = masked(key)
    shown = min(8, len(key) // 4)
    assert len(hidden) == len(key)
    assert hidden[:shown] == key[:shown]
    assert hidden[shown:] == "*" * (len(key) - shown)


@pytest.mark.parametrize(
    ("is_active", "expires_at", "status"),
    [
        (True, None, "active"),
        (True, NOW + timedelta(seconds=1), "active"),
        (True, NOW - timedelta(seconds=1), "expired"),
        (False, None, "inactive"),
        (False, NOW - timedelta(seconds=1), "inactive"),
    ],
)
def test_the_status_of_a_key_is_what_its_row_says(
    is_active: bool, expires_at: datetime | None, status: str
) -> None:
    assert KEY._replace(is_active=is_active, expires_at=expires_at).status(NOW) == status


def test_a_key_at_rest_is_told_by_how_it_starts() -> None:
    assert KEY.at_rest == "fernet"
    assert KEY._replace(stored="sk-plain").at_rest == "plaintext"


def test_nothing_secret_shows_in_a_repr() -> None:
    user = User(
        id="1" * 32,
        username="alice",
        password_hash="hidden-hash",
        is_active=True,
        is_superuser=True,
        created_at=NOW,
        updated_at=NOW,
    )
    for thing in (KEY, user):
        assert "hidden" not in repr(thing)


def test_models_are_frozen() -> None:
    with pytest.raises(AttributeError):
        KEY.name = "other"  # type: ignore[misc]
