"""What every engine's store must do beside its rows: tell, clean up, and notice changes."""

from __future__ import annotations

from langkeys.store.base import KeyFilter, Store

from .conftest import NOW, Engine, added, api_key

ALL = KeyFilter(now=NOW)


def test_a_store_in_order_has_nothing_to_tell(engine: Engine) -> None:
    told: list[str] = []
    with engine.opened(writable=True) as store:
        store.listen(note=told.append, warn=told.append)
        key = added(store, api_key())[0]
        with store.transaction():
            store.delete_api_keys([key.id])
    assert told == []


def test_cleaning_free_pages_changes_nothing_that_is_there(writer: Store, reader: Store) -> None:
    warnings: list[str] = []
    writer.listen(note=warnings.append, warn=warnings.append)
    keys = added(writer, *(api_key(f"key {number}") for number in range(20)))
    with writer.transaction():
        writer.delete_api_keys([key.id for key in keys[::2]])
    writer.clean_free_pages(["/tmp"])
    assert warnings == []
    assert [key.id for key in reader.api_keys(ALL)] == [key.id for key in keys[1::2]]
    assert added(writer, api_key())
