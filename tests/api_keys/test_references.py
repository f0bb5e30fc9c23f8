from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys.api_keys.references import get_api_key
from langkeys.crypto.cipher import Cipher
from langkeys.errors import AmbiguousError, NotFoundError, SecretKeyError, UsageError
from langkeys.store.protocol import Store

from ..support import databases, stores
from ..support.databases import Database, SampleKey
from ..support.samples import OTHER_SECRET_KEY
from ..support.stores import cipher, no_cipher

ID = "3f2a9c41" + "0" * 23 + "1"


def found_by(store: Store, ref: str, *, destroys: bool = False) -> str:
    return get_api_key(store, cipher, ref, destroys=destroys).id


# The kinds of references


@pytest.mark.parametrize("destroys", [False, True])
def test_an_exact_id_names_a_key_dashed_or_not_in_either_case(
    database: Database, superuser: str, store: Store, destroys: bool
) -> None:
    key = database.add_key(superuser, key_id=ID)
    database.add_key(superuser)
    for ref in (ID, ID.upper(), key.dashed, key.dashed.upper()):
        assert get_api_key(store, no_cipher, ref, destroys=destroys).id == ID


def test_an_exact_name_names_a_key(database: Database, superuser: str, store: Store) -> None:
    key = database.add_key(superuser, "deploy to production 🚀")
    database.add_key(superuser, "deploy")
    assert get_api_key(store, no_cipher, "deploy to production 🚀").id == key.id


def test_a_name_is_exact_in_case_and_whole(
    database: Database, superuser: str, store: Store
) -> None:
    database.add_key(superuser, "Deploy")
    for ref in ("deploy", "Deplo", "Deploy ", "Depl%", "*", ""):
        with pytest.raises(NotFoundError):
            get_api_key(store, no_cipher, ref)


@pytest.mark.parametrize("at_rest", ["fernet", "plaintext"])
@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("visible", [5, 20])
def test_the_visible_start_names_a_key_however_it_is_stored(
    database: Database, superuser: str, store: Store, at_rest: str, hashed: bool, visible: int
) -> None:
    key = database.add_key(superuser, at_rest=at_rest, hashed=hashed)
    database.add_key(superuser)
    assert found_by(store, key.plaintext[: 3 + visible]) == key.id


@pytest.mark.parametrize("mark", ["", "…", "...", "*", "*" * 38])
@pytest.mark.parametrize("visible", [0, 4, 21, 30])
def test_a_start_that_is_too_short_or_too_long_is_a_usage_error_without_it(
    database: Database, superuser: str, store: Store, visible: int, mark: str
) -> None:
    key = database.add_key(superuser)
    start = key.plaintext[: 3 + visible]
    with pytest.raises(UsageError, match="5 to 20 characters after sk-") as caught:
        get_api_key(store, no_cipher, start + mark)
    assert f"has {visible}" in caught.value.message
    assert "stdin" in str(caught.value.hint)
    if visible:
        assert start not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("mark", ["…", "...", "*", "*" * 38])
@pytest.mark.parametrize("visible", [5, 20])
def test_a_start_may_be_followed_by_the_mark_that_cuts_it(
    database: Database, superuser: str, store: Store, visible: int, mark: str
) -> None:
    key = database.add_key(superuser)
    database.add_key(superuser)
    assert found_by(store, key.plaintext[: 3 + visible] + mark) == key.id


def test_a_name_goes_before_a_start_with_a_mark_and_before_a_short_one(
    database: Database, superuser: str, store: Store
) -> None:
    start = database.add_key(superuser).plaintext[:8]
    for name in (f"{start}…", f"{start}...", f"{start}***", "sk-", "sk-ci", "sk-" + "x" * 21):
        named = database.add_key(superuser, name)
        assert found_by(store, name) == named.id


def test_a_start_in_another_case_names_nothing(
    database: Database, superuser: str, store: Store
) -> None:
    database.add_key(superuser, plaintext="sk-abcdefghij" + "x" * 33)
    with pytest.raises(NotFoundError):
        found_by(store, "sk-ABCDEFGHIJ")


@pytest.mark.parametrize(
    "ref",
    ["3f2a", "3f2a9c41", "3F2A9C41", "3f2a9c41-0000", "3F2A9C41-0000-0000-0000-0000", ID[:31]],
)
def test_a_start_of_the_id_names_a_key_dashed_or_not_in_either_case(
    database: Database, superuser: str, store: Store, ref: str
) -> None:
    database.add_key(superuser, key_id=ID)
    database.add_key(superuser, key_id="4" * 32)
    assert get_api_key(store, no_cipher, ref).id == ID


def test_a_start_of_the_id_has_4_digits_or_more(
    database: Database, superuser: str, store: Store
) -> None:
    database.add_key(superuser, key_id=ID)
    for ref in ("3", "3f2", "3f-2"):
        with pytest.raises(NotFoundError) as caught:
            found_by(store, ref)
        assert "the start of an id needs at least 4 digits" in str(caught.value.hint)
    with pytest.raises(NotFoundError) as caught:
        found_by(store, "3fx")
    assert "digits" not in str(caught.value.hint)


@pytest.mark.parametrize(
    ("ref", "alike"),
    [("CI", ["ci"]), ("Ci", ["ci"]), ("deploy bot", ["Deploy Bot"]), ("laptop", []), ("ic", [])],
)
def test_a_name_that_differs_in_case_is_named(
    database: Database, superuser: str, store: Store, ref: str, alike: list[str]
) -> None:
    for name in ("ci", "ci", "Deploy Bot", "gateway"):
        database.add_key(superuser, name)
    with pytest.raises(NotFoundError) as caught:
        found_by(store, ref)
    start = "".join(f"there is {name!r}; " for name in alike)
    assert caught.value.hint == f"{start}to see ids and names: langkeys api-key list --all-users"


def test_a_start_of_the_id_has_8_digits_or_more_for_what_destroys(
    database: Database, superuser: str, store: Store
) -> None:
    database.add_key(superuser, key_id=ID)
    for ref in ("3f2a", "3f2a9c4", "3f2a-9c4-"):
        with pytest.raises(NotFoundError) as caught:
            found_by(store, ref, destroys=True)
        assert "8 digits" in str(caught.value.hint)
    assert found_by(store, "3f2a9c41", destroys=True) == ID


def test_the_middle_of_an_id_names_nothing(
    database: Database, superuser: str, store: Store
) -> None:
    database.add_key(superuser, key_id=ID)
    with pytest.raises(NotFoundError):
        found_by(store, "2a9c4100")


def test_a_key_is_found_among_all_users_keys(
    database: Database, superuser: str, store: Store
) -> None:
    other = database.add_user("alice", is_superuser=False)
    key = database.add_key(other, "of alice")
    found = get_api_key(store, no_cipher, "of alice")
    assert (found.id, found.username) == (key.id, "alice")


# Precedence


def test_an_id_goes_before_a_name(database: Database, superuser: str, store: Store) -> None:
    database.add_key(superuser, key_id=ID)
    database.add_key(superuser, ID)
    assert found_by(store, ID) == ID


def test_a_name_goes_before_a_visible_start(
    database: Database, superuser: str, store: Store
) -> None:
    started = database.add_key(superuser)
    start = started.plaintext[:8]
    named = database.add_key(superuser, start)
    assert found_by(store, start) == named.id


def test_a_name_goes_before_a_start_of_an_id(
    database: Database, superuser: str, store: Store
) -> None:
    database.add_key(superuser, key_id=ID)
    named = database.add_key(superuser, "3f2a9c41")
    assert found_by(store, "3f2a9c41") == named.id


def test_other_keys_that_a_name_is_the_start_of_are_named(
    database: Database, superuser: str, store: Store
) -> None:
    ids = ["3f2a9c41" + f"{number:024x}" for number in range(12)]
    for number, key_id in enumerate(ids):
        database.add_key(superuser, f"other {number}", key_id=key_id)
    named = database.add_key(superuser, "3f2a9c41")
    warnings: list[str] = []
    assert get_api_key(store, no_cipher, "3f2a9c41", warn=warnings.append).id == named.id
    (warning,) = warnings
    assert warning.count("(other ") == 10
    assert warning.endswith("and others")


def test_many_keys_are_not_decrypted_only_to_warn(
    database: Database, superuser: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langkeys.api_keys.references.MAX_SHADOWED_DECRYPTED", 1)
    start = database.add_key(superuser).plaintext[:8]
    named = database.add_key(superuser, start)
    warnings: list[str] = []
    assert get_api_key(store, no_cipher, start, warn=warnings.append).id == named.id
    assert "was not checked" in warnings[0]


def test_a_name_is_enough_where_nothing_can_be_decrypted(
    database: Database, superuser: str, store: Store
) -> None:
    def lost() -> Cipher:
        raise SecretKeyError("lost")

    named = database.add_key(superuser, "sk-abcde")
    assert get_api_key(store, lost, "sk-abcde").id == named.id


# Several matches, and none


def _assert_ambiguous(store: Store, ref: str, keys: list[SampleKey]) -> None:
    with pytest.raises(AmbiguousError) as caught:
        found_by(store, ref)
    listed = " ".join(caught.value.candidates)
    assert len(caught.value.candidates) == len(keys)
    for key in keys:
        assert key.dashed in listed
        assert key.plaintext not in listed
    assert str(len(keys)) in caught.value.message


def test_two_keys_of_one_name_are_ambiguous_and_listed_with_their_owners(
    database: Database, superuser: str, store: Store
) -> None:
    alice = database.add_user("alice")
    keys = [database.add_key(superuser, "ci"), database.add_key(alice, "ci")]
    _assert_ambiguous(store, "ci", keys)
    with pytest.raises(AmbiguousError) as caught:
        found_by(store, "ci")
    assert "administrator" in caught.value.candidates[0]
    assert "alice" in caught.value.candidates[1]


def test_two_ids_of_one_start_are_ambiguous(
    database: Database, superuser: str, store: Store
) -> None:
    keys = [database.add_key(superuser, key_id="3f2a9c41" + c * 24) for c in "0f"]
    database.add_key(superuser, key_id="3f2a9c42" + "0" * 24)
    _assert_ambiguous(store, "3f2a9c41", keys)


def test_two_keys_of_one_visible_start_are_ambiguous(
    database: Database, superuser: str, store: Store
) -> None:
    keys = [
        database.add_key(superuser, plaintext=f"sk-abcde{c * 35}", at_rest=at_rest)
        for c, at_rest in (("x", "fernet"), ("y", "plaintext"))
    ]
    _assert_ambiguous(store, "sk-abcde", keys)


@pytest.mark.parametrize(("keys", "said"), [(10, "10"), (11, "more than 10"), (12, "more than 10")])
def test_no_more_than_ten_candidates_are_listed(
    database: Database, superuser: str, store: Store, keys: int, said: str
) -> None:
    for _ in range(keys):
        database.add_key(superuser, "ci")
    with pytest.raises(AmbiguousError) as caught:
        found_by(store, "ci")
    assert len(caught.value.candidates) == 10
    assert f"matches {said} API keys in {database.path}" in caught.value.message


def test_what_matches_nothing_is_named_with_the_database(store: Store) -> None:
    with pytest.raises(NotFoundError) as caught:
        found_by(store, "nothing-of-that-name")
    assert "nothing-of-that-name" in caught.value.message
    assert store.location in caught.value.message


def test_a_start_under_another_secret_key_names_nothing(
    database: Database, superuser: str, store: Store
) -> None:
    key = database.add_key(superuser, secret_key=OTHER_SECRET_KEY)
    with pytest.raises(NotFoundError):
        found_by(store, key.plaintext[:8])


# Property tests on one database


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[SampleKey]]]:
    path: Path = tmp_path_factory.mktemp("references") / "langflow.db"
    database = databases.create(path)
    owner = database.add_user("administrator")
    keys = [
        database.add_key(owner, f"key {number}", key_id=key_id)
        for number, key_id in enumerate(("3f2a" + "0" * 28, "3f2a" + "1" * 28, *_IDS))
    ]
    with stores.opened(database) as store:
        yield store, keys


_IDS = [uuid.UUID(int=number * 7919**9 % 2**128).hex for number in range(1, 11)]


@given(number=st.integers(0, 11), length=st.integers(4, 32), dashed=st.booleans())
def test_a_start_names_the_only_key_that_starts_so(
    many: tuple[Store, list[SampleKey]], number: int, length: int, dashed: bool
) -> None:
    store, keys = many
    key = keys[number]
    start = key.id[:length]
    ref = key.dashed[: length + 4] if dashed else start
    start = ref.replace("-", "")
    alike = [other for other in keys if other.id.startswith(start)]
    if len(alike) == 1:
        assert get_api_key(store, no_cipher, ref).id == key.id
    else:
        with pytest.raises(AmbiguousError):
            get_api_key(store, no_cipher, ref)


@given(ref=st.text(max_size=60))
def test_any_other_text_names_nothing(many: tuple[Store, list[SampleKey]], ref: str) -> None:
    store, keys = many
    digits = ref.lower().replace("-", "")
    if any(ref == key.name for key in keys) or (
        re.fullmatch(r"[0-9a-f-]+", ref.lower()) and any(key.id.startswith(digits) for key in keys)
    ):
        return
    with pytest.raises((NotFoundError, UsageError)):
        get_api_key(store, cipher, ref)
