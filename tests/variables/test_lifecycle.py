from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from langkeys.errors import (
    ConflictError,
    FailedError,
    NotFoundError,
    SecretKeyError,
    StoreError,
    UsageError,
)
from langkeys.store.protocol import Store
from langkeys.variables import lifecycle as variables

from ..conftest import SUPERUSER
from ..support import variable_rows
from ..support.databases import SHAPES, Database, ahead
from ..support.samples import CREDENTIAL
from ..support.sites import Site
from ..support.stores import no_cipher, opened
from ..support.user_rows import undo_before_read_back
from ..support.variable_rows import NAME, get_row, owner, set_variables, update


@pytest.fixture
def writer(database: Database) -> Iterator[Store]:
    with opened(database, writable=True) as store:
        yield store


# A new variable


def test_a_new_variable_is_an_encrypted_credential_that_applies_to_nothing(
    writer: Store, database: Database, superuser: str
) -> None:
    (outcome,) = set_variables(writer, update(writer))
    assert (outcome.action, outcome.name, outcome.owner.username) == ("added", NAME, SUPERUSER)
    row = get_row(database, NAME)
    assert row.value.startswith("gAAAAA")
    assert row.plaintext == CREDENTIAL
    assert (row.type, row.user_id, row.default_fields) == ("Credential", superuser, "[]")


@pytest.mark.parametrize("release", SHAPES)
@pytest.mark.parametrize("kind", ["Credential", "Generic"])
def test_every_generation_gets_the_value_as_its_servers_read_it(
    site_of: Callable[[str], Site], release: str, kind: str
) -> None:
    site = site_of(release)
    with opened(site.database, writable=True) as store:
        set_variables(store, update(store, type_=kind))
    row = get_row(site.database, NAME)
    # 1.5 to 1.7 encrypt every variable.
    is_encrypted = kind == "Credential" or release in ("1.5", "1.6", "1.7")
    assert row.value.startswith("gAAAAA") is is_encrypted
    assert row.plaintext == CREDENTIAL
    assert row.managed == (0 if release in ("1.12.8", "1.13") else None)


@pytest.mark.parametrize("release", SHAPES)
def test_a_fresh_row_has_changed_since_its_creation_already(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    with opened(site.database, writable=True) as store:
        set_variables(store, update(store))
    row = get_row(site.database, NAME)
    assert row.created_at is not None
    assert row.updated_at is not None
    assert row.updated_at > row.created_at


# An existing variable


def test_a_row_that_is_there_keeps_its_id_and_its_time_of_creation(
    writer: Store, database: Database, superuser: str
) -> None:
    row_id = variable_rows.add(database, superuser, NAME, "old", fields='["Password"]')
    (outcome,) = set_variables(writer, update(writer))
    assert outcome.action == "changed"
    row = get_row(database, NAME)
    assert (row.id, row.created_at) == (row_id, "2026-01-01 00:00:00.000000")
    assert row.plaintext == CREDENTIAL
    assert variable_rows.fields_of(row) == ["Password"]


@pytest.mark.parametrize(
    ("created_at", "updated_at"),
    [
        ("2026-01-01 00:00:00.000000", None),
        ("2026-01-01 00:00:00.000000", "2026-01-01 00:00:00.000000"),
        ("2026-01-01 00:00:00", None),  # SQLite's CURRENT_TIMESTAMP
        (None, None),
        (ahead(days=400), ahead(days=400)),  # written with a wrong clock
    ],
)
def test_whatever_the_times_are_an_update_is_later_than_the_creation(
    writer: Store, database: Database, superuser: str, created_at: str, updated_at: str
) -> None:
    variable_rows.add(
        database, superuser, NAME, "x", created_at=created_at, updated_at=updated_at, managed=True
    )
    set_variables(writer, update(writer))
    row = get_row(database, NAME)
    assert row.created_at is not None
    assert row.updated_at is not None
    assert row.updated_at > row.created_at
    assert row.managed == 0


def test_the_type_stays_unless_another_one_is_wished_for(
    writer: Store, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, NAME, "old", "Generic")
    set_variables(writer, update(writer))
    assert (get_row(database, NAME).type, get_row(database, NAME).value) == ("Generic", CREDENTIAL)
    set_variables(writer, update(writer, type_="Credential"))
    assert get_row(database, NAME).type == "Credential"
    assert get_row(database, NAME).value.startswith("gAAAAA")
    set_variables(writer, update(writer, type_="Generic"))
    assert (get_row(database, NAME).type, get_row(database, NAME).value) == ("Generic", CREDENTIAL)


def test_a_row_without_a_type_becomes_a_credential(
    writer: Store, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, NAME, "old", None, is_encrypted=False)
    set_variables(writer, update(writer))
    assert get_row(database, NAME).type == "Credential"
    assert get_row(database, NAME).plaintext == CREDENTIAL


def test_all_rows_of_one_name_are_updated_whichever_a_server_reads(
    writer: Store, database: Database, superuser: str
) -> None:
    # The rows that servers create, as observed on 1.13.0.
    variable_rows.add(database, superuser, "FLOW_ID", "", "Generic", managed=False)
    variable_rows.add(database, superuser, "FLOW_ID", "", "Credential", managed=False)
    (outcome,) = set_variables(writer, update(writer, name="FLOW_ID"))
    assert (outcome.action, len(outcome.rows)) == ("changed", 2)
    generic, credential = variable_rows.rows(database, "FLOW_ID")
    assert (generic.type, generic.value) == ("Generic", CREDENTIAL)
    assert (credential.type, credential.plaintext) == ("Credential", CREDENTIAL)


def test_the_variable_of_another_user_stays_as_it_is(
    writer: Store, database: Database, superuser: str
) -> None:
    alice = database.add_user("alice")
    variable_rows.add(database, alice, NAME, "hers")
    set_variables(writer, update(writer))
    hers, own = variable_rows.rows(database, NAME)
    assert (hers.user_id, hers.plaintext) == (alice, "hers")
    assert (own.user_id, own.plaintext) == (superuser, CREDENTIAL)
    set_variables(writer, update(writer, "new"), user="alice")
    assert [row.plaintext for row in variable_rows.rows(database, NAME)] == ["new", CREDENTIAL]


# Refusals


@pytest.mark.parametrize("name", ["", " ", "\t", "a\nb", "x" * 256, f"{NAME}={CREDENTIAL}"])
def test_a_name_that_no_list_could_show_is_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        update(store, name=name)
    assert CREDENTIAL not in caught.value.message


def test_an_empty_value_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="empty"):
        update(store, "")


def test_a_value_of_bytes_that_are_no_text_is_refused(store: Store) -> None:
    # Python decodes such bytes of the environment to lone surrogates.
    with pytest.raises(UsageError, match="UTF-8"):
        update(store, b"\xff".decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("release", ["1.6", "1.13"])
def test_a_generic_value_that_looks_encrypted_is_refused_and_nothing_is_written(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    value = "gAAAAAsomething"
    with opened(site.database, writable=True) as store:
        with pytest.raises(UsageError, match="gAAAAA"):
            set_variables(store, update(store, value, type_="Generic"))
        set_variables(store, update(store, "plain", type_="Generic"))
        before = variable_rows.rows(site.database)
        with pytest.raises(UsageError, match="gAAAAA"):
            set_variables(store, update(store, "other", "OTHER"), update(store, value))
        assert variable_rows.rows(site.database) == before
        set_variables(store, update(store, value, type_="Credential"))
    assert get_row(site.database, NAME).plaintext == value


@pytest.mark.parametrize("field", ["", "  ", "a\nb", "\x1b[31m"])
def test_a_field_that_no_page_could_show_is_refused(store: Store, field: str) -> None:
    with pytest.raises(UsageError):
        update(store, default_fields=["Password", field])


def test_a_field_that_is_named_twice_counts_once(store: Store) -> None:
    assert update(store, default_fields=["b", "a", "b"]).default_fields == ("b", "a")


def test_a_generic_value_needs_no_secret_key(store: Store) -> None:
    made = variables.new_update(store.generation, no_cipher, NAME, "x", type_="Generic")
    assert made.plaintext == "x"


def test_no_value_shows_in_a_repr(writer: Store) -> None:
    made = update(writer)
    (outcome,) = set_variables(writer, made, update(writer, "also-secret", "G", type_="Generic"))[
        :1
    ]
    shown = f"{made!r}{outcome!r}{list(writer.variables())!r}"
    for secret in (CREDENTIAL, "also-secret", "gAAAAA"):
        assert secret not in shown


# Several variables


def test_policies_keep_overwrite_or_refuse(
    writer: Store, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, NAME, "old")
    updates = [update(writer, "new"), update(writer, "other", "OTHER")]
    only = variables.one_owner(owner(writer))
    before = variable_rows.rows(database)
    with pytest.raises(ConflictError, match=NAME):
        variables.set_all(writer, only, updates, "fail")
    assert variable_rows.rows(database) == before
    outcomes = variables.set_all(writer, only, updates, "keep")
    assert [(o.name, o.action) for o in outcomes] == [(NAME, "kept"), ("OTHER", "added")]
    assert get_row(database, NAME) == before[0]
    outcomes = variables.set_all(writer, only, updates, "overwrite")
    assert [o.action for o in outcomes] == ["changed", "changed"]
    assert get_row(database, NAME).plaintext == "new"


def test_everybody_gets_a_row_of_their_own(
    writer: Store, database: Database, superuser: str
) -> None:
    alice, bob = database.add_user("alice"), database.add_user("bob", is_active=False)
    variable_rows.add(database, alice, NAME, "hers")
    outcomes = variables.set_all(writer, variables.all_owners, [update(writer)], "keep")
    assert [(o.owner.username, o.action) for o in outcomes] == [
        (SUPERUSER, "added"),
        ("alice", "kept"),
        ("bob", "added"),
    ]
    assert {row.user_id: row.plaintext for row in variable_rows.rows(database, NAME)} == {
        superuser: CREDENTIAL,
        alice: "hers",
        bob: CREDENTIAL,
    }


def test_a_plan_writes_nothing_and_is_what_is_done(
    writer: Store, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, "OTHER", "old")
    digest = database.digest()
    updates = [update(writer), update(writer, "x", "OTHER")]
    plan = variables.plan_all(writer, variables.all_owners, updates, "overwrite")
    assert database.digest() == digest
    done = variables.set_all(writer, variables.all_owners, updates)
    assert [(o.name, o.action) for o in plan] == [(o.name, o.action) for o in done]


def test_all_are_written_or_none(writer: Store, database: Database) -> None:
    database.rows(
        "CREATE TRIGGER refuse BEFORE INSERT ON variable WHEN new.name = 'OTHER'"
        " BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises((ConflictError, StoreError)):
        set_variables(writer, update(writer), update(writer, "x", "OTHER"))
    assert variable_rows.rows(database) == []


def test_a_secret_key_that_was_rotated_meanwhile_writes_nothing(
    writer: Store, database: Database
) -> None:
    def check() -> None:
        # The lock is held: nobody can rotate the secret key between this check and the commit.
        with (
            pytest.raises(StoreError),
            opened(database, writable=True, busy_timeout=0) as other,
            other.transaction(),
        ):
            pass
        raise SecretKeyError("rotated")

    writer.before_encrypted = check
    with pytest.raises(SecretKeyError):
        variables.set_all(writer, variables.all_owners, [update(writer)])
    assert variable_rows.rows(database) == []


def test_a_user_who_is_gone_by_then_gets_nothing(writer: Store, database: Database) -> None:
    database.add_user("alice")
    alice = owner(writer, "alice")
    database.rows("DELETE FROM user WHERE username = 'alice'")
    with pytest.raises(NotFoundError, match="alice"):
        variables.set_all(writer, variables.one_owner(alice), [update(writer)])
    assert variable_rows.rows(database) == []


def test_what_does_not_read_back_is_an_error(
    writer: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = "UPDATE variable SET value = 'other'"
    with (
        undo_before_read_back(writer, monkeypatch, database, changed),
        pytest.raises(FailedError, match="as written"),
    ):
        set_variables(writer, update(writer))


def test_what_another_program_has_set_since_is_no_error(
    writer: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = "UPDATE variable SET value = 'other', updated_at = '2099-01-01 00:00:00.000000'"
    with undo_before_read_back(writer, monkeypatch, database, later):
        set_variables(writer, update(writer))
