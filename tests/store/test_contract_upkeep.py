"""The contract of all engines, except for rows: messages, cleaning, stubs, detected changes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from langkeys.models import GENERIC, Variable
from langkeys.store.protocol import Change, KeyFilter, Store

from .conftest import NOW, OWNER, Engine, add_keys, api_key

ALL = KeyFilter(now=NOW)


def test_an_intact_store_has_no_messages(engine: Engine) -> None:
    messages: list[str] = []
    with engine.opened(writable=True) as store:
        store.listen(note=messages.append, warn=messages.append)
        key = add_keys(store, api_key())[0]
        with store.transaction():
            store.delete_api_keys([key.id])
    assert messages == []


def test_cleaning_free_pages_changes_no_rows(writer: Store, reader: Store) -> None:
    warnings: list[str] = []
    writer.listen(note=lambda _: None, warn=warnings.append)
    keys = add_keys(writer, *(api_key(f"key {number}") for number in range(20)))
    with writer.transaction():
        writer.delete_api_keys([key.id for key in keys[::2]])
    writer.clean_free_pages(["/tmp"])
    assert warnings == []
    assert [key.id for key in reader.api_keys(ALL)] == [key.id for key in keys[1::2]]
    assert add_keys(writer, api_key())


def test_an_intact_store_has_no_unreadable_rows(writer: Store) -> None:
    add_keys(writer, api_key())
    assert list(writer.unreadable_rows()) == []


def test_stubs_of_keys_identify_rows_and_delete_them(writer: Store, reader: Store) -> None:
    first, second = add_keys(writer, api_key("ci"), api_key("ci", hashed="other"))
    assert [stub.id for stub in reader.api_key_stubs(name="ci")] == [first.id, second.id]
    for found in (
        reader.api_key_stubs(key_id=second.id),
        reader.api_key_stubs(key_hash="other"),
        reader.api_key_stubs(stored=second.stored),
    ):
        (stub,) = found
        assert (stub.table, stub.id, stub.name) == ("apikey", second.id, "ci")
        assert (stub.user_id, stub.problem) == (OWNER, None)
    assert reader.api_key_stubs(name="nobody's") == []
    changes: list[Change] = []

    @contextmanager
    def commit_context(noted: Iterable[Change]) -> Iterator[None]:
        changes.extend(noted)
        yield

    writer.commit_context = commit_context
    with writer.transaction():
        assert writer.delete_stubs([stub]) == 1
        assert writer.delete_stubs([stub]) == 0
    assert [key.id for key in reader.api_keys(ALL)] == [first.id]
    assert [(change.action, change.id) for change in changes] == [("delete", second.id)]


def test_stubs_of_variables_identify_rows_and_delete_them(writer: Store, reader: Store) -> None:
    token = Variable("c" * 32, "TOKEN", OWNER, "x", GENERIC, None, NOW, NOW)
    with writer.transaction():
        writer.insert_variables([token])
    (stub,) = reader.variable_stubs(OWNER, name="TOKEN")
    assert reader.variable_stubs(OWNER, variable_id=token.id) == [stub]
    assert (stub.table, stub.id, stub.name) == ("variable", token.id, "TOKEN")
    assert reader.variable_stubs("d" * 32, name="TOKEN") == []
    with writer.transaction():
        assert writer.delete_stubs([stub]) == 1
    assert list(reader.variables()) == []


def test_writing_to_a_store_does_not_replace_it(writer: Store, reader: Store) -> None:
    add_keys(writer, api_key())
    for store in (writer, reader):
        assert not store.is_replaced()
        assert not store.is_snapshot


def test_a_transaction_with_an_id_is_committed_or_aborted(writer: Store, reader: Store) -> None:
    def failing() -> str | None:
        with contextlib.suppress(ZeroDivisionError), writer.transaction():
            number = writer.transaction_id()
            assert number is None or reader.transaction_status(number) == "in progress"
            raise ZeroDivisionError
        return number

    aborted = failing()
    with writer.transaction():
        committed = writer.transaction_id()
    if aborted is not None and committed is not None:
        assert reader.transaction_status(aborted) == "aborted"
        assert reader.transaction_status(committed) == "committed"
        assert reader.transaction_status("9" * 18) is None  # from another server
    else:
        assert (aborted, committed) == (None, None)
        assert reader.transaction_status("1") is None


def test_a_server_in_order_has_observations_without_problems(engine: Engine, writer: Store) -> None:
    observed = writer.observations()
    assert bool(observed) == engine.enforces_owners
    assert all(level in ("ok", "note") for level, _, _ in observed)


def test_an_intact_store_has_no_schema_problems(writer: Store) -> None:
    assert list(writer.schema_problems) == []
