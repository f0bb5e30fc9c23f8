"""An unreadable row is reported and left out; it does not hide others, and can be deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from langkeys.errors import UnreadableRowError
from langkeys.store.protocol import Change, KeyFilter, RowStub, Store

from ..support import databases, odd_rows, stores
from ..support.databases import SHAPES, Database
from ..support.odd_rows import BAD_KEY_CELLS, BAD_USER_CELLS, BAD_VARIABLE_CELLS
from ..support.samples import hash_of
from .conftest import NOW, OWNER

ALL = KeyFilter(now=NOW)


@pytest.fixture
def warnings() -> list[str]:
    return []


@contextmanager
def listening(
    database: Database, warnings: list[str], *, writable: bool = False
) -> Iterator[Store]:
    with stores.opened(database, writable=writable) as store:
        store.listen(note=pytest.fail, warn=warnings.append)
        yield store


def the_stub(store: Store) -> RowStub:
    (stub,) = store.unreadable_rows()
    return stub


@pytest.mark.parametrize(("column", "sql"), BAD_KEY_CELLS)
def test_an_unreadable_key_does_not_hide_others(
    made: Database, warnings: list[str], column: str, sql: str
) -> None:
    first, last = made.add_key(OWNER, "first"), None
    plaintext = odd_rows.add_key(made, OWNER, **{column: sql})
    last = made.add_key(OWNER, "last")
    good = [first.id, last.id]
    with listening(made, warnings) as store:
        assert [key.id for key in store.api_keys(ALL)] == good
        assert [key.id for key in store.api_keys(ALL)] == good
        assert len(warnings) == 1, "once a row"
        assert f"its {column} is malformed" in warnings[0]
        assert "apikey" in warnings[0]
        assert store.api_key_count() == store.counts()["API keys"] == 3
        assert [key.id for key in store.api_keys(KeyFilter(now=NOW, name="first"))] == good[:1]
        list(store.plaintext_api_keys())
        for unhashed_only in (False, True):
            pages = list(store.key_tokens(unhashed_only=unhashed_only))
            assert all(isinstance(token, str) for page in pages for token in page)
        assert all(isinstance(v.value, str) for v in store.encrypted_values())
        assert list(store.sample_of_encrypted_values())
        stub = the_stub(store)
        assert (stub.table, stub.problem) == ("apikey", column)
        assert stub.id in warnings[0]
        if column not in ("name", "api_key_hash"):
            with pytest.raises(UnreadableRowError, match=column):
                store.owned_by_hash(hash_of(plaintext))
            with pytest.raises(UnreadableRowError, match=column) as caught:
                store.api_keys_named("odd", 10)
            assert stub.id in caught.value.message


@pytest.mark.parametrize(("column", "sql"), BAD_KEY_CELLS)
@pytest.mark.parametrize("by", ["id", "position"])
def test_an_unreadable_key_can_be_deleted(made: Database, column: str, sql: str, by: str) -> None:
    kept = made.add_key(OWNER)
    odd_rows.add_key(made, OWNER, **{column: sql})
    changes: list[Change] = []

    @contextmanager
    def commit_context(noted: object) -> Iterator[None]:
        changes.extend(noted)  # type: ignore[call-overload]
        yield

    with stores.opened(made, writable=True) as store:
        store.commit_context = commit_context
        stub = the_stub(store)
        if by == "id" and not (column == "id" and sql == odd_rows.BAD_UTF8):
            assert store.api_key_stubs(key_id=stub.id) == [stub]
        with store.transaction():
            assert store.delete_stubs([stub]) == 1
            assert store.delete_stubs([stub]) == 0
        assert list(store.unreadable_rows()) == []
    assert made.key_ids() == [kept.id]
    (change,) = changes
    assert (change.action, change.kind, change.id) == ("delete", "api_key", stub.id)
    assert change.details["unreadable"] == column


def test_a_stub_is_not_deleted_if_another_row_has_its_number(made: Database) -> None:
    odd_rows.add_key(made, OWNER, created_at="'soon'")
    with stores.opened(made, writable=True) as store:
        stub = the_stub(store)
        made.rows("DELETE FROM apikey")
        other = made.add_key(OWNER)
        with store.transaction():
            assert store.delete_stubs([stub]) == 0
    assert made.key_ids() == [other.id]


def test_an_unreadable_row_can_be_deleted_by_id(made: Database) -> None:
    odd_rows.add_key(made, OWNER, created_at="'soon'")
    with stores.opened(made, writable=True) as store, store.transaction():
        assert store.delete_api_keys([the_stub(store).id]) == 1
    assert made.key_ids() == []


@pytest.mark.parametrize(("column", "sql"), BAD_KEY_CELLS)
def test_a_filter_deletes_no_unreadable_key(
    made: Database, warnings: list[str], column: str, sql: str
) -> None:
    made.add_key(OWNER)
    odd_rows.add_key(made, OWNER, **{column: sql})
    with listening(made, warnings, writable=True) as store, store.key_batch() as batch:
        batch.add_matching(KeyFilter(now=NOW + timedelta(days=9999)))
        assert len(batch) == 1
        assert len(list(batch)) == 1
        with store.transaction():
            batch.delete()
    assert len(warnings) == 1
    assert len(made.rows("SELECT 1 FROM apikey")) == 1


@pytest.mark.parametrize(("column", "sql"), BAD_USER_CELLS)
def test_an_unreadable_user_does_not_hide_others(
    made: Database, warnings: list[str], column: str, sql: str
) -> None:
    odd_rows.add_user(made, **{column: sql})
    made.add_user("last")
    with listening(made, warnings) as store:
        assert [found.user.username for found in store.users()] == ["administrator", "last"]
        assert len(warnings) == 1
        assert f"its {column} is malformed" in warnings[0]
        assert store.counts()["users"] == 3
        assert store.usernames_like("LAST") == ["last"]
        if column != "username":
            with pytest.raises(UnreadableRowError, match=column):
                store.find_user_named("odd")
        assert the_stub(store).table == "user"


@pytest.mark.parametrize("column", ["username", "password", "id"])
def test_an_unreadable_user_does_not_count_as_another_superuser(
    made: Database, column: str
) -> None:
    odd_rows.add_user(made, **{column: "x'ff'"})
    with stores.opened(made) as store:
        assert not store.has_other_superuser(OWNER)


def test_the_key_of_an_unreadable_user_is_not_valid(made: Database) -> None:
    plaintext = odd_rows.add_key(made, OWNER)
    made.rows("UPDATE user SET password = x'00'")
    with stores.opened(made) as store, pytest.raises(UnreadableRowError, match="password"):
        store.owned_by_hash(hash_of(plaintext))


@pytest.mark.parametrize(("column", "sql"), BAD_VARIABLE_CELLS)
def test_an_unreadable_variable_does_not_hide_others_and_can_be_deleted(
    made: Database, warnings: list[str], column: str, sql: str
) -> None:
    made.add_variable(OWNER, "FIRST", "x")
    odd_rows.add_variable(made, OWNER, **{column: sql})
    made.add_variable(OWNER, "LAST", "x")
    with listening(made, warnings, writable=True) as store:
        assert [row.name for row in store.variables()] == ["FIRST", "LAST"]
        assert [row.name for row in store.variables_named(["FIRST", "ODD"])] == ["FIRST"]
        assert len(warnings) == 1
        assert f"its {column} is malformed" in warnings[0]
        assert store.counts()["variables"] == 3
        assert all(isinstance(v.value, str) for v in store.encrypted_values())
        stub = the_stub(store)
        if column not in ("name", "user_id"):
            with pytest.raises(UnreadableRowError, match=column):
                store.variables_named(["ODD"], OWNER)
            assert store.variable_stubs(OWNER, name="ODD") == [stub]
        if column != "user_id" and stub.id and "CAST" not in sql:
            assert store.variable_stubs(OWNER, variable_id=stub.id) == [stub]
            assert store.variable_stubs("f" * 32, variable_id=stub.id) == []
        with store.transaction():
            assert store.delete_stubs([stub]) == 1
    assert len(made.rows("SELECT 1 FROM variable")) == 2


def test_no_error_shows_a_cell(made: Database, warnings: list[str]) -> None:
    for column in ("created_at", "total_uses", "api_key_hash"):
        odd_rows.add_key(made, OWNER, **{column: "CAST('s3cret' AS BLOB)"})
    with listening(made, warnings) as store:
        list(store.api_keys(ALL))
        stubs = list(store.unreadable_rows())
    assert len(warnings) == len(stubs) == 3
    assert "s3cret" not in f"{warnings} {stubs}"
    assert b"s3cret".hex() not in f"{warnings} {stubs}"


def test_only_the_first_of_many_unreadable_rows_are_named(
    made: Database, warnings: list[str]
) -> None:
    for _ in range(120):
        odd_rows.add_key(made, OWNER, created_at="'soon'")
    with listening(made, warnings) as store:
        assert list(store.api_keys(ALL)) == []
        assert len(warnings) == 101
        assert "more" in warnings[-1]
        assert len(list(store.unreadable_rows())) == 120


# Booleans


@pytest.mark.parametrize("sql", ["0", "2", "-1", "'t'", "'true'", "x'01'", "1.5"])
@pytest.mark.parametrize("release", ["1.5", "1.13"])
def test_only_1_is_true(tmp_path: Path, sql: str, release: str) -> None:
    database = databases.create(tmp_path / "langflow.db", SHAPES[release])
    owner = database.add_user("administrator")
    odd_rows.add_key(database, owner, is_active=sql)
    odd_rows.add_key(database, owner, "good")
    odd_rows.add_user(database, "off", is_active=sql)
    odd_rows.add_user(database, "less", is_superuser=sql)
    with stores.opened(database) as store:
        states = {key.name: key.is_active for key in store.api_keys(ALL)}
        assert states == {"odd": False, "good": True}

        def named(status: str) -> list[str | None]:
            return [key.name for key in store.api_keys(KeyFilter(now=NOW, status=status))]

        assert (named("active"), named("inactive"), named("expired")) == (["good"], ["odd"], [])
        assert store.counts()["inactive API keys"] == 1
        assert store.counts()["active superusers"] == 1
        assert not store.has_other_superuser(owner)
        off, less = store.find_user_named("off"), store.find_user_named("less")
        assert off is not None
        assert less is not None
        assert (off.is_active, less.is_superuser) == (False, False)


# Times

SPELLINGS: list[Callable[[str], str]] = [
    lambda moment: moment,
    lambda moment: moment.replace(" ", "T"),
    lambda moment: f"{moment.replace(' ', 'T')}Z",
    lambda moment: f"{moment}+00:00",
    lambda moment: moment[:19],
    lambda moment: f"{moment[:10]}T{moment[11:19]}Z",
    lambda moment: moment[:23],
    lambda moment: f"{moment[:10]}T{moment[11:25]}Z",  # as long as the usual form
    lambda moment: f"{moment[:10]}T{int(moment[11:13]) + 5:02}{moment[13:]}+05:00",
]


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_times_are_compared_whatever_their_format(
    made: Database, spelled: Callable[[str], str]
) -> None:
    before, after = "2026-06-01 11:00:00.000000", "2026-06-01 13:00:00.000000"
    for name, moment in (("before", before), ("after", after)):
        text = f"'{spelled(moment)}'"
        odd_rows.add_key(made, OWNER, name, created_at=text, last_used_at=text, expires_at=text)

    with stores.opened(made) as store:

        def named(**conditions: object) -> list[str | None]:
            wanted = KeyFilter(now=NOW)._replace(**conditions)
            return [key.name for key in store.api_keys(wanted)]

        assert named(status="expired") == named(is_expired=True) == ["before"]
        assert named(status="active") == ["after"]
        assert named(created_before=NOW) == named(unused_since=NOW) == ["before"]
        assert named(never_used_since=NOW) == ["after"]
        assert named(expires_before=NOW + timedelta(hours=2)) == ["after"]
        assert named(expires_before=NOW + timedelta(minutes=2)) == []
        keys = {key.name: key for key in store.api_keys(ALL)}
    assert keys["before"].created_at == NOW.replace(hour=11, minute=0, microsecond=0)
    assert keys["after"].expires_at == NOW.replace(hour=13, minute=0, microsecond=0)


def test_the_limits_of_the_calendar_are_times(made: Database) -> None:
    for text in ("'0001-01-01 00:00:00.000000'", "'9999-12-31 23:59:59.999999'"):
        odd_rows.add_key(made, OWNER, text[1:5], created_at=text, expires_at=text)
    with stores.opened(made) as store:
        expired = list(store.api_keys(KeyFilter(now=NOW, status="expired")))
        assert [key.name for key in expired] == ["0001"]
        assert len(list(store.api_keys(ALL))) == 2
