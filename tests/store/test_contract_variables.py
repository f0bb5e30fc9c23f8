"""The contract of all engines for variables and users."""

from __future__ import annotations

from datetime import timedelta

import pytest

from langkeys.errors import ConflictError
from langkeys.models import CREDENTIAL, GENERIC, Variable
from langkeys.store.protocol import Change, Store

from .conftest import NOW, OWNER, add_keys, api_key, record_changes, user

DAY = timedelta(days=1)
TOKEN = Variable(
    "c" * 32, "TOKEN", OWNER, "gAAAAAtoken", CREDENTIAL, ("token",), NOW, NOW + DAY, False,
    "administrator",
)  # fmt: skip


def inserted(store: Store, *variables: Variable) -> None:
    with store.transaction():
        store.insert_variables(variables)


def test_a_variable_reads_back_as_it_was_written(writer: Store, reader: Store) -> None:
    plain = Variable(
        "d" * 32, "tabs\tünd 🚀", OWNER, "", GENERIC, None, NOW, None, None, "administrator"
    )
    inserted(writer, TOKEN, plain)
    assert list(reader.variables()) == [TOKEN, plain]
    assert list(reader.variables(OWNER)) == [TOKEN, plain]
    assert list(reader.variables("e" * 32)) == []


def test_more_variables_than_a_page_are_listed_once_in_order(writer: Store, reader: Store) -> None:
    made = [
        TOKEN._replace(id=f"{n:032x}", name=f"V{n}", created_at=NOW + n * DAY / 1000)
        for n in range(1201)
    ]
    inserted(writer, *made)
    assert [variable.id for variable in reader.variables(OWNER)] == [row.id for row in made]


def test_variables_are_found_by_name_oldest_first(writer: Store, reader: Store) -> None:
    with writer.transaction():
        writer.insert_user(user("alice", "b" * 32))
    second = TOKEN._replace(id="1" * 32, created_at=NOW + DAY)
    hers = TOKEN._replace(id="2" * 32, user_id="b" * 32, username="alice", created_at=NOW + 2 * DAY)
    other = TOKEN._replace(id="3" * 32, name="token")
    inserted(writer, TOKEN, second, hers, other)
    assert reader.variables_named(["TOKEN", "NOBODY'S"], OWNER) == [TOKEN, second]
    assert reader.variables_named(["TOKEN"]) == [TOKEN, second, hers]
    assert reader.variables_named(["token"], OWNER) == [other]
    assert reader.variables_named([]) == []


def test_a_variable_is_replaced_by_id(writer: Store, reader: Store) -> None:
    inserted(writer, TOKEN)
    changes = record_changes(writer)
    new = TOKEN._replace(
        stored="plain", type=GENERIC, default_fields=None, updated_at=NOW, name="OTHER"
    )
    with writer.transaction():
        assert writer.update_variables([new, TOKEN._replace(id="0" * 32)]) == 1
    assert list(reader.variables()) == [new]
    assert (changes[0].action, changes[0].kind, changes[0].id) == ("update", "variable", TOKEN.id)


def test_variables_are_deleted_by_id_and_counted(writer: Store, reader: Store) -> None:
    other = TOKEN._replace(id="1" * 32, name="OTHER")
    inserted(writer, TOKEN, other)
    changes = record_changes(writer)
    with writer.transaction():
        assert writer.delete_variables([TOKEN.id, "0" * 32]) == 1
    assert list(reader.variables()) == [other]
    assert [(change.action, change.name) for change in changes] == [("delete", "TOKEN")]


def test_credentials_stored_as_plaintext_are_counted(writer: Store, reader: Store) -> None:
    assert reader.plaintext_credentials() == 0
    inserted(
        writer,
        TOKEN,
        TOKEN._replace(id="1" * 32, stored="sk-plain"),
        TOKEN._replace(id="2" * 32, stored=""),
        TOKEN._replace(id="3" * 32, stored="plain", type=GENERIC),
    )
    assert reader.plaintext_credentials() == 1


# Users


def test_a_user_is_updated_and_the_change_reported(writer: Store, reader: Store) -> None:
    changes = record_changes(writer)
    new = user()._replace(password_hash="$2b$04$other", is_superuser=False, updated_at=NOW + DAY)
    with writer.transaction():
        writer.update_user(new)
    assert reader.find_user(OWNER) == new
    (change,) = changes
    assert (change.action, change.kind, change.name) == ("update", "user", "administrator")
    assert change.details["changed"] == ["password_hash", "is_superuser"]
    assert "$2b$" not in repr(change)


def test_a_user_who_owns_nothing_can_be_deleted(writer: Store, reader: Store) -> None:
    with writer.transaction():
        writer.insert_user(user("alice", "b" * 32))
    changes = record_changes(writer)
    with writer.transaction():
        writer.delete_user("b" * 32)
    assert reader.find_user("b" * 32) is None
    assert [(change.action, change.name) for change in changes] == [("delete", "alice")]


def test_users_come_in_order_with_their_counts(writer: Store, reader: Store) -> None:
    names = ["Zoë", "alice", "Alice Cooper"]
    with writer.transaction():
        for number, name in enumerate(names):
            made = user(name, f"{9 - number}" * 32)
            writer.insert_user(made._replace(created_at=NOW + (number + 1) * DAY))
    add_keys(writer, api_key("one"), api_key("two"), api_key(user_id="9" * 32))
    inserted(writer, TOKEN)
    found = list(reader.users())
    assert [row.user.username for row in found] == ["administrator", *names]
    assert [(row.api_keys, row.variables) for row in found] == [(2, 1), (1, 0), (0, 0), (0, 0)]
    assert [row.user.username for row in reader.users(limit=2, offset=1)] == names[:2]
    assert [row.user.username for row in reader.users(user_id="8" * 32)] == ["alice"]
    assert list(reader.users(user_id="0" * 32)) == []


def test_user_names_that_differ_only_in_case_are_found(writer: Store, reader: Store) -> None:
    with writer.transaction():
        writer.insert_user(user("Émile", "b" * 32))
    assert reader.usernames_like("éMILE") == ["Émile"]
    assert reader.usernames_like("ADMINISTRATOR") == ["administrator"]
    assert reader.usernames_like("emile") == []


def test_two_user_names_that_differ_only_in_ascii_case_are_a_conflict(writer: Store) -> None:
    with pytest.raises(ConflictError), writer.transaction():
        writer.insert_user(user("Administrator", "b" * 32))


def test_another_superuser_counts_only_while_active(writer: Store, reader: Store) -> None:
    assert not reader.has_other_superuser(OWNER)
    assert reader.has_other_superuser("0" * 32)
    alice = user("alice", "b" * 32)._replace(is_active=False)
    with writer.transaction():
        writer.insert_user(alice)
    assert not reader.has_other_superuser(OWNER)
    with writer.transaction():
        writer.update_user(alice._replace(is_active=True))
    assert reader.has_other_superuser(OWNER)


def test_a_noted_change_is_reported_with_the_commit(writer: Store) -> None:
    changes = record_changes(writer)
    with writer.transaction():
        writer.note(Change("rotate", "secret_key", "1234", None))
        assert changes == []
    assert [change.action for change in changes] == ["rotate"]
