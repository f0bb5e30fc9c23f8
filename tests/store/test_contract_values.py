"""The contract of all engines for encrypted values, copies and counts."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from langkeys.errors import ConflictError, FailedError, SecretKeyError, StoreError
from langkeys.models import CREDENTIAL, GENERIC, Variable
from langkeys.store.protocol import Cell, KeyFilter, Store

from .conftest import NOW, OWNER, Engine, add_keys, api_key, record_changes, user

ALL = KeyFilter(now=NOW)
TOKEN = Variable("c" * 32, "TOKEN", OWNER, "gAAAAAtoken", CREDENTIAL, None, NOW, NOW)


def add_samples(store: Store) -> None:
    """Add an encrypted and a plaintext key, a Credential, and a text that contains a token."""
    add_keys(store, api_key("encrypted", stored="gAAAAAkey"), api_key("plain", stored="sk-plain"))
    text = json.dumps({"left behind": "gAAAAAchat"})
    with store.transaction():
        store.insert_variables([TOKEN, TOKEN._replace(id="d" * 32, stored=text, type=GENERIC)])


def found(store: Store) -> list[Cell]:
    passed: list[int] = []
    cells = [cell for page in store.cells(passed.append) for cell in page]
    assert passed == sorted(passed)
    return cells


def test_every_encrypted_value_is_found(writer: Store, reader: Store) -> None:
    add_samples(writer)
    values = {(value.table, value.value) for value in reader.encrypted_values()}
    assert values == {("apikey", "gAAAAAkey"), ("variable", "gAAAAAtoken")}
    assert [key.name for key in reader.plaintext_api_keys()] == ["plain"]


def test_more_encrypted_and_plaintext_keys_than_a_page_are_found_once(
    writer: Store, reader: Store
) -> None:
    add_keys(writer, *(api_key(f"key {n}", stored=f"gAAAAA{n:04}") for n in range(1201)))
    add_keys(writer, *(api_key(f"plain {n}", stored=f"sk-{n:04}") for n in range(1201)))
    tokens = [value.value for value in reader.encrypted_values()]
    assert sorted(tokens) == [f"gAAAAA{n:04}" for n in range(1201)]
    plain = [key.stored for key in reader.plaintext_api_keys()]
    assert sorted(plain) == [f"sk-{n:04}" for n in range(1201)]


def test_a_token_is_found_in_any_column(writer: Store, reader: Store) -> None:
    add_samples(writer)
    cells = {(cell.table, cell.column, cell.kind): cell for cell in found(reader)}
    assert {place: cell.text for place, cell in cells.items()} == {
        ("apikey", "api_key", "value"): b"gAAAAAkey",
        ("variable", "value", "value"): b"gAAAAAtoken",
        ("variable", "value", "other"): b'{"left behind": "gAAAAAchat"}',
    }
    assert reader.rows_to_pass() >= 4
    for cell in cells.values():
        assert reader.find_text(cell) == cell.text
        assert cell.text.decode() not in repr(cell)


def test_cells_are_replaced_while_they_are_read(writer: Store, reader: Store) -> None:
    add_samples(writer)
    with writer.transaction():
        for page in writer.cells(lambda _: None):
            writer.replace_cells(
                [(cell, cell.text.replace(b"AAAAA", b"AAAAAnew")) for cell in page]
            )
        assert sorted(cell.text for cell in found(writer)) == sorted(
            [b"gAAAAAnewkey", b"gAAAAAnewtoken", b'{"left behind": "gAAAAAnewchat"}']
        )
    cells = found(reader)
    assert all(b"new" in cell.text for cell in cells)
    # A position can be written to JSON and read back.
    kept = cells[0]._replace(position=tuple(json.loads(json.dumps(cells[0].position))))
    assert reader.find_text(kept) == cells[0].text


def test_a_cell_whose_row_is_gone_has_no_text(writer: Store, reader: Store) -> None:
    add_samples(writer)
    cell = next(cell for cell in found(reader) if cell.table == "apikey")
    with writer.transaction():
        writer.delete_api_keys([key.id for key in writer.api_keys(ALL)])
    assert reader.find_text(cell) is None
    with pytest.raises(StoreError, match="rows of apikey cannot be changed"), writer.transaction():
        writer.replace_cells([(cell, cell.text)])


def test_only_stored_forms_that_have_not_changed_are_replaced(writer: Store, reader: Store) -> None:
    plain, hashed = add_keys(
        writer, api_key(stored="sk-plain", hashed=None), api_key(stored="gAAAAAold")
    )
    changes = record_changes(writer)
    new = plain._replace(stored="gAAAAAnew", hash="new")
    stale = hashed._replace(stored="gAAAAAstale")
    with writer.transaction():
        assert writer.replace_stored([(plain, new), (stale, stale._replace(hash="x"))]) == 1
    assert reader.find_api_key(plain.id) == new._replace(username="administrator")
    assert reader.find_api_key(hashed.id) == hashed._replace(username="administrator")
    assert {change.action for change in changes} == {"update"}


def test_a_check_runs_before_an_encrypted_value_is_written(writer: Store) -> None:
    asked: list[str] = []

    def refuse() -> None:
        asked.append("refused")
        raise SecretKeyError("nothing can be decrypted")

    (plain,) = add_keys(writer, api_key(stored="sk-plain", hashed=None))
    writer.before_encrypted = refuse
    with writer.transaction():
        writer.insert_api_keys([api_key(stored="sk-other")])
        writer.insert_variables([TOKEN._replace(stored="plain", type=GENERIC)])
        writer.delete_api_keys([plain.id])
    assert asked == []
    with pytest.raises(SecretKeyError), writer.transaction():
        writer.insert_variables([TOKEN._replace(id="e" * 32)])
    with pytest.raises(SecretKeyError), writer.transaction():
        writer.insert_api_keys([api_key()])
    with writer.key_batch() as batch:
        batch.add([api_key()])
        with pytest.raises(SecretKeyError), writer.transaction():
            batch.insert()
    assert len(asked) == 3


# Counts and copies


def test_users_keys_and_variables_are_counted(writer: Store, reader: Store) -> None:
    add_samples(writer)
    add_keys(writer, api_key(is_active=False))
    with writer.transaction():
        writer.insert_user(user("alice", "b" * 32)._replace(is_active=False))
    assert reader.counts() == {
        "users": 2, "active superusers": 1, "API keys": 3, "inactive API keys": 1,
        "variables": 2, "credentials": 1,
    }  # fmt: skip


def test_a_keys_name_expiry_and_state_are_updated(writer: Store, reader: Store) -> None:
    (key,) = add_keys(writer, api_key())
    assert not reader.has_used_api_keys()
    new = key._replace(name=None, is_active=False, expires_at=NOW)
    with writer.transaction():
        assert writer.update_api_key(new)
        assert not writer.update_api_key(new._replace(id="0" * 32))
    assert reader.find_api_key(key.id) == new._replace(username="administrator")
    assert writer.count_use(key.id, NOW)
    assert reader.has_used_api_keys()


def test_a_store_has_a_location_and_a_generation(writer: Store, reader: Store) -> None:
    assert writer.location == reader.location
    assert writer.generation == reader.generation
    assert writer.generation.release == "1.13"


def test_the_schema_version_does_not_change_with_rows(writer: Store, reader: Store) -> None:
    before = reader.schema_version()
    add_samples(writer)
    assert reader.schema_version() == before


def test_a_copy_is_private_and_replaces_nothing(
    writer: Store, reader: Store, tmp_path: Path
) -> None:
    add_samples(writer)
    folder = tmp_path / "copies"
    folder.mkdir()
    path = folder / "copy"
    passed: list[tuple[int, int]] = []
    reader.copy_to(path, lambda copied, total: passed.append((copied, total)))
    assert reader.copy_size() > 0
    assert passed == sorted(passed)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size > 0
    with pytest.raises(ConflictError):
        reader.copy_to(path, lambda *_: None)
    with pytest.raises(FailedError):
        reader.copy_to(folder / "none" / "copy", lambda *_: None, with_indexes=False)
    assert [entry.name for entry in folder.iterdir()] == ["copy"]


def test_a_store_held_alone_is_read_and_written(engine: Engine) -> None:
    with engine.take_alone() as alone:
        add_samples(alone)
        with alone.transaction():
            for page in alone.cells(lambda _: None):
                alone.replace_cells([(cell, cell.text + b"new") for cell in page])
        assert all(cell.text.endswith(b"new") for cell in found(alone))
