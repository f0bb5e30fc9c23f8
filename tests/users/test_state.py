"""Activating, deactivating, promoting and demoting: what is allowed, and what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from langkeys import users
from langkeys.config.settings import Settings
from langkeys.errors import ConflictError, FailedError
from langkeys.store.protocol import Store

from ..conftest import SUPERUSER
from ..support import databases
from ..support.databases import Database
from ..support.sites import Site
from ..support.stores import opened
from ..support.user_rows import NAMED, OTHER_NAMED, get_user, row, undo_before_read_back


@pytest.fixture
def writable(database: Database) -> Iterator[Store]:
    """The store of the site's database, open for writing."""
    with opened(database, writable=True) as found:
        yield found


@pytest.fixture
def second(database: Database) -> str:
    """A second active superuser."""
    return database.add_user("second")


CHANGES: dict[str, dict[str, bool]] = {
    "deactivate": {"is_active": False},
    "demote": {"is_superuser": False},
}


def change(
    store: Store,
    name: str,
    wanted: Mapping[str, bool],
    *,
    settings: Settings = OTHER_NAMED,
    by: str = SUPERUSER,
) -> users.StateChange:
    return users.change_state(store, settings, get_user(store, by), get_user(store, name), **wanted)


@pytest.mark.parametrize("verb", CHANGES)
def test_a_superuser_that_is_not_needed_changes_and_changes_back(
    writable: Store, database: Database, second: str, verb: str
) -> None:
    before = row(database, "second")
    wanted = CHANGES[verb]
    (column,) = wanted
    done = change(writable, "second", wanted)
    after = row(database, "second")
    assert after[column] == 0
    assert {name for name in after if after[name] != before[name]} == {column, "updated_at"}
    assert databases.stored(done.new.updated_at) == after["updated_at"] > before["updated_at"]

    change(writable, "second", {column: True})
    assert row(database, "second")[column] == 1


@pytest.mark.parametrize("wanted", [{"is_active": True}, {"is_superuser": True}])
def test_what_is_so_already_is_not_written(
    writable: Store, database: Database, wanted: dict[str, bool]
) -> None:
    before = database.content()
    done = change(writable, SUPERUSER, wanted, settings=NAMED)
    assert done.old == done.new
    assert database.content() == before


@pytest.mark.parametrize("verb", CHANGES)
@pytest.mark.parametrize("name", ["langflow", "Langflow", SUPERUSER])
def test_the_superuser_that_a_setting_names_stays(
    writable: Store, database: Database, second: str, verb: str, name: str
) -> None:
    database.rows("UPDATE user SET username = ? WHERE username = ?", (name, SUPERUSER))
    # The setting has a default, and servers from 1.13 on look the name up regardless of case.
    settings = NAMED if name == SUPERUSER else Settings(environ={})
    before = database.content()
    with pytest.raises(ConflictError, match="LANGFLOW_SUPERUSER names"):
        change(writable, name, CHANGES[verb], by="second", settings=settings)
    assert database.content() == before


def test_one_who_is_called_much_like_the_configured_superuser_may_go(
    site_of: Callable[[str], Site],
) -> None:
    """Before 1.13, user names may differ only in case."""
    database = site_of("1.8").database
    database.add_user(SUPERUSER.upper())
    with opened(database, writable=True) as store:
        change(store, SUPERUSER.upper(), {"is_active": False}, settings=NAMED)
    assert row(database, SUPERUSER.upper())["is_active"] == 0


@pytest.mark.parametrize("verb", CHANGES)
def test_the_user_that_auto_login_logs_in_stays(site_of: Callable[[str], Site], verb: str) -> None:
    """Up to 1.10.0, AUTO_LOGIN logs in ``langflow``, whatever LANGFLOW_SUPERUSER says."""
    environ = {"LANGFLOW_SUPERUSER": SUPERUSER, "LANGFLOW_AUTO_LOGIN": "true"}
    with opened(site_of("1.8").database, writable=True) as store, pytest.raises(ConflictError):
        change(store, "langflow", CHANGES[verb], settings=Settings(environ=environ))


@pytest.mark.parametrize("verb", CHANGES)
@pytest.mark.parametrize("others", ["none", "inactive", "ordinary"])
def test_the_last_active_superuser_stays(
    writable: Store, database: Database, verb: str, others: str
) -> None:
    if others == "inactive":
        database.add_user("other", is_active=False)
    elif others == "ordinary":
        database.add_user("other", is_superuser=False)
    before = database.content()
    with pytest.raises(ConflictError, match="last active superuser"):
        change(writable, SUPERUSER, CHANGES[verb])
    assert database.content() == before


@pytest.mark.parametrize("verb", CHANGES)
def test_nobody_turns_themselves_off(writable: Store, second: str, verb: str) -> None:
    with pytest.raises(ConflictError, match="langkeys acts as"):
        change(writable, "second", CHANGES[verb], by="second")


def test_an_inactive_superuser_may_be_demoted_and_a_demoted_one_deactivated(
    writable: Store, database: Database
) -> None:
    database.add_user("off", is_active=False)
    change(writable, "off", {"is_superuser": False})
    database.add_user("plain", is_superuser=False)
    change(writable, "plain", {"is_active": False})
    assert row(database, "off")["is_superuser"] == row(database, "plain")["is_active"] == 0


def test_the_check_is_made_on_what_is_true_under_the_lock(
    writable: Store, database: Database, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process demotes the first superuser between the check and the write."""
    user, acting = get_user(writable, "second"), get_user(writable)
    transaction = writable.transaction

    @contextmanager
    def late() -> Iterator[None]:
        database.rows("UPDATE user SET is_superuser = 0 WHERE username = ?", (SUPERUSER,))
        with transaction():
            yield

    monkeypatch.setattr(writable, "transaction", late)
    with pytest.raises(ConflictError, match="last active superuser"):
        users.change_state(writable, OTHER_NAMED, acting, user, is_superuser=False)


def test_a_users_keys_are_revoked_with_the_user_and_nobody_elses(
    writable: Store, database: Database, superuser: str, second: str
) -> None:
    theirs = {database.add_key(second).id, database.add_key(second, is_active=False).id}
    kept = database.add_key(superuser).id
    done = change(writable, "second", {"is_active": False, "revoke_keys": True})
    assert {key.id for key in done.revoked} == theirs
    assert database.key_ids() == [kept]


def test_where_a_user_may_not_be_deactivated_no_key_is_revoked(
    writable: Store, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser).id
    with pytest.raises(ConflictError):
        change(writable, SUPERUSER, {"is_active": False, "revoke_keys": True}, settings=NAMED)
    assert database.key_ids() == [key]


def test_a_change_that_does_not_read_back_is_a_failure(
    writable: Store, database: Database, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        undo_before_read_back(writable, monkeypatch, database, "UPDATE user SET is_active = 1"),
        pytest.raises(FailedError, match="was not stored as written"),
    ):
        change(writable, "second", {"is_active": False})


def test_another_flag_that_is_changed_meanwhile_is_no_failure(
    writable: Store, database: Database, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    demoted = f"UPDATE user SET is_superuser = false WHERE id = '{second}'"
    with undo_before_read_back(writable, monkeypatch, database, demoted):
        change(writable, "second", {"is_active": False})
    assert not get_user(writable, "second").is_active
