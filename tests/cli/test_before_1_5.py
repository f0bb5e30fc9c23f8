"""Databases of Langflow 1.0 to 1.4: langkeys only reads them and deletes rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import langkeys
from langkeys.errors import UnsupportedError
from langkeys.store.protocol import KeyFilter
from langkeys.times import now

from ..support import databases, stores
from ..support.databases import SHAPES, Database, Shape
from ..support.samples import SECRET_KEY
from ..support.sites import Site

HEADS = {
    "1.0": "5ace73a7f223",
    "1.1": "1eab2c3eb45e",
    "1.2": "dd9e0804ebd1",
    "1.3": "1b8b740a6fa3",
    "1.4": "66f72f04a1de",
}


@pytest.fixture(params=HEADS)
def old(request: pytest.FixtureRequest, empty_site: Site) -> Site:
    """A site whose database is of a release before 1.5; 1.0 has no column `user.optins`."""
    shape = replace(SHAPES["1.5"], release=request.param, revision=HEADS[request.param])
    database = databases.create(empty_site.folder / empty_site.path, shape)
    user = database.add_user("langflow", last_login_at=databases.ago(days=1))
    if request.param == "1.0":
        database.rows("ALTER TABLE user DROP COLUMN optins")
    database.add_key(user, "first", last_used_at=databases.ago(days=100))
    database.add_key(user, "second")
    empty_site.shape = shape
    empty_site.settings = {
        "LANGFLOW_DATABASE_URL": f"sqlite:///{database.path}",
        "LANGFLOW_SECRET_KEY": SECRET_KEY,
        "LANGFLOW_AUTO_LOGIN": "true",
    }
    return empty_site


def named(database: Database) -> list[str]:
    return [row[0] for row in database.rows("SELECT name FROM apikey ORDER BY name")]


def whole(database: Database) -> list[str]:
    return [row[0] for row in database.rows("SELECT api_key FROM apikey ORDER BY name")]


def test_keys_are_listed_shown_and_looked_up(old: Site) -> None:
    release = old.shape.release
    listed = old.call("api-key", "list", "--json").done()
    assert [key["name"] for key in listed.json()] == ["first", "second"]
    assert old.call("api-key", "show", "first", "--json").done().json()["username"] == "langflow"
    first, _ = whole(old.database)
    found = old.call("whoami", "--api-key", "-", "--json", stdin=first).done()
    assert found.json()["api_key"]["name"] == "first"
    users = old.call("user", "list").done()
    assert users.rows[0][1] == "langflow"
    note = f"Langflow {release}: langkeys only reads, revokes and deletes here"
    assert users.stderr == f"note: {old.database.path}: {note}\n"
    document = old.call("doctor", "--json").json()
    assert document["generation"]["release"] == release
    assert f"Langflow {release}: langkeys only reads" in str(document["findings"])


@pytest.mark.parametrize("way", ["name", "key", "prune"])
def test_a_key_is_revoked(old: Site, way: str) -> None:
    first, _ = whole(old.database)
    if way == "name":
        old.call("api-key", "revoke", "first", "--yes").done()
    elif way == "key":
        old.call("api-key", "revoke", "-", "--yes", stdin=first).done()
    else:
        old.call("api-key", "prune", "--unused-for", "90d", "--yes").done()
    assert named(old.database) == ["second"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("api-key", "create", "--name", "third"),
        ("api-key", "create", "--count", "3"),
        ("api-key", "update", "first", "--name", "third"),
        ("api-key", "rotate", "first"),
        ("api-key", "rotate", "--older-than", "1h", "--yes"),
        ("api-key", "ensure", "third", "--value-file", "key"),
        ("variable", "set", "NAME", "--value-file", "-"),
        ("user", "create", "somebody", "--random"),
        ("user", "set-password", "langflow", "--random"),
        ("secret-key", "rotate", "--new-key-file", "key", "--yes"),
    ],
    ids=" ".join,
)
def test_what_would_write_is_refused(old: Site, arguments: tuple[str, ...]) -> None:
    before = old.database.content()
    release = old.shape.release
    result = old.call(*arguments, stdin="value").failed(2, f"Langflow {release}, where langkeys")
    assert "upgrade Langflow to 1.5" in result.stderr
    assert old.database.content() == before
    assert not (old.folder / "key").exists()


def test_a_manifest_with_a_new_user_leaves_no_password_behind(old: Site) -> None:
    (old.folder / "m.yaml").write_text(
        "version: 1\nusers: {alice: {password_to: {file: password}}}\n"
    )
    old.call("apply", "-f", "m.yaml", "--yes").failed(2, "where langkeys")
    assert not (old.folder / "password").exists()


def test_the_library_verifies_and_counts_and_revokes(
    old: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {**old.settings, "LANGFLOW_CONFIG_DIR": str(old.folder)}.items():
        monkeypatch.setenv(name, text)
    _, second = whole(old.database)
    with langkeys.open_store() as store:
        assert store.verify(second, count_use=True).user.username == "langflow"
        store.api_keys.revoke("first")
        with pytest.raises(langkeys.UnsupportedError):
            store.api_keys.create(name="third")
    assert old.database.rows("SELECT name, total_uses FROM apikey") == [("second", 1)]


@pytest.mark.parametrize("skip", [None, "true", "false"])
def test_doctor_says_that_auto_login_opens_everything(old: Site, skip: str | None) -> None:
    document = old.call("doctor", "--json", LANGFLOW_SKIP_AUTH_AUTO_LOGIN=skip).json()
    said = " ".join(one["message"] for one in document["findings"] if one["section"] == "access")
    assert "requests without a key run flows" in said
    assert "LANGFLOW_SKIP_AUTH_AUTO_LOGIN lets" not in said


@pytest.mark.every_engine
def test_a_store_refuses_each_write_but_a_deletion(
    make_database: Callable[[Shape], Database], engine_name: str
) -> None:
    database = make_database(replace(SHAPES["1.5"], release="1.4", revision=HEADS["1.4"]))
    owner = database.add_user("langflow")
    database.add_key(owner, "ci")
    with stores.opened(database, writable=True) as store:
        (key,) = store.api_keys(KeyFilter(now=now()))
        new = key._replace(id="b" * 32, name="new", stored="sk-new")
        for write in (
            lambda: store.insert_api_keys([new]),
            lambda: store.update_api_key(key._replace(name="renamed")),
            lambda: store.replace_stored([(key, key._replace(stored="sk-other"))]),
        ):
            with pytest.raises(UnsupportedError, match=r"Langflow 1\.4"), store.transaction():
                write()
        with store.transaction():
            assert store.delete_api_keys([key.id]) == 1
    assert database.key_ids() == []


@pytest.mark.every_engine
@pytest.mark.parametrize("release", ["1.5", "1.7"])
def test_a_store_without_expiries_updates_a_key(
    make_database: Callable[[Shape], Database], engine_name: str, release: str
) -> None:
    database = make_database(SHAPES[release])
    database.add_key(database.add_user("langflow"), "ci")
    with stores.opened(database, writable=True) as store:
        (key,) = store.api_keys(KeyFilter(now=now()))
        with store.transaction():
            assert store.update_api_key(key._replace(name="renamed"))
        assert [key.name for key in store.api_keys(KeyFilter(now=now()))] == ["renamed"]
