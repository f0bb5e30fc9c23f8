"""A secret key that cannot decrypt stored values is noticed before anything is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest

from langkeys.crypto.cipher import Cipher
from langkeys.store.sqlite import engine
from langkeys.store.sqlite.store import SqliteStore

from ..support.databases import Database
from ..support.samples import OTHER_SECRET_KEY, SECRET_KEY, encrypted, new_api_key
from ..support.sites import Result, Site

Call = Callable[..., Result]

WRITES = [
    ("api-key", "create"),
    ("api-key", "create", "--count", "3", "--json"),
    ("api-key", "create", "--write-to", "key"),
]
WRONG = {"LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY}


@pytest.mark.parametrize("arguments", WRITES)
@pytest.mark.parametrize("wal", [False, True])
def test_where_keys_do_not_open_nothing_is_written(
    site: Site, database: Database, superuser: str, arguments: tuple[str, ...], wal: bool
) -> None:
    database.add_key(superuser, "ci")
    if wal:
        database.use_wal()
    before = (database.digest(), database.content())
    result = site.call(*arguments, **WRONG).failed(7, "secret key", str(database.path))
    assert "LANGFLOW_SECRET_KEY" in result.stderr
    assert (database.digest(), database.content()) == before
    assert not (site.folder / "key").exists()


def _variable(database: Database, owner: str) -> None:
    database.add_variable(owner, "TOKEN", encrypted("x"))


def _store_key(database: Database, owner: str) -> None:
    value = encrypted("x")
    database.rows("UPDATE user SET store_api_key = ? WHERE id = ?", (value, owner))


def _in_json(database: Database, owner: str) -> None:
    database.rows("CREATE TABLE folder (id CHAR(32), name VARCHAR, auth_settings JSON)")
    settings = f'{{"auth_type": "apikey", "api_key": "{encrypted("x")}"}}'
    database.rows("INSERT INTO folder VALUES (?, 'Starter', ?)", ("f" * 32, settings))


@pytest.mark.parametrize("prepare", [_variable, _store_key, _in_json])
def test_it_is_found_out_where_no_key_but_something_else_is_encrypted(
    call: Call, database: Database, superuser: str, prepare: Callable[[Database, str], None]
) -> None:
    prepare(database, superuser)
    before = database.digest()
    call("api-key", "create", **WRONG).failed(7)
    assert database.digest() == before
    call("api-key", "create").done()


def test_plaintext_says_nothing_about_the_secret_key(
    call: Call, database: Database, superuser: str
) -> None:
    database.add_key(superuser, at_rest="plaintext")
    database.add_variable(superuser, "PLAIN", "value", "Generic")
    call("api-key", "create", **WRONG).done()


def test_where_nothing_is_encrypted_any_secret_key_will_do(call: Call) -> None:
    call("api-key", "create", **WRONG).done()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_single_value_that_opens_is_enough_to_write(
    call: Call, database: Database, superuser: str, which: int
) -> None:
    for number in range(3):
        secret_key = SECRET_KEY if number == which else OTHER_SECRET_KEY
        database.add_key(superuser, secret_key=secret_key)
    call("api-key", "create").done()


def test_the_secret_key_file_of_the_config_folder_is_named_where_it_is_wrong(
    site: Site, database: Database, superuser: str
) -> None:
    database.add_key(superuser)
    (site.folder / "secret_key").write_text(OTHER_SECRET_KEY)
    settings = {"LANGFLOW_SECRET_KEY": None, "LANGFLOW_CONFIG_DIR": str(site.folder)}
    site.call("api-key", "create", **settings).failed(7, str(site.folder / "secret_key"))


@pytest.mark.parametrize("by_prng", [True, False])
def test_a_short_secret_key_opens_what_either_derivation_wrote(
    call: Call, database: Database, superuser: str, by_prng: bool
) -> None:
    token = Cipher("short", source="test", short_keys_by_prng=by_prng).encrypt(new_api_key())
    key = database.add_key(superuser, "ci")
    database.rows("UPDATE apikey SET api_key = ? WHERE id = ?", (token, key.id))
    call("api-key", "create", LANGFLOW_SECRET_KEY="short").done()
    listed = call("api-key", "list", LANGFLOW_SECRET_KEY="short").done()
    assert all(row[2].startswith("sk-") for row in listed.rows)


@pytest.mark.parametrize(
    ("release", "derivation"), [("1.8", True), ("1.9", True), ("1.10", False), ("1.13", False)]
)
def test_under_a_short_secret_key_a_new_key_has_the_form_that_the_server_reads(
    site_of: Callable[[str], Site], release: str, derivation: bool
) -> None:
    site = site_of(release)
    key = site.call("api-key", LANGFLOW_SECRET_KEY="short").done().stdout.strip()
    ((token,),) = site.database.rows("SELECT api_key FROM apikey")
    # A cipher only encrypts with its first derivation; a long secret key has only one.
    fernet_key = {
        True: "CkA4q2XDE9IEf-jlDnLnJ0_iOuCssq4sw0969Gf_-mk=",
        False: "-bAHi131ltLqGQEMABu9AJ5lHeLFfo-341XzHrnT9zk=",
    }[derivation]
    assert Cipher(fernet_key, source="test").find_plaintext(token) == key


def test_a_locked_database_is_an_error_of_every_command_that_writes(
    site: Site, database: Database, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = partial(SqliteStore, busy_timeout=0.05)
    monkeypatch.setattr(engine, "SqliteStore", impatient)
    database.add_key(superuser, "ci")
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for arguments in (*WRITES, ("api-key", "revoke", "ci", "--yes")):
            result = site.call(*arguments).failed(6, "locked", str(database.path))
            assert "fuser" in result.stderr
        # Commands that only read still work.
        site.call("api-key", "list").done()
        other.execute("ROLLBACK")
    assert len(database.key_ids()) == 1
    assert not (site.folder / "key").exists()
