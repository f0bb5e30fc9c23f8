"""A store that stays open while its database file is replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import langkeys
from langkeys import InvalidKeyError, LangflowStore
from langkeys.errors import StoreError

from ..support import databases
from ..support.databases import SHAPES, Database, SampleKey
from ..support.sites import Site


@pytest.fixture(params=["delete", "wal"])
def old(request: pytest.FixtureRequest, database: Database) -> Database:
    if request.param == "wal":
        database.use_wal()
    return database


@pytest.fixture
def key(old: Database, superuser: str) -> SampleKey:
    return old.add_key(superuser)


@pytest.fixture
def gateway(site: Site, key: SampleKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[LangflowStore]:
    for name, text in {**site.settings, "LANGFLOW_CONFIG_DIR": str(site.folder)}.items():
        monkeypatch.setenv(name, text)
    with langkeys.open_store() as store:
        yield store


def other(site: Site, release: str = "1.13") -> tuple[Database, SampleKey]:
    """Create another database next to the site's, with one key."""
    made = databases.create(site.folder / "other.db", SHAPES[release])
    key = made.add_key(made.add_user("administrator"))
    return made, key


def put_in_place(made: Database, place: Path) -> None:
    """Replace a database as in a restore, which also removes the old database's log."""
    made.path.replace(place)
    for suffix in ("-wal", "-shm"):
        place.with_name(place.name + suffix).unlink(missing_ok=True)


@pytest.mark.parametrize("release", SHAPES)
def test_the_next_call_sees_the_database_that_is_there_now(
    site: Site, old: Database, key: SampleKey, gateway: LangflowStore, release: str
) -> None:
    assert gateway.verify(key.plaintext).api_key is not None
    made, new = other(site, release)
    put_in_place(made, old.path)
    with pytest.raises(InvalidKeyError):
        gateway.verify(key.plaintext)
    found = gateway.verify(new.plaintext).api_key
    assert found is not None
    assert found.id == new.id
    assert gateway.release.split(".")[:2] == release.split(".")[:2] or release == "1.12"


def test_a_use_is_counted_where_the_key_is_now(
    site: Site, old: Database, key: SampleKey, gateway: LangflowStore
) -> None:
    gateway.verify(key.plaintext, count_use=True)
    made, new = other(site)
    put_in_place(made, old.path)
    gateway.verify(new.plaintext, count_use=True)
    assert Database(old.path).rows("SELECT total_uses FROM apikey") == [(1,)]


def test_the_same_database_anew_is_one_that_was_replaced(
    site: Site, old: Database, key: SampleKey, gateway: LangflowStore
) -> None:
    copy = Database(site.folder / "copy.db")
    site.call("backup", str(copy.path)).done()
    gateway.verify(key.plaintext)
    put_in_place(copy, old.path)
    gateway.verify(key.plaintext)
    old.rows("DELETE FROM apikey")
    with pytest.raises(InvalidKeyError):
        gateway.verify(key.plaintext)


def test_a_database_that_is_gone_lets_nobody_in(
    site: Site, old: Database, key: SampleKey, gateway: LangflowStore
) -> None:
    gateway.verify(key.plaintext)
    kept = old.path.with_name("kept.db")
    old.path.rename(kept)
    for _ in range(2):
        with pytest.raises(StoreError, match="no database"):
            gateway.verify(key.plaintext)
    old.path.write_bytes(b"no database" * 99)
    with pytest.raises(StoreError):
        gateway.verify(key.plaintext)
    old.path.unlink()
    kept.rename(old.path)
    assert gateway.verify(key.plaintext).api_key is not None


def test_a_link_that_leads_elsewhere_is_noticed(
    site: Site, old: Database, key: SampleKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = site.folder / "link.db"
    link.symlink_to(old.path)
    made, new = other(site)
    settings = {**site.settings, "LANGFLOW_DATABASE_URL": f"sqlite:///{link}"}
    for name, text in settings.items():
        monkeypatch.setenv(name, text)
    with langkeys.open_store() as store:
        store.verify(key.plaintext)
        fresh = site.folder / "fresh"
        fresh.symlink_to(made.path)
        fresh.replace(link)
        with pytest.raises(InvalidKeyError):
            store.verify(key.plaintext)
        assert store.verify(new.plaintext).api_key is not None


def test_a_copy_over_the_same_file_is_noticed_whatever_its_counter(
    site: Site, database: Database, superuser: str, tmp_path: Path
) -> None:
    # Two copies of one backup with the same number of commits, so SQLite's change counter is equal.
    backup, revoked = tmp_path / "backup.db", tmp_path / "revoked.db"
    key = database.add_key(superuser, "leaked")
    shutil.copy(database.path, backup)
    database.rows("DELETE FROM apikey WHERE id = ?", (key.id,))
    shutil.copy(database.path, revoked)
    shutil.copyfile(backup, database.path)
    database.rows("UPDATE apikey SET name = 'other' WHERE id = ?", (key.id,))
    settings = {**site.settings, "LANGFLOW_CONFIG_DIR": str(site.folder)}
    with langkeys.open_store(settings=settings) as store:
        assert store.verify(key.plaintext).api_key is not None
        database.path.write_bytes(revoked.read_bytes())
        with pytest.raises(InvalidKeyError):
            store.verify(key.plaintext)
