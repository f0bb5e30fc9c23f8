from __future__ import annotations

from collections.abc import Callable

import pytest

from langkeys.api_keys.verification import KeyFinder, Verified, Verifier, verify
from langkeys.crypto.hashes import api_key_hash
from langkeys.errors import InvalidKeyError
from langkeys.store.protocol import Store

from ..support.databases import Database, ago, ahead
from ..support.samples import OTHER_SECRET_KEY, encrypted, new_api_key
from ..support.sites import Site
from ..support.stores import cipher, no_cipher, opened

# Whether servers accept inactive keys and keys of inactive owners, by release.
IGNORES_KEY_STATE = ("1.5", "1.6", "1.7", "1.8", "1.9")
HONOURS_KEY_STATE = ("1.10.0", "1.10", "1.11", "1.12", "1.12.8", "1.13")
IGNORES_OWNER_STATE = (*IGNORES_KEY_STATE, "1.10.0", "1.10")
HONOURS_OWNER_STATE = ("1.11", "1.12", "1.12.8", "1.13")
PLAINTEXT_RELEASES = ("1.5", "1.6", "1.7")


def reason_for(store: Store, api_key: str) -> str:
    with pytest.raises(InvalidKeyError) as caught:
        verify(store, cipher, api_key)
    assert api_key not in f"{caught.value.message}{caught.value.hint}"
    return caught.value.reason


def verified_in(site: Site, api_key: str) -> Verified:
    with opened(site.database) as store:
        return verify(store, cipher, api_key)


def test_a_hash_is_the_lower_case_hex_sha_256_of_the_whole_key() -> None:
    # printf %s sk-frozen | sha256sum
    expected = "539756cf4337d2a11f617121f9655ba56538e9fb93661227b00265243559165a"
    assert api_key_hash("sk-frozen") == expected


# Valid


def test_a_valid_key_is_known_by_its_hash_without_the_secret_key(
    database: Database, superuser: str, store: Store
) -> None:
    key = database.add_key(superuser, "ci", expires_at=ahead(days=1))
    verified = verify(store, no_cipher, key.plaintext)
    assert verified.user.username == "administrator"
    assert verified.api_key is not None
    assert verified.api_key.id == key.id
    assert verified.warning is None


def test_a_row_without_a_hash_is_found_by_decrypting(
    database: Database, superuser: str, store: Store
) -> None:
    for _ in range(3):
        database.add_key(superuser, hashed=False)
    key = database.add_key(superuser, hashed=False)
    database.add_key(superuser, hashed=False, secret_key=OTHER_SECRET_KEY)
    verified = verify(store, cipher, key.plaintext)
    assert verified.api_key is not None
    assert verified.api_key.id == key.id


@pytest.mark.parametrize("hashed", [True, False])
def test_a_plaintext_row_is_known_without_the_secret_key(
    database: Database, superuser: str, store: Store, hashed: bool
) -> None:
    key = database.add_key(superuser, at_rest="plaintext", hashed=hashed)
    verified = verify(store, no_cipher, key.plaintext)
    assert verified.api_key is not None
    assert verified.api_key.id == key.id


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.9", "1.10.0", "1.13"])
def test_a_key_of_any_generation_is_known(site_of: Callable[[str], Site], release: str) -> None:
    site = site_of(release)
    owner = site.database.add_user("alice", is_superuser=False)
    key = site.database.add_key(owner)
    verified = verified_in(site, key.plaintext)
    assert verified.user.username == "alice"
    assert verified.warning is None


def test_nothing_is_written(database: Database, superuser: str, store: Store) -> None:
    key = database.add_key(superuser)
    before = database.content()
    verify(store, cipher, key.plaintext)
    assert database.content() == before


# Refused


def test_an_unknown_key_is_refused(database: Database, superuser: str, store: Store) -> None:
    database.add_key(superuser)
    database.add_key(superuser, hashed=False)
    assert reason_for(store, new_api_key()) == "unknown"


@pytest.mark.parametrize("text", ["sk-", "x", "gAAAAA"])
def test_what_is_no_key_is_unknown(
    database: Database, superuser: str, store: Store, text: str
) -> None:
    database.add_key(superuser)
    with pytest.raises(InvalidKeyError, match="no such"):
        verify(store, cipher, text)


def test_nothing_is_no_key(database: Database, superuser: str, store: Store) -> None:
    database.add_key(superuser, plaintext="x", at_rest="plaintext", hashed=False)
    assert list(KeyFinder(store, cipher).find("")) == []


@pytest.mark.parametrize("hashed", [True, False])
def test_the_fernet_token_of_a_key_is_not_the_key(
    database: Database, superuser: str, store: Store, hashed: bool
) -> None:
    database.add_key(superuser, hashed=hashed)
    token = database.rows("SELECT api_key FROM apikey")[0][0]
    assert reason_for(store, token) == "unknown"


def test_the_hash_of_a_key_is_not_the_key(database: Database, superuser: str, store: Store) -> None:
    key = database.add_key(superuser)
    assert reason_for(store, api_key_hash(key.plaintext)) == "unknown"


def test_a_key_in_another_case_is_another_key(
    database: Database, superuser: str, store: Store
) -> None:
    key = database.add_key(superuser, at_rest="plaintext", hashed=False)
    assert reason_for(store, key.plaintext.swapcase()) == "unknown"


def test_an_expired_key_is_refused(database: Database, superuser: str, store: Store) -> None:
    key = database.add_key(superuser, expires_at=ago(seconds=1))
    assert reason_for(store, key.plaintext) == "expired"


def test_an_inactive_key_is_refused(database: Database, superuser: str, store: Store) -> None:
    key = database.add_key(superuser, is_active=False)
    assert reason_for(store, key.plaintext) == "inactive"


def test_the_key_of_an_inactive_owner_is_refused(database: Database, store: Store) -> None:
    owner = database.add_user("alice", is_active=False)
    key = database.add_key(owner)
    assert reason_for(store, key.plaintext) == "owner inactive"


def test_the_key_of_nobody_is_refused(database: Database, store: Store) -> None:
    key = database.add_key("0" * 32)
    assert reason_for(store, key.plaintext) == "unknown"


def test_a_key_that_stands_in_two_rows_is_refused_as_a_server_does(
    database: Database, superuser: str, store: Store
) -> None:
    key = database.add_key(superuser)
    database.add_key(superuser, plaintext=key.plaintext)
    assert reason_for(store, key.plaintext) == "duplicate"


def test_the_refusal_names_the_row_and_not_the_key(
    database: Database, superuser: str, store: Store
) -> None:
    key = database.add_key(superuser, is_active=False)
    with pytest.raises(InvalidKeyError, match=key.dashed):
        verify(store, cipher, key.plaintext)


# Older generations


@pytest.mark.parametrize("release", IGNORES_KEY_STATE)
def test_an_inactive_key_that_the_server_lets_in_is_valid_with_a_warning(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    key = site.database.add_key(site.database.add_user("alice"), is_active=False)
    verified = verified_in(site, key.plaintext)
    assert verified.user.username == "alice"
    assert verified.warning is not None
    assert "inactive" in verified.warning
    assert release in verified.warning


@pytest.mark.parametrize("release", HONOURS_KEY_STATE)
def test_an_inactive_key_that_the_server_refuses_is_refused(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    key = site.database.add_key(site.database.add_user("alice"), is_active=False)
    with pytest.raises(InvalidKeyError) as caught:
        verified_in(site, key.plaintext)
    assert caught.value.reason == "inactive"


@pytest.mark.parametrize("release", IGNORES_OWNER_STATE)
def test_the_key_of_an_inactive_owner_that_the_server_lets_run_is_valid_with_a_warning(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    key = site.database.add_key(site.database.add_user("alice", is_active=False))
    verified = verified_in(site, key.plaintext)
    assert verified.warning is not None
    assert "alice" in verified.warning
    assert "inactive" in verified.warning


@pytest.mark.parametrize("release", HONOURS_OWNER_STATE)
def test_the_key_of_an_inactive_owner_that_the_server_refuses_is_refused(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    key = site.database.add_key(site.database.add_user("alice", is_active=False))
    with pytest.raises(InvalidKeyError) as caught:
        verified_in(site, key.plaintext)
    assert caught.value.reason == "owner inactive"


@pytest.mark.parametrize("release", PLAINTEXT_RELEASES)
def test_a_token_where_keys_are_plaintext_is_no_key_itself(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    owner = site.database.add_user("alice")
    key = site.database.add_key(owner, at_rest="fernet")
    with pytest.raises(InvalidKeyError), opened(site.database) as store:
        verify(store, cipher, encrypted(key.plaintext))


# LANGFLOW_API_KEY_SOURCE=env


ENVIRONMENT_KEY = "key-of-the-servers-environment"


def as_server(site: Site, api_key: str, environment_key: str | None = ENVIRONMENT_KEY) -> Verified:
    with opened(site.database) as store:
        verifier = Verifier(
            store, cipher, environment_key=environment_key, superuser="administrator"
        )
        return verifier.verify(api_key)


@pytest.mark.parametrize("release", ["1.7", "1.8", "1.9", "1.10", "1.13"])
def test_the_key_of_the_environment_acts_as_the_superuser(
    site_of: Callable[[str], Site], release: str
) -> None:
    verified = as_server(site_of(release), ENVIRONMENT_KEY)
    assert verified.user.username == "administrator"
    assert verified.api_key is None


@pytest.mark.parametrize("release", ["1.5", "1.6"])
def test_the_key_of_the_environment_is_unknown_to_older_servers(
    site_of: Callable[[str], Site], release: str
) -> None:
    with pytest.raises(InvalidKeyError) as caught:
        as_server(site_of(release), ENVIRONMENT_KEY)
    assert caught.value.reason == "unknown"


def test_another_key_falls_through_to_the_database(site: Site, superuser: str) -> None:
    key = site.database.add_key(superuser)
    verified = as_server(site, key.plaintext)
    assert verified.api_key is not None
    with pytest.raises(InvalidKeyError):
        as_server(site, new_api_key())


@pytest.mark.parametrize("environment_key", [None, ""])
def test_without_a_key_in_the_environment_nothing_matches_it(
    site: Site, environment_key: str | None
) -> None:
    for text in ("", ENVIRONMENT_KEY):
        with pytest.raises(InvalidKeyError):
            as_server(site, text, environment_key)


def test_the_key_of_the_environment_lets_no_inactive_superuser_in(site: Site) -> None:
    site.database.rows("UPDATE user SET is_active = 0")
    with pytest.raises(InvalidKeyError):
        as_server(site, ENVIRONMENT_KEY)
