from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

import pytest

from langkeys.errors import (
    AmbiguousError,
    NotFoundError,
    StoreError,
)
from langkeys.models import Variable
from langkeys.store.protocol import Store
from langkeys.variables import deletion
from langkeys.variables import lifecycle as variables

from ..support import variable_rows
from ..support.databases import Database, ahead
from ..support.samples import CREDENTIAL
from ..support.sites import Site
from ..support.stores import cipher, opened
from ..support.variable_rows import NAME, owner, set_variables, update


@pytest.fixture
def writer(database: Database) -> Iterator[Store]:
    with opened(database, writable=True) as store:
        yield store


# Finding, decrypting, deleting


def test_a_variable_is_named_by_its_name_or_its_id(
    store: Store, database: Database, superuser: str
) -> None:
    row_id = variable_rows.add(database, superuser, NAME, "x")
    variable_rows.add(database, database.add_user("alice"), "HERS", "x")
    found = variables.get_variable(store, owner(store), NAME)
    assert found.id == row_id
    dashed = f"{row_id[:8]}-{row_id[8:12]}-{row_id[12:16]}-{row_id[16:20]}-{row_id[20:]}"
    for name in (row_id, dashed, dashed.upper()):
        assert variables.get_variable(store, owner(store), name) == found
    for name in ("HERS", NAME.lower(), "0" * 32, ""):
        with pytest.raises(NotFoundError):
            variables.get_variable(store, owner(store), name)


def test_a_name_that_a_server_gave_twice_is_ambiguous_and_its_ids_are_not(
    store: Store, database: Database, superuser: str
) -> None:
    ids = [variable_rows.add(database, superuser, "FLOW_ID", "") for _ in range(2)]
    with pytest.raises(AmbiguousError) as caught:
        variables.get_variable(store, owner(store), "FLOW_ID")
    assert [line.split()[0].replace("-", "") for line in caught.value.candidates] == ids
    assert [variables.get_variable(store, owner(store), row_id).id for row_id in ids] == ids


def test_a_server_reads_the_row_that_was_created_first(
    store: Store, database: Database, superuser: str
) -> None:
    first = [variable_rows.add(database, superuser, name, "1") for name in ("A", "B")]
    for name in ("B", "A"):
        variable_rows.add(database, superuser, name, "2")
    read = variables.read_by_servers(store.variables(superuser))
    assert [row.id for row in read] == first


def test_variables_are_deleted_all_or_none(
    writer: Store, database: Database, superuser: str
) -> None:
    for name in ("A", "B", "C"):
        variable_rows.add(database, superuser, name, "x")
    a, b, c = writer.variables()
    database.rows("DELETE FROM variable WHERE name = 'B'")
    with pytest.raises(NotFoundError):
        deletion.delete(writer, [a, b])
    assert [row.name for row in variable_rows.rows(database)] == ["A", "C"]
    deletion.delete(writer, [a, c])
    assert variable_rows.rows(database) == []


def value_shown(store: Store, variable: Variable) -> str | None:
    return variables.shown_value(variable, store.generation, variables.find_value(variable, cipher))


@pytest.mark.parametrize("release", ["1.6", "1.8", "1.13"])
def test_only_a_generic_value_shows(site_of: Callable[[str], Site], release: str) -> None:
    site = site_of(release)
    user_id = site.database.rows("SELECT id FROM user")[0][0]
    variable_rows.add(site.database, user_id, "C", CREDENTIAL)
    variable_rows.add(site.database, user_id, "C2", CREDENTIAL, is_encrypted=False)
    variable_rows.add(site.database, user_id, "T", CREDENTIAL, None)
    variable_rows.add(site.database, user_id, "G", "plain", "Generic")
    with opened(site.database) as store:
        shown = {row.name: value_shown(store, row) for row in store.variables()}
    assert shown == {"C": None, "C2": None, "T": None, "G": "plain"}


def test_a_credential_relabelled_as_generic_does_not_show(
    store: Store, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, "G", CREDENTIAL, "Generic", is_encrypted=True)
    (row,) = store.variables()
    assert variables.find_value(row, cipher) == CREDENTIAL
    assert value_shown(store, row) is None


# Selecting from a file

VALUES: Mapping[str, str] = {"A": "1", "B": "2", "C": "", "OPENAI_API_KEY": "3"}


def test_without_names_what_servers_import_is_chosen_if_it_has_a_value() -> None:
    imported = ["OPENAI_API_KEY", "C", "MISSING"]
    assert variables.values_to_import(VALUES, None, imported, "f") == {"OPENAI_API_KEY": "3"}


def test_names_choose_whatever_they_are_and_each_must_be_there() -> None:
    assert variables.values_to_import(VALUES, ["B", "A", "B"], [], "f") == {"B": "2", "A": "1"}
    for name in ("C", "MISSING", "a"):
        with pytest.raises(NotFoundError, match=name):
            variables.values_to_import(VALUES, ["A", name], [], "f")


# The store


def test_a_store_of_many_pages_yields_each_variable_once(
    writer: Store, database: Database, superuser: str
) -> None:
    alice = database.add_user("alice")
    updates = [update(writer, "x", f"N{number}", type_="Generic") for number in range(1203)]
    set_variables(writer, *updates)
    set_variables(writer, updates[0], user="alice")
    assert [row.name for row in writer.variables(superuser)] == [w.name for w in updates]
    assert [row.username for row in writer.variables(alice)] == ["alice"]
    assert len(list(writer.variables())) == 1204
    assert len(writer.variables_named([w.name for w in updates], superuser)) == 1203


def test_default_fields_that_are_no_list_of_names_do_no_harm(
    store: Store, database: Database, superuser: str
) -> None:
    for fields in (None, "null", "{}", '"x"', "[1]"):
        variable_rows.add(database, superuser, NAME, "x", fields=fields)
    assert [row.default_fields for row in store.variables()] == [None, None, None, None, ("1",)]
    row_id = variable_rows.add(database, superuser, "BROKEN", "x", fields="[")
    with pytest.raises(StoreError, match=f"{row_id}.*default_fields"):
        store.variables_named(["BROKEN"], superuser)


@pytest.mark.parametrize("column", ["name", "value"])
def test_bytes_where_text_should_be_are_a_warning_that_names_the_row(
    store: Store, database: Database, superuser: str, column: str
) -> None:
    warnings: list[str] = []
    store.listen(note=pytest.fail, warn=warnings.append)
    row_id = variable_rows.add(database, superuser, NAME, "x")
    database.rows(f"UPDATE variable SET {column} = ?", (b"\xff\xfe",))
    variable_rows.add(database, superuser, "OTHER", "x")
    assert [row.name for row in store.variables()] == ["OTHER"]
    assert len(warnings) == 1
    assert row_id in warnings[0]
    assert column in warnings[0]


def test_a_change_is_never_dated_before_the_one_before(
    writer: Store, database: Database, superuser: str
) -> None:
    later = ahead(days=1)
    variable_rows.add(database, superuser, NAME, "x", created_at=later)
    (outcome,) = set_variables(writer, update(writer))
    assert outcome.rows[0].updated_at == later + timedelta(microseconds=1)
