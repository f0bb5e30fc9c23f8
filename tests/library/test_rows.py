"""One API key in several rows, through the library."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

import pytest

from langkeys import LangflowStore
from langkeys.crypto.cipher import Cipher
from langkeys.errors import FailedError, SecretKeyError, UsageError

from ..support import stores
from ..support.answers import authenticated_username
from ..support.databases import Database, ago, ahead
from ..support.samples import OTHER_SECRET_KEY


def test_revoked_by_any_row_a_key_goes_with_all_of_them(
    gateway: LangflowStore, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "mine")
    hers = database.add_key(database.add_user("alice"), "hers", plaintext=key.plaintext)
    database.rows("UPDATE apikey SET api_key_hash = NULL WHERE id = ?", (hers.id,))
    rows = gateway.api_keys.revoke("hers")
    assert [row.name for row in rows] == ["hers", "mine"]
    assert authenticated_username(database, key.plaintext) is None
    assert database.key_ids() == []


def test_a_gateway_decrypts_no_more_rows_than_it_takes_to_find_a_key(
    gateway: LangflowStore, database: Database, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        database.add_key(superuser, hashed=False)
    with stores.opened(database) as store:
        token = next(token for page in store.key_tokens(unhashed_only=True) for token in page)
    first, decrypted = str(stores.cipher().find_plaintext(token)), list[str]()
    find_plaintext = Cipher.find_plaintext

    def find(cipher: Cipher, token: str) -> str | None:
        decrypted.append(token)
        return find_plaintext(cipher, token)

    monkeypatch.setattr(Cipher, "find_plaintext", find)
    assert gateway.verify(first).user.username == "administrator"
    assert decrypted == [token]


def test_a_row_that_cannot_be_read_is_revoked_by_its_name(
    gateway: LangflowStore, database: Database, superuser: str
) -> None:
    good = database.add_key(superuser, "good")
    database.add_key(superuser, "odd")
    database.rows("UPDATE apikey SET created_at = 'no time' WHERE name = 'odd'")
    assert gateway.api_keys.revoke("odd") == ()
    assert database.key_ids() == [good.id]


def test_rotated_a_key_ends_in_all_rows(
    gateway: LangflowStore, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "ci")
    database.add_key(superuser, "twin", plaintext=key.plaintext, hashed=False)
    replacement = gateway.api_keys.rotate(key.plaintext)
    assert authenticated_username(database, key.plaintext) is None
    assert gateway.verify(replacement.new.plaintext).user.username == "administrator"
    assert database.key_ids() == [replacement.new.row.id]


@pytest.mark.parametrize("grace", [timedelta(seconds=1.5), timedelta(days=7), timedelta.max])
def test_a_grace_of_any_length_is_told_from_the_database(
    gateway: LangflowStore, database: Database, superuser: str, grace: timedelta
) -> None:
    database.add_key(superuser, "ci", created_at=ago(days=1))
    first = gateway.api_keys.rotate("ci", grace=grace)
    assert first.old_expires_at is not None
    assert (first.old_expires_at - first.new.row.created_at) % timedelta(seconds=1) == timedelta(0)
    # The name now means the new key.
    second = gateway.api_keys.rotate("ci", expires="never")
    assert second.old.id == first.new.row.id


@pytest.mark.parametrize("grace", [timedelta(0), -timedelta(days=1)])
def test_a_grace_that_is_none_is_refused(
    gateway: LangflowStore, database: Database, superuser: str, grace: timedelta
) -> None:
    database.add_key(superuser, "ci")
    before = database.content()
    with pytest.raises(UsageError):
        gateway.api_keys.rotate("ci", grace=grace)
    assert database.content() == before


@pytest.mark.parametrize(
    "expires",
    [timedelta.max, datetime.max.replace(tzinfo=timezone(-timedelta(hours=12)))],
)
def test_an_expiry_beyond_the_calendar_is_a_usage_error(
    gateway: LangflowStore, database: Database, superuser: str, expires: datetime | timedelta
) -> None:
    database.add_key(superuser, "ci")
    for act in (gateway.api_keys.create, gateway.api_keys.rotate):
        with pytest.raises(UsageError, match="too far in the future"):
            act("ci", expires=expires)
    assert len(database.key_ids()) == 1


def test_a_key_that_lives_for_ever_hands_on_a_lifetime_within_the_calendar(
    gateway: LangflowStore, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci", expires_at=datetime(9999, 12, 31, tzinfo=timezone.utc))
    made = gateway.api_keys.rotate("ci").new
    assert made.row.expires_at is not None
    assert made.row.expires_at > ahead(days=1)
    gateway.verify(made.plaintext)


def test_spans_that_leave_the_calendar_match_as_far_as_it_goes(
    gateway: LangflowStore, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "ci", expires_at=ahead(days=1))
    found = gateway.api_keys.list(expires_within=timedelta.max)
    assert [row.id for row in found] == [key.id]
    assert list(gateway.api_keys.list(unused_for=timedelta.max)) == []


def test_rows_that_cannot_be_read_are_logged_and_a_key_among_them_is_no_unknown_one(
    gateway: LangflowStore,
    database: Database,
    superuser: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = database.add_key(superuser, "ci")
    lost = database.add_key(superuser, hashed=False, secret_key=OTHER_SECRET_KEY)
    with pytest.raises(SecretKeyError):
        gateway.api_keys.revoke(lost.plaintext)
    with caplog.at_level(logging.WARNING, logger="langkeys"):
        gateway.api_keys.revoke(key.plaintext)
    assert "1 API key in" in caplog.text
    assert database.key_ids() == [lost.id]


def test_a_key_in_the_environment_is_deleted_and_that_is_an_error(
    database: Database, superuser: str, gateway: LangflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = database.add_key(superuser, "ci")
    monkeypatch.setenv("LANGFLOW_API_KEY_SOURCE", "env")
    monkeypatch.setenv("LANGFLOW_API_KEY", key.plaintext)
    with pytest.raises(FailedError, match="LANGFLOW_API_KEY"):
        gateway.api_keys.revoke(key.plaintext)
    assert database.key_ids() == []
