"""References to an API key by its whole value, as they come from stdin."""

from __future__ import annotations

import pytest

from langkeys.api_keys.finder import KeyFinder
from langkeys.api_keys.references import get_api_key, get_api_key_by_value
from langkeys.errors import AmbiguousError, NotFoundError, SecretKeyError
from langkeys.store.protocol import Store

from ..support.databases import Database
from ..support.samples import OTHER_SECRET_KEY, new_api_key
from ..support.stores import cipher


@pytest.mark.parametrize("at_rest", ["fernet", "plaintext"])
@pytest.mark.parametrize("hashed", [True, False])
def test_a_whole_key_names_its_row_however_it_is_stored(
    database: Database, superuser: str, store: Store, at_rest: str, hashed: bool
) -> None:
    key = database.add_key(superuser, at_rest=at_rest, hashed=hashed)
    database.add_key(superuser)
    assert (
        get_api_key_by_value(store, KeyFinder(store, cipher), key.plaintext, "line 1").id == key.id
    )


def test_a_whole_key_that_is_unknown_is_not_shown(store: Store) -> None:
    with pytest.raises(NotFoundError) as caught:
        get_api_key_by_value(
            store, KeyFinder(store, cipher), "sk-hidden" + "x" * 40, "line 3 of stdin"
        )
    assert "line 3 of stdin" in caught.value.message
    assert "hidden" not in f"{caught.value.message}{caught.value.hint}"


def test_a_whole_key_in_two_rows_is_named_by_the_row_that_lets_it_in(
    database: Database, superuser: str, store: Store
) -> None:
    off = database.add_key(superuser, is_active=False)
    on = database.add_key(superuser, plaintext=off.plaintext, hashed=False)
    found = get_api_key_by_value(store, KeyFinder(store, cipher), off.plaintext, "line 1 of stdin")
    assert found.id == on.id


def test_several_rows_of_one_key_and_name_are_one_key(
    database: Database, superuser: str, store: Store
) -> None:
    key = database.add_key(superuser, "ci")
    database.add_key(superuser, "ci", plaintext=key.plaintext, hashed=False)
    assert get_api_key(store, cipher, "ci").id == key.id
    database.add_key(superuser, "ci")
    with pytest.raises(AmbiguousError):
        get_api_key(store, cipher, "ci")


@pytest.mark.parametrize("unreadable", [0, 1, 2])
def test_a_whole_key_that_is_not_found_may_be_in_rows_that_cannot_be_read(
    database: Database, superuser: str, store: Store, unreadable: int
) -> None:
    for _ in range(unreadable):
        database.add_key(superuser, hashed=False, secret_key=OTHER_SECRET_KEY)
    value = new_api_key()
    with pytest.raises(SecretKeyError if unreadable else NotFoundError) as caught:
        get_api_key_by_value(store, KeyFinder(store, cipher), value, "line 1 of stdin")
    assert value not in caught.value.message
    if unreadable:
        assert ("1 row" if unreadable == 1 else "2 rows") in caught.value.message
