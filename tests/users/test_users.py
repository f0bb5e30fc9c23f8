from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langkeys import users
from langkeys.config.settings import Settings
from langkeys.crypto import password_rules, passwords
from langkeys.errors import ConflictError, FailedError, NotFoundError, UsageError
from langkeys.models import User, dashed
from langkeys.store.protocol import Store

from ..conftest import SUPERUSER
from ..support import databases
from ..support.databases import Database
from ..support.samples import PASSWORD, WRONG_PASSWORD, password_hash
from ..support.sites import Site
from ..support.stores import opened
from ..support.user_rows import NAMED, OTHER_NAMED, get_user, row, undo_before_read_back


@pytest.fixture
def writable(database: Database) -> Iterator[Store]:
    """The store of the site's database, open for writing."""
    with opened(database, writable=True) as found:
        yield found


def ordinary(name: str = "alice") -> User:
    return users.new_user(name, password_hash(), is_superuser=False)


# References to users


def test_a_user_is_named_by_name_or_by_id_dashed_or_not(
    database: Database, superuser: str, store: Store
) -> None:
    for text in (SUPERUSER, superuser, superuser.upper(), dashed(superuser)):
        assert users.get_user(store, text, warn=pytest.fail).id == superuser


def test_a_name_that_nobody_has_is_not_found_and_one_alike_is_pointed_out(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no user 'ADMINISTRATOR'") as caught:
        users.get_user(store, SUPERUSER.upper(), warn=pytest.fail)
    assert caught.value.hint is not None
    assert f"there is {SUPERUSER!r}" in caught.value.hint


@pytest.mark.parametrize("spelling", [str, str.upper, dashed, lambda text: dashed(text).upper()])
def test_an_id_is_an_id_though_somebody_is_named_so(
    spelling: Callable[[str], str], database: Database, superuser: str, store: Store
) -> None:
    impostor = database.add_user(spelling(superuser), is_superuser=False)
    for text in (superuser, dashed(superuser), superuser.upper()):
        said: list[str] = []
        assert users.get_user(store, text, warn=said.append).id == superuser
        assert len(said) == 1
        assert dashed(impostor) in said[0]
    assert users.get_user(store, impostor, warn=pytest.fail).id == impostor


def test_a_name_like_the_id_of_nobody_is_a_name(database: Database, store: Store) -> None:
    strange = database.add_user("0" * 32, is_superuser=False)
    assert users.get_user(store, "0" * 32, warn=pytest.fail).id == strange


# Names for new users


@pytest.mark.parametrize(
    "name", ["alice", "Ärztin", "a.b@example.org", "x y", "-", "'; DROP TABLE"]
)
def test_langflows_names_are_accepted(name: str) -> None:
    assert users.checked_username(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", " alice", "alice ", "a\nb", "a\x1b[31m", "\udcff", "x" * 256, "0" * 32]
)
def test_a_name_that_would_be_trouble_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        users.checked_username(name)


@pytest.mark.parametrize("release", ["1.5", "1.11", "1.13"])
@pytest.mark.parametrize(
    ("taken", "name"), [("alice", "alice"), ("alice", "ALICE"), ("Ärztin", "ärztin")]
)
def test_a_name_is_unique_without_regard_to_case_whatever_the_generation(
    site_of: Callable[[str], Site], release: str, taken: str, name: str
) -> None:
    """Only 1.13 has an index for this, which on SQLite ignores case only in ASCII."""
    database = site_of(release).database
    database.add_user(taken)
    with opened(database, writable=True) as store:
        with pytest.raises(ConflictError, match=f"a user '{taken}' already exists"):
            users.create(store, NAMED, ordinary(name))
        assert store.find_user_named(name) is None or name == taken


def test_the_configured_superuser_is_not_made_an_ordinary_user(writable: Store) -> None:
    """A server would not start if LANGFLOW_SUPERUSER named an ordinary user."""
    with pytest.raises(ConflictError, match="LANGFLOW_SUPERUSER names 'somebody-else'"):
        users.create(writable, OTHER_NAMED, ordinary("Somebody-Else"))
    made = users.new_user("somebody-else", password_hash(), is_superuser=True)
    users.create(writable, OTHER_NAMED, made)
    assert get_user(writable, "somebody-else") == made


# Creating


@pytest.mark.parametrize("release", databases.SHAPES)
@pytest.mark.parametrize("is_superuser", [False, True])
def test_a_user_is_stored_as_a_server_stores_one(
    site_of: Callable[[str], Site], release: str, is_superuser: bool
) -> None:
    database = site_of(release).database
    user = users.new_user("alice", password_hash(), is_superuser=is_superuser)
    with opened(database, writable=True) as store:
        users.create(store, NAMED, user)
    found = row(database, "alice")
    assert found["id"] == user.id
    assert len(user.id) == 32
    assert (found["is_active"], found["is_superuser"]) == (1, int(is_superuser))
    assert found["create_at"] == found["updated_at"] == databases.stored(user.created_at)
    assert json.loads(found["optins"]) == {
        "github_starred": False,
        "dialog_dismissed": False,
        "discord_clicked": False,
    }
    assert passwords.matches(PASSWORD, found["password"])


def test_a_user_that_does_not_read_back_is_a_failure(
    writable: Store, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    with (
        undo_before_read_back(
            writable, monkeypatch, database, "DELETE FROM user WHERE username = 'alice'"
        ),
        pytest.raises(FailedError, match="was not stored as written"),
    ):
        users.create(writable, NAMED, ordinary())


# Passwords


def test_a_new_password_replaces_the_old_one_and_says_when(
    writable: Store, database: Database
) -> None:
    before = row(database, SUPERUSER)
    old, new = users.set_password(
        writable,
        get_user(writable),
        passwords.hash_password(WRONG_PASSWORD, rounds=4),
        proves=lambda stored: passwords.matches(WRONG_PASSWORD, stored),
    )
    after = row(database, SUPERUSER)
    assert passwords.matches(WRONG_PASSWORD, after["password"])
    assert not passwords.matches(PASSWORD, after["password"])
    assert after["updated_at"] > before["updated_at"]
    assert {name for name in after if after[name] != before[name]} == {"password", "updated_at"}
    assert (old.password_hash, new.password_hash) == (before["password"], after["password"])


def test_a_new_password_is_proved_by_what_a_fresh_connection_reads(
    writable: Store, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    with (
        undo_before_read_back(
            writable, monkeypatch, database, "UPDATE user SET password = 'something else'"
        ),
        pytest.raises(FailedError, match="does not match"),
    ):
        users.set_password(
            writable,
            get_user(writable),
            password_hash(),
            proves=lambda stored: passwords.matches(PASSWORD, stored),
        )


def test_the_password_of_a_user_who_has_gone_is_not_found(
    writable: Store, database: Database
) -> None:
    user = get_user(writable)
    database.rows("DELETE FROM user")
    with pytest.raises(NotFoundError, match="just been deleted"):
        users.set_password(writable, user, password_hash(), proves=lambda _: True)


@pytest.mark.parametrize("password", ["", "langflow", "a\nb", "a\0b", "\x7f", "\udcff", "\x85"])
def test_a_password_that_nobody_should_have_is_refused(password: str) -> None:
    assert password_rules.refusal(password) is not None


@pytest.mark.parametrize("password", ["Langflow", " ", "pässwörd", "langflow ", "x" * 100, "\xa0"])
def test_any_other_password_is_accepted(password: str) -> None:
    assert password_rules.refusal(password) is None


def test_a_password_that_is_made_up_is_one_that_counts_whole() -> None:
    found = {password_rules.generate_password() for _ in range(20)}
    assert len(found) == 20
    for password in found:
        assert password_rules.refusal(password) is None
        assert 24 <= len(password) <= password_rules.COUNTED_BYTES


@given(st.text(max_size=100))
def test_a_password_that_is_not_refused_has_a_hash(password: str) -> None:
    if password_rules.refusal(password) is None:
        assert passwords.matches(password, passwords.hash_password(password, rounds=4))


# Undoing


def test_a_new_user_is_taken_back_without_a_trace(writable: Store, database: Database) -> None:
    before = database.rows("SELECT * FROM user")
    user = ordinary()
    users.create(writable, NAMED, user)
    users.undo_undelivered(writable, user, None)
    assert database.rows("SELECT * FROM user") == before


@pytest.mark.parametrize("change", ["key", "variable", "password"])
def test_a_new_user_who_has_something_already_is_not_taken_back(
    writable: Store, database: Database, change: str
) -> None:
    user = ordinary()
    users.create(writable, NAMED, user)
    if change == "key":
        database.add_key(user.id)
    elif change == "variable":
        database.add_variable(user.id, "NAME", "value", "Generic")
    else:
        database.rows("UPDATE user SET password = 'x' WHERE id = ?", (user.id,))
    with pytest.raises(ConflictError, match="in the meantime"):
        users.undo_undelivered(writable, user, None)
    assert writable.find_user(user.id) is not None


def test_a_new_password_is_taken_back_to_the_old_one(writable: Store, database: Database) -> None:
    before = row(database, SUPERUSER)
    old, new = users.set_password(writable, get_user(writable), "other", proves=lambda _: True)
    users.undo_undelivered(writable, new, old)
    assert row(database, SUPERUSER) == before
    with pytest.raises(ConflictError):
        users.undo_undelivered(writable, new, old)


# The setting LANGFLOW_SUPERUSER_PASSWORD is stale after a password change


def stale(store: Store, name: str, password: str = PASSWORD, **environ: str) -> str | None:
    return users.stale_setting(Settings(environ=environ), store, get_user(store, name), password)


def test_the_stale_setting_is_named_with_its_source(store: Store, tmp_path: Any) -> None:
    environ = {"LANGFLOW_SUPERUSER": SUPERUSER, "LANGFLOW_SUPERUSER_PASSWORD": WRONG_PASSWORD}
    said = stale(store, SUPERUSER, **environ)
    assert said is not None
    assert said.startswith("LANGFLOW_SUPERUSER_PASSWORD (environment) is out of date")
    assert "leaves the new password as it is" in said
    assert WRONG_PASSWORD not in said

    path = tmp_path / "password"
    path.write_text(WRONG_PASSWORD)
    said = stale(
        store,
        SUPERUSER,
        LANGFLOW_SUPERUSER=SUPERUSER,
        LANGFLOW_SUPERUSER_PASSWORD_FILE=str(path),
    )
    assert said is not None
    assert str(path) in said


def test_nothing_is_stale_where_nothing_is_set_or_the_same_or_for_somebody_else(
    store: Store, database: Database
) -> None:
    database.add_user("alice")
    name, password = "LANGFLOW_SUPERUSER", "LANGFLOW_SUPERUSER_PASSWORD"
    assert stale(store, SUPERUSER, **{name: SUPERUSER}) is None
    assert stale(store, SUPERUSER, PASSWORD, **{name: SUPERUSER, password: PASSWORD}) is None
    assert stale(store, "alice", **{name: SUPERUSER, password: WRONG_PASSWORD}) is None


@pytest.mark.parametrize(
    ("release", "words"),
    [("1.8", "creates it again"), ("1.13", "restores the old password at its next start")],
)
def test_what_a_server_does_to_the_default_superuser_is_said(
    site_of: Callable[[str], Site], release: str, words: str
) -> None:
    database = site_of(release).database
    with opened(database) as store:
        setting = {"LANGFLOW_SUPERUSER_PASSWORD": WRONG_PASSWORD}
        logged_in = stale(store, "langflow", **setting)
        database.rows("UPDATE user SET last_login_at = NULL")
        never = stale(store, "langflow", **setting)
        auto_login = stale(store, "langflow", LANGFLOW_AUTO_LOGIN="true", **setting)
    assert never is not None
    assert words in never
    for other in (logged_in, auto_login):
        assert other is not None
        assert "leaves the new password as it is" in other


# Listing


def test_users_come_in_the_order_of_their_creation_with_what_they_have(
    database: Database, superuser: str, store: Store
) -> None:
    ids = [superuser, *(database.add_user(f"user {number}") for number in range(3))]
    for _ in range(2):
        database.add_key(ids[1])
    database.add_key("f" * 32)
    for name in ("A", "B", "A"):
        database.add_variable(ids[2], name, "value", "Generic")
    found = list(store.users())
    assert [summary.user.id for summary in found] == ids
    assert [(summary.api_keys, summary.variables) for summary in found] == [
        (0, 0),
        (2, 0),
        (0, 3),
        (0, 0),
    ]
    assert users.get_summary(store, ids[2]) == found[2]
    assert [s.user.id for s in store.users(limit=2, offset=1)] == ids[1:3]
    assert list(store.users(limit=0)) == list(store.users(offset=4)) == []
    with pytest.raises(NotFoundError):
        users.get_summary(store, "f" * 32)


def test_users_are_read_in_pages_that_miss_none(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langkeys.store.sqlite.users.PAGE_ROWS", 3)
    names = [SUPERUSER, *(f"user {number}" for number in range(10))]
    for name in names[1:]:
        database.add_key(database.add_user(name))
    assert [summary.user.username for summary in store.users()] == names
    assert [summary.api_keys for summary in store.users()] == [0] + [1] * 10
    assert [s.user.username for s in store.users(limit=7, offset=2)] == names[2:9]
