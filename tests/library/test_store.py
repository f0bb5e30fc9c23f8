"""langkeys as a library: opening a store and verifying keys, and what is refused."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import langkeys
from langkeys import LangflowStore, errors
from langkeys.library import store as library_store

from ..support import databases
from ..support.databases import Database, SampleKey, ago, ahead
from ..support.gateways import refusal_reason
from ..support.samples import SECRET_KEY, decrypted, new_api_key
from ..support.sites import Site

DAY = timedelta(days=1)


@pytest.fixture
def key(database: Database, superuser: str) -> SampleKey:
    return database.add_key(superuser, "ci")


def uses(database: Database, key: SampleKey) -> tuple[int, str | None]:
    ((total, last),) = database.rows(
        "SELECT total_uses, last_used_at FROM apikey WHERE id = ?", (key.id,)
    )
    return total, last


# Imports


def test_everything_that_is_offered_is_there_and_nothing_else() -> None:
    assert [name for name in langkeys.__all__ if getattr(langkeys, name, None) is None] == []
    assert sorted(langkeys.__all__) == list(langkeys.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'open_shop'"):
        langkeys.open_shop  # noqa: B018 - it does not exist


def test_every_error_that_a_program_may_meet_is_offered() -> None:
    of_the_command_line = {"DeclinedError", "InterruptedCommandError"}
    names = {error.__name__ for error in errors.LangkeysError.__subclasses__()}
    cli = {name for name in names if name.startswith("Undelivered")}
    assert names - of_the_command_line - cli <= set(langkeys.__all__)


@pytest.mark.parametrize("verb", ["open", "verify"])
def test_a_gateway_imports_no_command_line_and_no_cryptography(
    site: Site, key: SampleKey, verb: str
) -> None:
    program = (
        "import sys, langkeys\n"
        "store = langkeys.open_store()\n"
        f"{'store.verify(sys.stdin.read())' if verb == 'verify' else ''}\n"
        "store.close()\n"
        "slow = ('typer', 'rich', 'cryptography', 'bcrypt', 'dotenv')\n"
        "print([name for name in slow if name in sys.modules])\n"
    )
    result = site.run(stdin=key.plaintext, command=(sys.executable, "-c", program)).done()
    assert result.stdout == "[]\n"


# Opening


def test_explicit_arguments_go_before_the_environment(
    database: Database, key: SampleKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGFLOW_DATABASE_URL", "sqlite:////nowhere/langflow.db")
    with langkeys.open_store(database.path, secret_key=SECRET_KEY) as store:
        assert store.location == str(database.path)
        assert store.release == "1.13"
        assert store.verify(key.plaintext).user.username == "administrator"


@pytest.mark.parametrize("given", ["argument", "environment", "working folder"])
def test_settings_come_from_an_env_file_as_on_the_command_line(
    site: Site, key: SampleKey, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = site.write_env("\n".join(f"{name}={text}" for name, text in site.settings.items()))
    if given == "environment":
        monkeypatch.setenv("LANGKEYS_ENV_FILE", str(env))
    elif given == "working folder":
        monkeypatch.chdir(site.folder)
    with langkeys.open_store(env_file=env if given == "argument" else None) as store:
        assert store.verify(key.plaintext).user.username == "administrator"


def test_what_is_given_empty_counts_as_unset(
    site: Site, key: SampleKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in site.settings.items():
        monkeypatch.setenv(name, text)
    empty = {"LANGKEYS_API_KEY": "", "LANGFLOW_AUTO_LOGIN": "", "LANGFLOW_SUPERUSER": ""}
    with langkeys.open_store(secret_key="", settings=empty) as store:
        assert store.verify(key.plaintext)
        made = store.api_keys.create("app")
        assert decrypted(made.row.stored) == made.plaintext


def test_what_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(langkeys.StoreError, match="there is no database at"):
        langkeys.open_store(tmp_path / "none.db")
    with pytest.raises(langkeys.ConfigError, match="has no setting AUTO_LOGIN"):
        langkeys.open_store(tmp_path / "none.db", settings={"AUTO_LOGIN": "true"})
    with pytest.raises(langkeys.ConfigError, match="is not a boolean"):
        langkeys.open_store(tmp_path / "none.db", settings={"LANGFLOW_AUTO_LOGIN": "perhaps"})
    with pytest.raises(langkeys.ConfigError, match="cannot read settings from"):
        langkeys.open_store(env_file=tmp_path / "none.env")


@pytest.mark.parametrize("in_file", [False, True])
def test_a_store_stays_what_it_is_when_the_working_folder_changes(
    site: Site, database: Database, in_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**site.settings, "LANGFLOW_DATABASE_URL": "sqlite:///./langflow.db"}
    del settings["LANGFLOW_SECRET_KEY"]
    (site.folder / "config").mkdir()
    (site.folder / "config" / "secret_key").write_text(SECRET_KEY)
    settings["LANGFLOW_CONFIG_DIR"] = "config"
    settings["LANGKEYS_AUDIT_LOG"] = "audit.jsonl"
    if in_file:
        (site.folder / "config" / "secret_key").rename(site.folder / "key")
        settings["LANGFLOW_SECRET_KEY_FILE"] = "key"
    site.write_env("\n".join(f"{name}={text}" for name, text in settings.items()))
    monkeypatch.chdir(site.folder)
    with langkeys.open_store() as store:
        (site.folder / "elsewhere").mkdir()
        monkeypatch.chdir(site.folder / "elsewhere")
        made = store.api_keys.create("app")
        assert store.verify(made.plaintext, count_use=True)
    assert database.key_ids() == [made.row.id]
    assert [path.name for path in (site.folder / "elsewhere").iterdir()] == []


def test_an_env_file_that_was_not_there_at_the_opening_does_not_count(
    site: Site, gateway: LangflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.folder)
    site.write_env("LANGFLOW_VARIABLE_STORE=kubernetes\n")
    assert list(gateway.variables.list()) == []


def test_nothing_secret_is_in_a_repr(gateway: LangflowStore, key: SampleKey) -> None:
    made = gateway.api_keys.create("app")
    shown = f"{gateway!r}{gateway.verify(key.plaintext)!r}{made!r}"
    for secret in (key.plaintext, made.plaintext, made.row.stored, SECRET_KEY, "$2b$"):
        assert secret not in shown


# Verifying


def test_a_valid_key_gives_its_row_and_its_user(gateway: LangflowStore, key: SampleKey) -> None:
    verified = gateway.verify(key.plaintext)
    assert verified.api_key is not None
    assert (verified.api_key.id, verified.api_key.name) == (key.id, "ci")
    assert (verified.user.username, verified.user.is_superuser) == ("administrator", True)
    assert verified.warning is None


def test_a_key_that_is_not_valid_is_refused_with_the_reason(
    gateway: LangflowStore, database: Database, superuser: str
) -> None:
    inactive_owner = database.add_user("alice", is_active=False)
    expired = database.add_key(superuser, expires_at=ago(days=1))
    inactive = database.add_key(superuser, is_active=False)
    of_inactive = database.add_key(inactive_owner)
    assert refusal_reason(gateway, new_api_key()) == "unknown"
    assert refusal_reason(gateway, expired.plaintext) == "expired"
    assert refusal_reason(gateway, inactive.plaintext) == "inactive"
    assert refusal_reason(gateway, of_inactive.plaintext) == "owner inactive"
    for nothing in (None, "", "\ud800"):
        assert refusal_reason(gateway, nothing) == "unknown"


def test_nothing_is_written_where_no_use_is_counted(
    gateway: LangflowStore, database: Database, key: SampleKey
) -> None:
    before = database.content()
    gateway.verify(key.plaintext)
    refusal_reason(gateway, new_api_key())
    assert database.content() == before


def test_a_use_is_counted_where_that_is_asked_for(
    gateway: LangflowStore, database: Database, key: SampleKey, superuser: str
) -> None:
    other = database.add_key(superuser)
    expired = database.add_key(superuser, expires_at=ago(days=1))
    for _ in range(3):
        gateway.verify(key.plaintext, count_use=True)
    refusal_reason(gateway, expired.plaintext, count_use=True)
    total, last = uses(database, key)
    assert total == 3
    assert last is not None
    assert databases.stored(ago(minutes=1)) < last < databases.stored(ahead(minutes=1))
    assert uses(database, other) == uses(database, expired) == (0, None)


def test_no_use_is_counted_where_the_server_counts_none(
    site: Site, database: Database, key: SampleKey
) -> None:
    settings = {**site.settings, "LANGFLOW_DISABLE_TRACK_APIKEY_USAGE": "true"}
    with langkeys.open_store(settings=settings) as store:
        store.verify(key.plaintext, count_use=True)
    assert uses(database, key) == (0, None)


def test_a_key_that_is_revoked_before_its_use_is_counted_is_refused(
    gateway: LangflowStore, database: Database, key: SampleKey
) -> None:
    gateway.verify(key.plaintext, count_use=True)
    verified = gateway.verify(key.plaintext)
    gateway._verifier.verify = lambda _: verified  # type: ignore[method-assign]
    database.rows("DELETE FROM apikey")
    assert refusal_reason(gateway, key.plaintext, count_use=True) == "unknown"


def test_a_use_that_cannot_be_counted_is_an_error(
    gateway: LangflowStore, database: Database, key: SampleKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.verify(key.plaintext, count_use=True)
    assert gateway._counter is not None
    gateway._counter._connection.execute("PRAGMA busy_timeout = 10")  # type: ignore[attr-defined]
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(langkeys.StoreError, match="locked"):
            gateway.verify(key.plaintext, count_use=True)
        other.execute("ROLLBACK")
    gateway.verify(key.plaintext, count_use=True)
    assert uses(database, key)[0] == 2


def test_the_key_of_the_servers_environment_counts_as_there(site: Site, key: SampleKey) -> None:
    settings = {
        **site.settings,
        "LANGFLOW_API_KEY_SOURCE": "env",
        "LANGFLOW_API_KEY": "key-of-the-environment",
    }
    with langkeys.open_store(settings=settings) as store:
        verified = store.verify("key-of-the-environment", count_use=True)
        assert (verified.user.username, verified.api_key) == ("administrator", None)
        assert store.verify(key.plaintext).api_key is not None


def test_what_only_an_old_server_lets_in_comes_with_a_warning(site_of: Any) -> None:
    site = site_of("1.8")
    key = site.database.add_key(site.database.add_user("alice"), is_active=False)
    with langkeys.open_store(settings=site.settings) as store:
        assert "is marked inactive" in (store.verify(key.plaintext).warning or "")


def test_a_server_that_is_upgraded_beside_it_is_noticed(
    site_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_store, "SCHEMA_SECONDS", -1.0)
    site = site_of("1.9")
    key = site.database.add_key(site.database.add_user("alice"))
    with langkeys.open_store(settings=site.settings) as store:
        store.verify(key.plaintext, count_use=True)
        site.database.rows("ALTER TABLE apikey ADD COLUMN expires_at DATETIME")
        site.database.rows("UPDATE alembic_version SET version_num = 'd49cbced8696'")
        site.database.rows("UPDATE apikey SET expires_at = ?", (databases.stored(ago(days=1)),))
        assert refusal_reason(store, key.plaintext) == "expired"
        assert store.release == "1.10.2"


def test_a_database_that_is_vacuumed_costs_no_connection(
    database: Database, key: SampleKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_store, "SCHEMA_SECONDS", -1.0)
    with langkeys.open_store(database.path, secret_key=SECRET_KEY) as store:
        for _ in range(5):
            database.rows("VACUUM")
            store.verify(key.plaintext)
        assert len(store._open) == 1


# Threads and processes


def test_many_threads_verify_count_and_administer_at_once(
    gateway: LangflowStore, database: Database, superuser: str
) -> None:
    keys = [database.add_key(superuser, f"key {n}") for n in range(8)]
    stop = threading.Event()

    def verify(key: SampleKey) -> int:
        for _ in range(25):
            verified = gateway.verify(key.plaintext, count_use=True)
            assert verified.api_key is not None
            assert verified.api_key.id == key.id
        return 25

    def administer() -> None:
        while not stop.is_set():
            made = gateway.api_keys.create("thread")
            assert gateway.verify(made.plaintext).api_key is not None
            gateway.api_keys.revoke(made.row.id)
            assert refusal_reason(gateway, made.plaintext) == "unknown"

    with ThreadPoolExecutor(9) as pool:
        administering = pool.submit(administer)
        assert sum(pool.map(verify, keys)) == 200
        stop.set()
        administering.result()
    assert [uses(database, key)[0] for key in keys] == [25] * 8
    assert len(database.key_ids()) == 8


def test_a_process_that_has_forked_is_told_to_open_its_own(site: Site, key: SampleKey) -> None:
    program = (
        "import os, sys, langkeys\n"
        "key = sys.stdin.read()\n"
        "store = langkeys.open_store()\n"
        "store.verify(key)\n"
        "if os.fork() == 0:\n"
        "    try:\n"
        "        store.verify(key)\n"
        "    except langkeys.FailedError as error:\n"
        "        print(error.message, '/', error.hint, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print(store.verify(key).user.username)\n"
    )
    result = site.run(stdin=key.plaintext, command=(sys.executable, "-c", program)).done()
    said = "was opened by another process / database connections do not survive a fork"
    assert said in result.stdout
    assert result.lines[-1] == "administrator"


def test_a_store_that_is_closed_says_so(gateway: LangflowStore, key: SampleKey) -> None:
    gateway.verify(key.plaintext, count_use=True)
    gateway.close()
    gateway.close()
    for _ in range(2):
        with pytest.raises(langkeys.FailedError, match="is closed"):
            gateway.verify(key.plaintext, count_use=True)
