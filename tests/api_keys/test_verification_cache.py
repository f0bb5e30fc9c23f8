"""The caches of verifier and finder, which never accept a key that is no longer valid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from langkeys.api_keys import verification
from langkeys.api_keys.verification import KeyFinder, Verifier
from langkeys.crypto.cipher import Cipher
from langkeys.errors import InvalidKeyError, SecretKeyError
from langkeys.store.protocol import Store

from ..support.databases import Database, SampleKey, ahead, stored
from ..support.samples import OTHER_SECRET_KEY, encrypted, hash_of, new_api_key
from ..support.sites import Site
from ..support.stores import cipher, no_cipher, opened


class CountingCipher:
    """A cipher that counts what it decrypts."""

    def __init__(self) -> None:
        self.decrypted = 0
        self._cipher = cipher()

    def __call__(self) -> Cipher:
        return self  # type: ignore[return-value]

    def find_plaintext(self, token: str) -> str | None:
        self.decrypted += 1
        return self._cipher.find_plaintext(token)


@pytest.fixture
def counting() -> CountingCipher:
    return CountingCipher()


@pytest.fixture
def verifier(store: Store) -> Verifier:
    return Verifier(store, no_cipher)


def refused(verifier: Verifier, api_key: str) -> str:
    with pytest.raises(InvalidKeyError) as caught:
        verifier.verify(api_key)
    return caught.value.reason


# A database with hashes


def test_a_cached_answer_is_the_same(
    database: Database, superuser: str, verifier: Verifier
) -> None:
    key = database.add_key(superuser)
    first = verifier.verify(key.plaintext)
    assert verifier.verify(key.plaintext) == first
    assert first.api_key is not None
    assert first.api_key.id == key.id


def test_a_revoked_key_is_refused_at_the_very_next_call(
    database: Database, superuser: str, verifier: Verifier
) -> None:
    key, other = database.add_key(superuser), database.add_key(superuser)
    for _ in range(3):
        verifier.verify(key.plaintext)
    database.rows("DELETE FROM apikey WHERE id = ?", (key.id,))
    assert refused(verifier, key.plaintext) == "unknown"
    assert verifier.verify(other.plaintext).user.username == "administrator"


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("UPDATE apikey SET is_active = 0", "inactive"),
        ("UPDATE user SET is_active = 0", "owner inactive"),
        ("UPDATE apikey SET expires_at = '2026-01-01 00:00:00.000000'", "expired"),
        ("UPDATE apikey SET api_key_hash = 'another'", "unknown"),
        ("DELETE FROM user", "unknown"),
    ],
)
def test_whatever_ends_a_key_ends_it_at_the_very_next_call(
    database: Database, superuser: str, verifier: Verifier, sql: str, reason: str
) -> None:
    key = database.add_key(superuser)
    for _ in range(3):
        verifier.verify(key.plaintext)
    database.rows(sql)
    assert refused(verifier, key.plaintext) == reason


def test_a_cached_key_expires_without_a_write(
    database: Database,
    superuser: str,
    verifier: Verifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = database.add_key(superuser, expires_at=ahead(hours=1))
    verifier.verify(key.plaintext)
    verifier.verify(key.plaintext)
    monkeypatch.setattr(verification, "now", lambda: ahead(hours=2))
    assert refused(verifier, key.plaintext) == "expired"


def test_a_change_is_seen_at_once(database: Database, superuser: str, verifier: Verifier) -> None:
    key = database.add_key(superuser)
    verifier.verify(key.plaintext)
    database.rows("UPDATE apikey SET total_uses = 7, name = 'renamed'")
    database.rows("UPDATE user SET username = 'renamed, too'")
    verified = verifier.verify(key.plaintext)
    assert verified.api_key is not None
    assert (verified.api_key.total_uses, verified.api_key.name) == (7, "renamed")
    assert verified.user.username == "renamed, too"


def test_a_key_created_meanwhile_is_accepted(
    database: Database, superuser: str, verifier: Verifier
) -> None:
    value = new_api_key()
    assert refused(verifier, value) == "unknown"
    database.add_key(superuser, plaintext=value)
    assert verifier.verify(value).user.username == "administrator"


def test_the_cache_has_a_limit(
    database: Database, superuser: str, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MAX_CACHED", 3)
    keys = [database.add_key(superuser) for _ in range(10)]
    for _ in range(2):
        for key in keys:
            verified = verifier.verify(key.plaintext)
            assert verified.api_key is not None
            assert verified.api_key.id == key.id
    assert len(verifier._cache) <= 3


@pytest.mark.parametrize("text", ["", "sk-", "\ud800", "sk-" + "\udc80" * 32, "\0", "gAAAAA"])
def test_an_invalid_text_is_unknown_and_not_cached(verifier: Verifier, text: str) -> None:
    for _ in range(2):
        assert refused(verifier, text) == "unknown"


# Encrypted rows without a hash


@pytest.fixture
def old(site_of: Callable[[str], Site]) -> Iterator[Store]:
    """The store of a database of 1.8, which has no hashes."""
    with opened(site_of("1.8").database) as found:
        yield found


@pytest.fixture
def old_database(site_of: Callable[[str], Site], empty_site: Site, old: Store) -> Database:
    return empty_site.database


@pytest.fixture
def owner(old_database: Database) -> str:
    return old_database.add_user("alice")


def test_each_row_is_decrypted_once(
    old_database: Database, owner: str, old: Store, counting: CountingCipher
) -> None:
    keys = [old_database.add_key(owner) for _ in range(20)]
    old_database.add_key(owner, secret_key=OTHER_SECRET_KEY)
    verifier = Verifier(old, counting)
    for _ in range(3):
        for key in reversed(keys):
            verified = verifier.verify(key.plaintext)
            assert verified.api_key is not None
            assert verified.api_key.id == key.id
        assert refused(verifier, new_api_key()) == "unknown"
    assert counting.decrypted == 21


def test_no_more_is_decrypted_than_it_takes(
    old_database: Database, owner: str, old: Store, counting: CountingCipher
) -> None:
    keys = {old_database.add_key(owner).plaintext for _ in range(20)}
    first = next(token for page in old.key_tokens(unhashed_only=True) for token in page)
    value = cipher().find_plaintext(first)
    assert value in keys
    assert len(KeyFinder(old, counting).find(value)) == 1
    assert counting.decrypted == 1


def test_a_key_is_found_that_was_made_after_all_were_decrypted(
    old_database: Database, owner: str, old: Store, counting: CountingCipher
) -> None:
    old_database.add_key(owner)
    verifier = Verifier(old, counting)
    value = new_api_key()
    assert refused(verifier, value) == "unknown"
    old_database.add_key(owner, plaintext=value)
    assert verifier.verify(value).user.username == "alice"
    assert counting.decrypted == 2


def test_a_key_is_found_that_was_made_while_they_were_decrypted(
    old_database: Database, owner: str, old: Store, counting: CountingCipher
) -> None:
    keys = [old_database.add_key(owner) for _ in range(5)]
    finder = KeyFinder(old, counting)
    first = next(token for page in old.key_tokens(unhashed_only=True) for token in page)
    by_token = {key.plaintext: key for key in keys}
    assert finder.find(by_token[cipher().find_plaintext(first) or ""].plaintext)
    # This row comes first in the order of decryption, which has already passed it.
    value = new_api_key()
    old_database.rows(
        "INSERT INTO apikey (id, name, user_id, api_key, created_at, total_uses, is_active)"
        " VALUES (?, 'early', ?, ?, '2026-01-01 00:00:00.000000', 0, 1)",
        ("e" * 32, owner, _early_token(value)),
    )
    assert [found.key.name for found in finder.find(value)] == ["early"]


def _early_token(value: str) -> str:
    from cryptography.fernet import Fernet

    from ..support.samples import SECRET_KEY

    return Fernet(SECRET_KEY + "=").encrypt_at_time(value.encode(), 1).decode()


def test_a_revoked_key_without_a_hash_is_refused_at_the_very_next_call(
    old_database: Database, owner: str, old: Store, counting: CountingCipher
) -> None:
    keys = [old_database.add_key(owner) for _ in range(3)]
    verifier = Verifier(old, counting)
    for key in keys:
        verifier.verify(key.plaintext)
    old_database.rows("DELETE FROM apikey WHERE id = ?", (keys[1].id,))
    assert refused(verifier, keys[1].plaintext) == "unknown"
    assert verifier.verify(keys[2].plaintext).user.username == "alice"


@pytest.mark.parametrize("is_same_token", [True, False])
def test_a_revoked_key_that_comes_back_is_found_again(
    old_database: Database,
    owner: str,
    old: Store,
    counting: CountingCipher,
    is_same_token: bool,
) -> None:
    key = old_database.add_key(owner)
    verifier = Verifier(old, counting)
    verifier.verify(key.plaintext)
    ((token,),) = old_database.rows("SELECT api_key FROM apikey")
    old_database.rows("DELETE FROM apikey")
    assert refused(verifier, key.plaintext) == "unknown"
    old_database.add_key(owner, plaintext=key.plaintext)
    if is_same_token:
        old_database.rows("UPDATE apikey SET api_key = ?", (token,))
    assert verifier.verify(key.plaintext).user.username == "alice"


@pytest.mark.parametrize("gone", [0, 1])
def test_of_two_rows_of_one_key_the_one_that_is_left_lets_in(
    old_database: Database, owner: str, old: Store, counting: CountingCipher, gone: int
) -> None:
    key = old_database.add_key(owner, "one")
    old_database.add_key(owner, "two", plaintext=key.plaintext)
    verifier = Verifier(old, counting)
    assert refused(verifier, new_api_key()) == "unknown"  # this decrypts all keys
    verifier.verify(key.plaintext)
    old_database.rows("DELETE FROM apikey WHERE name = ?", (("one", "two")[gone],))
    assert verifier.verify(key.plaintext).user.username == "alice"
    old_database.rows("DELETE FROM apikey")
    assert refused(verifier, key.plaintext) == "unknown"


def test_a_row_numbered_below_zero_is_found(
    database: Database, superuser: str, store: Store
) -> None:
    key = database.add_key(superuser, hashed=False)
    database.rows("UPDATE apikey SET rowid = -7")
    assert Verifier(store, cipher).verify(key.plaintext).api_key is not None


def test_a_row_that_gets_its_hash_is_found_by_it(
    database: Database, superuser: str, store: Store, counting: CountingCipher
) -> None:
    key = database.add_key(superuser, hashed=False)
    verifier = Verifier(store, counting)
    verifier.verify(key.plaintext)
    database.rows("UPDATE apikey SET api_key_hash = ?", (hash_of(key.plaintext),))
    verifier.verify(key.plaintext)
    database.rows("DELETE FROM apikey")
    assert refused(verifier, key.plaintext) == "unknown"
    assert counting.decrypted == 1


def test_a_hash_that_belongs_to_another_row_lets_nobody_in(
    database: Database, superuser: str, store: Store
) -> None:
    # A row with the token of one key and the hash of another is identified by its hash.
    key, other = database.add_key(superuser), new_api_key()
    database.rows("UPDATE apikey SET api_key = ?", (encrypted(other),))
    verifier = Verifier(store, cipher)
    assert verifier.verify(key.plaintext)
    assert refused(verifier, other) == "unknown"


def test_without_a_secret_key_the_error_is_the_same_at_each_call(
    old_database: Database, owner: str, old: Store
) -> None:
    key = old_database.add_key(owner)

    def no_secret_key() -> Cipher:
        raise SecretKeyError("there is no secret key")

    finder = KeyFinder(old, no_secret_key)
    for _ in range(3):
        with pytest.raises(SecretKeyError):
            finder.find(key.plaintext)
    finder._cipher = cipher
    assert len(finder.find(key.plaintext)) == 1


def test_progress_is_told_where_rows_are_decrypted_and_only_there(
    old_database: Database, owner: str, old: Store
) -> None:
    from contextlib import contextmanager

    key = old_database.add_key(owner)
    plain = old_database.add_key(owner, at_rest="plaintext")
    said: list[tuple[str, int]] = []

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
        said.append((what, total))
        yield lambda _: None

    finder = KeyFinder(old, cipher, progress)
    finder.find(plain.plaintext)
    assert said == []
    finder.find(key.plaintext)
    assert said == [("decrypting API keys", 2)]


# Threads


def test_many_threads_get_the_right_answers(
    old_database: Database, owner: str, old: Store, counting: CountingCipher
) -> None:
    bob = old_database.add_user("bob")
    keys = [old_database.add_key((owner, bob)[n % 2], f"key {n}") for n in range(40)]
    verifier = Verifier(old, counting)

    def name_of(key: SampleKey) -> str | None:
        found = verifier.verify(key.plaintext).api_key
        return None if found is None else found.name

    def both(key: SampleKey) -> tuple[str | None, str]:
        return name_of(key), refused(verifier, new_api_key())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(both, keys * 10))
    assert answers == [(key.name, "unknown") for key in keys * 10]
    assert counting.decrypted == 40


def test_times_in_the_database_are_read_whatever_their_form(
    database: Database, superuser: str, verifier: Verifier
) -> None:
    moment = ahead(days=1).replace(microsecond=0)
    forms = (
        stored(moment),
        moment.strftime("%Y-%m-%d %H:%M:%S"),
        moment.strftime("%Y-%m-%dT%H:%M:%S.000000"),
        moment.strftime("%Y-%m-%d %H:%M:%S.000000+00:00"),
        (moment + timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S.000000+02:00"),
    )
    for form in forms:
        key = database.add_key(superuser)
        database.rows("UPDATE apikey SET expires_at = ? WHERE id = ?", (form, key.id))
        found = verifier.verify(key.plaintext).api_key
        assert found is not None
        assert found.expires_at == moment
