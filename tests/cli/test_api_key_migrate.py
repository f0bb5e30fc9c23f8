"""api-key migrate: stored keys get the form that the generation prefers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support.answers import authenticated_username
from ..support.databases import Database, ago
from ..support.samples import OTHER_SECRET_KEY, decrypted, hash_of
from ..support.sites import Result, Site

pytestmark = pytest.mark.every_engine

Run = Callable[..., Result]


def test_plaintext_is_encrypted_and_missing_hashes_are_filled(
    call: Run, database: Database, superuser: str
) -> None:
    plain = database.add_key(superuser, "plain", at_rest="plaintext", hashed=False)
    unhashed = database.add_key(superuser, "unhashed", hashed=False)
    database.add_key(superuser, "fine")
    result = call("api-key", "migrate").done()
    assert [(row[0], row[3]) for row in result.rows] == [
        (plain.dashed, "encrypted, hash filled"),
        (unhashed.dashed, "hash filled"),
    ]
    for key in (plain, unhashed):
        ((value, key_hash),) = database.rows(
            "SELECT api_key, api_key_hash FROM apikey WHERE id = ?", (key.id,)
        )
        assert decrypted(value) == key.plaintext
        assert key_hash == hash_of(key.plaintext)
        call("whoami", "--api-key", "-", stdin=key.plaintext).done()
    assert call("api-key", "migrate").done().stdout == ""


def test_dry_run_shows_it_and_writes_nothing(call: Run, database: Database, superuser: str) -> None:
    database.add_key(superuser, at_rest="plaintext", hashed=False)
    before = database.content()
    result = call("api-key", "migrate", "--dry-run").done()
    assert len(result.rows) == 1
    assert "1 of 1 API keys" in result.stderr
    assert database.content() == before


def test_what_does_not_open_is_left_and_named(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "fine")
    closed = database.add_key(superuser, "closed", secret_key=OTHER_SECRET_KEY, hashed=False)
    result = call("api-key", "migrate").done()
    assert closed.dashed in result.stderr


def test_one_key_in_two_rows_is_a_conflict_and_nothing_is_done(
    call: Run, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "first")
    database.add_key(
        superuser, "second", plaintext=key.plaintext, at_rest="plaintext", hashed=False
    )
    database.add_key(superuser, "third", at_rest="plaintext", hashed=False)
    before = database.content()
    call("api-key", "migrate").failed(5, key.dashed)
    assert database.content() == before


@pytest.mark.parametrize("release", ["1.5", "1.7"])
def test_before_1_8_the_preferred_form_is_plaintext(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    key = site.database.add_key(owner, at_rest="fernet")
    migrated = site.call("api-key", "migrate").done()
    assert [row[3] for row in migrated.rows] == ["decrypted"]
    assert site.database.rows("SELECT api_key FROM apikey") == [(key.plaintext,)]
    assert site.call("api-key", "migrate").done().rows == []


def test_values_of_the_old_derivation_of_a_short_secret_key_are_encrypted_anew(
    call: Run, database: Database, superuser: str
) -> None:
    from langkeys.crypto.cipher import Cipher

    short = "a-short-secret"
    old = Cipher(short, source="test", short_keys_by_prng=True)
    key = database.add_key(superuser)
    token = old.encrypt(key.plaintext)
    database.rows("UPDATE apikey SET api_key = ?", (token,))
    result = call("api-key", "migrate", LANGFLOW_SECRET_KEY=short).done()
    assert result.rows[0][3] == "re-encrypted"
    ((value,),) = database.rows("SELECT api_key FROM apikey")
    assert value != token
    assert not Cipher(short, source="test").is_old_form(value)


@pytest.mark.parametrize(
    ("first", "second", "fills"),
    [
        ({"hashed": False}, {"is_active": False}, True),
        ({"hashed": False}, {"hashed": False, "at_rest": "plaintext"}, False),
        ({"hashed": False}, {"expires_at": ago(days=1)}, True),
        ({"hashed": False, "expires_at": ago(days=1)}, {"hashed": False}, True),
        ({"hashed": False, "is_active": False}, {"hashed": False}, True),
    ],
)
def test_a_filled_hash_never_changes_what_a_server_answers(
    call: Run,
    database: Database,
    superuser: str,
    first: dict[str, Any],
    second: dict[str, Any],
    fills: bool,
) -> None:
    key = database.add_key(superuser, **first)
    database.add_key(superuser, plaintext=key.plaintext, **second)
    before = authenticated_username(database, key.plaintext)
    unhashed = database.rows("SELECT count(*) FROM apikey WHERE api_key_hash IS NULL")
    result = call("api-key", "migrate")
    assert result.code == (0 if fills else 5)
    assert authenticated_username(database, key.plaintext) == before
    after = database.rows("SELECT count(*) FROM apikey WHERE api_key_hash IS NULL")
    assert after == ([(0,)] if fills else unhashed)
