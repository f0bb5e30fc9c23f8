"""The contract of all engines for presented API keys: look them up, and count uses."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta

import pytest

from langkeys.store.protocol import KeyFilter, OwnedKey, Store

from .conftest import NOW, Engine, add_keys, api_key, user

DAY = timedelta(days=1)


def owned_ids(found: Sequence[OwnedKey]) -> list[str]:
    return [owned.key.id for owned in found]


def test_all_keys_with_one_hash_are_found(writer: Store, reader: Store) -> None:
    one, two, _ = add_keys(writer, api_key(hashed="same"), api_key(hashed="same"), api_key())
    assert sorted(owned_ids(reader.owned_by_hash("same"))) == sorted([one.id, two.id])
    assert owned_ids(reader.owned_by_hash("none")) == []


def test_plaintext_keys_are_found_by_value_and_by_its_start(writer: Store, reader: Store) -> None:
    one, two, _ = add_keys(
        writer, api_key(stored="sk-abcdef"), api_key(stored="sk-abcxyz"), api_key(stored="sk-abd")
    )
    assert owned_ids(reader.owned_stored_as("sk-abcdef")) == [one.id]
    assert owned_ids(reader.owned_stored_as("sk-abc")) == []
    assert [key.id for key in reader.api_keys_stored_from("sk-abc", 10)] == [one.id, two.id]
    assert [key.id for key in reader.api_keys_stored_from("sk-abc", 1)] == [one.id]
    assert [key.id for key in reader.api_keys_stored_from("sk-ABC", 10)] == []


def test_a_key_comes_with_its_owner(writer: Store, reader: Store) -> None:
    (key,) = add_keys(writer, api_key(hashed="mine"))
    assert reader.owned_by_hash("mine") == [
        OwnedKey(key._replace(username="administrator"), user())
    ]
    assert reader.owned_stored_as(key.stored) == reader.owned_by_hash("mine")


def test_a_key_whose_owner_does_not_exist_comes_without_an_owner(
    engine: Engine, writer: Store, reader: Store
) -> None:
    if not engine.enforces_owners:
        (orphan,) = add_keys(writer, api_key(hashed="lost", user_id="d" * 32))
        assert reader.owned_by_hash("lost") == [OwnedKey(orphan, None)]


def tokens(store: Store, *, unhashed_only: bool) -> list[str]:
    return [token for page in store.key_tokens(unhashed_only=unhashed_only) for token in page]


def test_encrypted_and_plaintext_keys_are_distinguished(writer: Store, reader: Store) -> None:
    hashed, unhashed, _ = add_keys(
        writer, api_key(), api_key(hashed=None), api_key(stored="sk-plain", hashed=None)
    )
    every = sorted(tokens(reader, unhashed_only=False))
    assert every == sorted([hashed.stored, unhashed.stored])
    assert tokens(reader, unhashed_only=True) == [unhashed.stored]
    assert reader.api_key_count() == 3


def test_the_keys_of_others_are_counted_up_to_a_limit(writer: Store, reader: Store) -> None:
    middle, first, last = "a" * 32, "1" * 32, "f" * 32
    with writer.transaction():
        writer.insert_user(user("first", first))
        writer.insert_user(user("last", last))
    add_keys(writer, *(api_key(user_id=owner) for owner in (first, last, last, last, middle)))
    assert [reader.count_of_others(owner, 9) for owner in (first, middle, last)] == [4, 4, 2]
    assert reader.count_of_others(middle, 1) == 2
    assert reader.count_of_others(first, 1) == 1
    assert reader.count_of_others("0" * 32, 9) == 5


@pytest.mark.parametrize("unhashed_only", [False, True])
def test_more_encrypted_keys_than_a_page_are_all_found_once(
    writer: Store, reader: Store, unhashed_only: bool
) -> None:
    keys = add_keys(writer, *(api_key(hashed=None) for _ in range(1201)))
    found = tokens(reader, unhashed_only=unhashed_only)
    assert sorted(found) == sorted(key.stored for key in keys)


def test_the_version_changes_when_others_commit(writer: Store, reader: Store) -> None:
    before = reader.version()
    add_keys(writer, api_key())
    assert reader.version() != before


def test_the_version_does_not_change_otherwise_if_the_engine_can_know(
    engine: Engine, writer: Store, reader: Store
) -> None:
    before = reader.version()
    assert list(reader.api_keys(KeyFilter(now=NOW))) == []
    if not engine.detects_changes:
        assert reader.version() != before  # so that no cached value counts as current
        return
    assert reader.version() == before
    with contextlib.suppress(ZeroDivisionError), writer.transaction():
        writer.insert_api_keys([api_key()])
        raise ZeroDivisionError
    assert reader.version() == before
    add_keys(writer, api_key())
    after = reader.version()
    assert after != before
    assert reader.version() == after


def test_a_use_is_counted_at_once(writer: Store, reader: Store) -> None:
    key, other = add_keys(writer, api_key(), api_key())
    assert writer.count_use(key.id, NOW)
    assert writer.count_use(key.id, NOW + DAY)
    assert reader.find_api_key(key.id) == key._replace(
        username="administrator", total_uses=2, last_used_at=NOW + DAY
    )
    assert reader.find_api_key(other.id) == other._replace(username="administrator")
    assert not writer.count_use("0" * 32, NOW)


def test_the_rows_of_a_key_are_found_by_its_hash_and_by_what_is_stored_without_one(
    writer: Store, reader: Store
) -> None:
    hashed, unhashed, plain, _, _ = add_keys(
        writer,
        api_key(hashed="mine"),
        api_key(hashed=None),
        api_key(stored="sk-mine", hashed=None),
        api_key(stored="sk-other", hashed=None),
        api_key(stored="sk-another's hash", hashed="other"),
    )
    stored = [plain.stored, unhashed.stored, "sk-another's hash", "sk-nobody's"]
    # In the order of their creation.
    assert owned_ids(reader.rows_of_key("mine", stored)) == [hashed.id, unhashed.id, plain.id]
    assert owned_ids(reader.rows_of_key("mine", [])) == [hashed.id]
    assert owned_ids(reader.rows_of_key("none", ["sk-mine"])) == [plain.id]
    assert reader.rows_of_key("none", []) == []
    (found,) = reader.rows_of_key("none", ["sk-mine"])
    assert found.owner == user()


def test_plaintext_without_a_hash_is_found_in_pages(writer: Store, reader: Store) -> None:
    add_keys(writer, api_key(hashed=None), api_key(stored="sk-hashed"))
    plain = [f"sk-{number:04}" for number in range(1201)]
    add_keys(writer, *(api_key(stored=value, hashed=None) for value in plain))
    found = [value for page in reader.unhashed_plaintexts() for value in page]
    assert sorted(found) == plain


def test_hashes_shared_by_several_keys_are_found(writer: Store, reader: Store) -> None:
    assert reader.repeated_hashes() == []
    hashes = ("one", "two", "two", "three", "three", "three", None, None)
    add_keys(writer, *(api_key(hashed=value) for value in hashes))
    assert sorted(reader.repeated_hashes()) == ["three", "two"]
