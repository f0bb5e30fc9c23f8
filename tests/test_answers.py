"""For any combination of rows of a key, langkeys verifies it as a server, and ends all rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import pytest

from langkeys.api_keys.ending import Endings
from langkeys.api_keys.finder import KeyFinder
from langkeys.api_keys.verification import Judge, Verifier
from langkeys.errors import ConflictError, FailedError, InvalidKeyError
from langkeys.store.protocol import Store

from .support.answers import authenticated_username
from .support.databases import SHAPES, Database, create
from .support.key_rows import KINDS, PAIRS, add_rows
from .support.stores import cipher, opened

RELEASES = ("1.5", "1.8", "1.9", "1.10", "1.13")
_random = random.Random(1)
_TRIPLES = [tuple(_random.choices(list(KINDS), k=3)) for _ in range(12)]
SOME = {
    release: [*_random.sample(PAIRS, 48 if release == "1.13" else 12), *_TRIPLES]
    for release in RELEASES
}
"""Kinds of rows of one key, by release."""


@pytest.fixture(scope="module", params=RELEASES)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    path = tmp_path_factory.mktemp("answers") / "langflow.db"
    return create(path, SHAPES[request.param])


@pytest.fixture(scope="module")
def owners(database: Database) -> list[str]:
    return [database.add_user(name) for name in ("alice", "bob", "carol")]


@pytest.fixture(autouse=True)
def _no_rows(database: Database) -> Iterator[None]:
    yield
    database.rows("DELETE FROM apikey")


def answer(store: Store, api_key: str, *, is_exact: bool) -> str | None:
    try:
        return Verifier(store, cipher, is_exact=is_exact).verify(api_key).user.username
    except InvalidKeyError:
        return None


def endings_of(store: Store) -> Endings:
    return Endings(store, KeyFinder(store, cipher), Judge())


def each(
    database: Database, owners: Sequence[str], act: Callable[[Store, str, list[str]], None]
) -> None:
    """Call ``act`` for a key in all pairs and some triples of rows; another key must stay."""
    other = database.add_key(owners[0], "other")
    for kinds in SOME[database.shape.release]:
        rows = add_rows(database, owners[: len(kinds)], kinds)
        with opened(database, writable=True) as store:
            try:
                act(store, rows[0].plaintext, [row.id for row in rows])
            except AssertionError as error:
                raise AssertionError(f"{kinds}: {error}") from error
        database.rows("DELETE FROM apikey WHERE id != ?", (other.id,))
    assert database.key_ids() == [other.id]


def test_langkeys_answers_as_the_server(database: Database, owners: list[str]) -> None:
    def act(store: Store, api_key: str, ids: list[str]) -> None:
        expected = authenticated_username(database, api_key)
        assert answer(store, api_key, is_exact=True) == expected
        if expected is None:
            return
        assert answer(store, api_key, is_exact=False) is not None

    each(database, owners, act)


def test_revoked_by_any_row_the_key_is_gone_with_all_of_them(
    database: Database, owners: list[str]
) -> None:
    def act(store: Store, api_key: str, ids: list[str]) -> None:
        row = store.find_api_key(random.Random(api_key).choice(ids))
        assert row is not None
        endings = endings_of(store)
        (key,) = endings.revoke([endings.whole_key(row)])
        assert sorted(found.id for found in key.rows) == sorted(ids)
        assert authenticated_username(database, api_key) is None
        assert len(database.key_ids()) == 1

    each(database, owners, act)


def test_deactivated_by_any_row_the_key_is_refused(database: Database, owners: list[str]) -> None:
    if database.shape.release not in ("1.10", "1.13"):
        return

    def act(store: Store, api_key: str, ids: list[str]) -> None:
        row = store.find_api_key(random.Random(api_key).choice(ids))
        assert row is not None
        endings = endings_of(store)
        endings.deactivate(endings.whole_key(row))
        assert authenticated_username(database, api_key) is None
        assert len(database.key_ids()) == len(ids) + 1

    each(database, owners, act)


def test_activating_a_row_never_makes_a_server_refuse_the_key(
    database: Database, owners: list[str]
) -> None:
    if database.shape.release not in ("1.10", "1.13"):
        return

    def act(store: Store, api_key: str, ids: list[str]) -> None:
        for key_id in ids:
            row = store.find_api_key(key_id)
            assert row is not None
            before, content = authenticated_username(database, api_key), database.content()
            try:
                refusal = endings_of(store).activate(row)
            except ConflictError:
                assert database.content() == content
                continue
            after = authenticated_username(database, api_key)
            assert (after is None) == (refusal is not None)
            assert before is None or after is not None

    each(database, owners, act)


@pytest.mark.parametrize("some", [("row 0",), ("row 1",), ("row 1", "row 2")])
def test_a_filter_never_ends_a_key_that_another_row_keeps_alive_nor_brings_it_to_life(
    database: Database, owners: list[str], some: tuple[str, ...]
) -> None:
    from langkeys.store.protocol import KeyFilter
    from langkeys.times import now

    def act(store: Store, api_key: str, ids: list[str]) -> None:
        before = authenticated_username(database, api_key)
        count = len(database.key_ids())
        with store.key_batch() as batch:
            for name in some:
                batch.add_matching(KeyFilter(now=now(), name=name))
            asked, wanted = len(batch), KeyFilter(now=now())
            left = endings_of(store).revoke_batch(batch, wanted)
            gone = count - len(database.key_ids())
            assert gone == len(batch)
        after = authenticated_username(database, api_key)
        if left:
            assert gone == 0
            assert after == before
        else:
            assert gone == asked
            # If rows of the key are left, a server does not accept them.
            assert after is None or asked == 0

    each(database, owners, act)


def test_a_key_that_the_servers_environment_lets_in_is_deleted_and_that_is_an_error(
    database: Database, owners: list[str]
) -> None:
    (key,) = add_rows(database, owners[:1], ["hashed, active"])
    with opened(database, writable=True) as store:
        row = store.find_api_key(key.id)
        assert row is not None
        judge = Judge(key.plaintext, "alice")
        endings = Endings(store, KeyFinder(store, cipher), judge)
        whole = endings.whole_key(row)
        assert key.plaintext not in f"{judge!r}{whole!r}"
        if store.generation.reads_env_key:
            with pytest.raises(FailedError, match="LANGFLOW_API_KEY") as caught:
                endings.revoke([whole])
            assert key.plaintext not in f"{caught.value.message}{caught.value.hint}"
        else:
            endings.revoke([whole])
    assert database.key_ids() == []
