"""langkeys as a library: managing keys and variables in scripts, and the acting user."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import langkeys
from langkeys import LangflowStore

from ..support.databases import Database, SampleKey
from ..support.gateways import refusal_reason
from ..support.samples import CREDENTIAL, PASSWORD, decrypted, hash_of, new_api_key
from ..support.sites import Site

DAY = timedelta(days=1)


@pytest.fixture
def key(database: Database, superuser: str) -> SampleKey:
    return database.add_key(superuser, "ci")


def trail(site: Site) -> list[dict[str, Any]]:
    text = (site.folder / "langkeys-audit.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


# API keys


def test_a_key_is_made_found_rotated_and_revoked(
    gateway: LangflowStore, database: Database
) -> None:
    made = gateway.api_keys.create("app", expires=90 * DAY)
    assert made.row.name == "app"
    assert gateway.verify(made.plaintext).api_key == made.row
    ((stored, hashed),) = database.rows("SELECT api_key, api_key_hash FROM apikey")
    assert (decrypted(stored), hashed) == (made.plaintext, hash_of(made.plaintext))

    assert [key.id for key in gateway.api_keys.list(expires_within=91 * DAY)] == [made.row.id]
    assert list(gateway.api_keys.list(status="expired")) == []
    for ref in (made.row.id, made.row.id[:8], "app", made.plaintext[:12], made.plaintext):
        assert gateway.api_keys.get(ref).id == made.row.id

    rotated = gateway.api_keys.rotate("app", grace=DAY)
    assert rotated.new.row.name == "app"
    assert rotated.old.id == made.row.id
    assert gateway.verify(made.plaintext)
    assert gateway.verify(rotated.new.plaintext)
    again = gateway.api_keys.rotate(rotated.new.plaintext)
    assert refusal_reason(gateway, rotated.new.plaintext) == "unknown"

    ended = gateway.api_keys.revoke(again.new.row.id, made.plaintext, again.new.row.id)
    assert {key.id for key in ended} == {again.new.row.id, made.row.id}
    assert database.key_ids() == []


def test_a_key_may_be_for_another_user_and_end_at_a_time(
    gateway: LangflowStore, database: Database
) -> None:
    alice = database.add_user("alice")
    end = datetime(2200, 1, 1)  # noqa: DTZ001 - naive means UTC
    made = gateway.api_keys.create(user="alice", expires=end)
    assert (made.row.user_id, made.row.name) == (alice, "CLI")
    assert made.row.expires_at == end.replace(tzinfo=timezone.utc)
    assert [key.id for key in gateway.api_keys.list(user="alice")] == [made.row.id]
    assert [key.id for key in gateway.api_keys.list(all_users=True)] == [made.row.id]
    assert list(gateway.api_keys.list()) == []


@pytest.mark.parametrize("end", [-DAY, datetime(2020, 1, 1, tzinfo=timezone.utc)])
def test_an_end_that_has_passed_is_refused(
    gateway: LangflowStore, database: Database, end: timedelta | datetime
) -> None:
    with pytest.raises(langkeys.UsageError, match="has already passed"):
        gateway.api_keys.create(expires=end)
    assert database.key_ids() == []


def test_a_new_key_that_is_not_delivered_is_taken_back_and_the_old_one_stays(
    gateway: LangflowStore, database: Database, key: SampleKey
) -> None:
    received = []

    def fail(api_key: str) -> None:
        received.append(api_key)
        assert gateway.verify(api_key)  # the new key already works
        raise ConnectionError

    with pytest.raises(ConnectionError):
        gateway.api_keys.rotate("ci", deliver=fail)
    assert refusal_reason(gateway, received[0]) == "unknown"
    assert gateway.verify(key.plaintext)
    delivered: list[str] = []
    rotated = gateway.api_keys.rotate("ci", deliver=delivered.append)
    assert delivered == [rotated.new.plaintext]
    assert refusal_reason(gateway, key.plaintext) == "unknown"


def test_a_new_key_that_can_neither_be_delivered_nor_taken_back_is_named(
    gateway: LangflowStore, database: Database
) -> None:
    def fail(_: str) -> None:
        database.rows(
            "CREATE TRIGGER stay BEFORE DELETE ON apikey BEGIN SELECT RAISE(ABORT, 'stays'); END"
        )
        raise ConnectionError

    old = database.add_key(database.rows("SELECT id FROM user")[0][0], "old")
    with pytest.raises(langkeys.FailedError, match="could not be removed again") as caught:
        gateway.api_keys.rotate("old", deliver=fail)
    (left,) = set(database.key_ids()) - {old.id}
    assert langkeys.models.dashed(left) in caught.value.message
    step = f"to revoke it: langkeys api-key revoke {langkeys.models.dashed(left)}"
    assert (caught.value.hint or "").endswith(step)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_whole_key_that_is_none_is_not_in_the_error(gateway: LangflowStore) -> None:
    value = new_api_key()
    for text in (value, f"{value}\n", f" {value}", f"Bearer {value}", f"{value}é", f"'{value}'"):
        for ask in (gateway.api_keys.get, gateway.api_keys.revoke, gateway.api_keys.rotate):
            with pytest.raises(langkeys.NotFoundError) as caught:
                ask(text)
            assert value not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"


def test_a_rotation_that_cannot_end_the_old_key_names_both(
    gateway: LangflowStore, database: Database, key: SampleKey
) -> None:
    def gone(_: str) -> None:
        database.rows("DELETE FROM apikey WHERE id = ?", (key.id,))

    with pytest.raises(langkeys.NotFoundError) as caught:
        gateway.api_keys.rotate("ci", deliver=gone)
    (left,) = database.key_ids()
    assert langkeys.models.dashed(left) in (caught.value.hint or "")
    assert key.dashed in (caught.value.hint or "")


def test_a_whole_key_may_have_white_space_around_it(gateway: LangflowStore, key: SampleKey) -> None:
    assert gateway.api_keys.get(f" {key.plaintext}\n").id == key.id


def test_all_are_revoked_or_none(
    gateway: LangflowStore, database: Database, key: SampleKey
) -> None:
    with pytest.raises(langkeys.NotFoundError):
        gateway.api_keys.revoke("ci", "nobody has this name")
    assert database.key_ids() == [key.id]


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.9"])
def test_what_a_generation_lacks_is_refused(site_of: Any, release: str) -> None:
    site = site_of(release)
    with langkeys.open_store(settings=site.settings) as store:
        made = store.api_keys.create("app")
        assert store.verify(made.plaintext).user.username == "langflow"
        with pytest.raises(langkeys.UnsupportedError):
            store.api_keys.create("other", expires=DAY)
        with pytest.raises(langkeys.UnsupportedError):
            store.api_keys.rotate("app", grace=DAY)
        store.api_keys.revoke("app")
        assert refusal_reason(store, made.plaintext) == "unknown"


# Variables


def test_a_variable_is_set_listed_revealed_and_deleted(
    gateway: LangflowStore, database: Database
) -> None:
    row = gateway.variables.set("OPENAI_API_KEY", CREDENTIAL, default_fields=["Key"])
    assert (row.type, row.default_fields) == ("Credential", ("Key",))
    assert CREDENTIAL not in repr(row)
    gateway.variables.set("BASE_URL", "http://localhost", type="Generic")
    assert [variable.name for variable in gateway.variables.list()] == [
        "OPENAI_API_KEY",
        "BASE_URL",
    ]
    assert gateway.variables.reveal("OPENAI_API_KEY") == CREDENTIAL
    assert gateway.variables.reveal("BASE_URL") == "http://localhost"
    assert {v.name for v in gateway.variables.delete("OPENAI_API_KEY", "BASE_URL")} == {
        "OPENAI_API_KEY",
        "BASE_URL",
    }
    assert database.rows("SELECT * FROM variable") == []
    with pytest.raises(langkeys.NotFoundError):
        gateway.variables.reveal("OPENAI_API_KEY")
    with pytest.raises(langkeys.UsageError, match="unknown type"):
        gateway.variables.set("X", "y", type="Secret")


def test_another_secret_key_reveals_nothing_and_writes_nothing(
    site: Site, gateway: LangflowStore, database: Database
) -> None:
    gateway.variables.set("TOKEN", CREDENTIAL)
    before = database.content()
    settings = {**site.settings, "LANGFLOW_SECRET_KEY": "x" * 43}
    with langkeys.open_store(settings=settings) as store:
        with pytest.raises(langkeys.SecretKeyError, match="cannot decrypt TOKEN"):
            store.variables.reveal("TOKEN")
        for write in (
            lambda: store.variables.set("TOKEN", "another"),
            lambda: store.api_keys.create(),
        ):
            with pytest.raises(langkeys.SecretKeyError, match="nothing was written"):
                write()
    assert database.content() == before


def test_variables_that_are_elsewhere_are_not_looked_for_here(site: Site) -> None:
    settings = {**site.settings, "LANGFLOW_VARIABLE_STORE": "kubernetes"}
    with langkeys.open_store(settings=settings) as store:
        for ask in (lambda: store.variables.set("X", "y"), lambda: list(store.variables.list())):
            with pytest.raises(langkeys.ConfigError, match="kubernetes"):
                ask()


# The acting user


def test_verifying_needs_nobodys_leave_and_administering_does(
    site: Site, database: Database, key: SampleKey
) -> None:
    settings = {**site.settings, "LANGFLOW_AUTO_LOGIN": "false"}
    before = database.content()
    with langkeys.open_store(settings=settings) as store:
        assert store.verify(key.plaintext)
        for ask in (
            store.api_keys.create,
            lambda: store.api_keys.revoke("ci"),
            lambda: store.api_keys.rotate("ci"),
            lambda: store.api_keys.get("ci"),
            lambda: list(store.api_keys.list()),
            lambda: store.variables.set("X", "y"),
            lambda: list(store.variables.list()),
            lambda: store.variables.reveal("X"),
            lambda: store.variables.delete("X"),
        ):
            with pytest.raises(langkeys.UnauthenticatedError, match="no password"):
                ask()
    assert database.content() == before


def test_a_password_is_checked_once_and_a_new_one_again(
    site: Site, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    check = langkeys.library.store.Session.verify_password

    def counted(password: str, password_hash: str | None) -> bool:
        checked.append(password)
        return check(password, password_hash)

    monkeypatch.setattr(langkeys.library.store.Session, "verify_password", staticmethod(counted))
    settings = {
        **site.settings,
        "LANGFLOW_AUTO_LOGIN": "false",
        "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD,
    }
    with langkeys.open_store(settings=settings) as store:
        for _ in range(3):
            store.api_keys.create()
        assert checked == [PASSWORD]
        database.rows("UPDATE user SET password = '$2b$04$another'")
        with pytest.raises(langkeys.UnauthenticatedError, match="wrong name or password"):
            store.api_keys.create()
    assert len(database.key_ids()) == 3


def test_who_is_demoted_may_no_more(gateway: LangflowStore, database: Database) -> None:
    gateway.api_keys.create()
    database.rows("UPDATE user SET is_superuser = 0")
    with pytest.raises(langkeys.ForbiddenError, match="is not a superuser"):
        gateway.api_keys.create()
    assert len(database.key_ids()) == 1


def test_what_is_written_and_refused_is_in_the_audit_trail(
    site: Site, gateway: LangflowStore, database: Database, key: SampleKey
) -> None:
    gateway.verify(key.plaintext, count_use=True)
    with langkeys.open_store(reason="nightly") as store:
        made = store.api_keys.create("app")
    gateway.api_keys.revoke("app")
    with pytest.raises(langkeys.NotFoundError):
        gateway.api_keys.revoke("app")
    lines = trail(site)
    assert [(line["outcome"], line["command"], line["reason"]) for line in lines] == [
        ("done", "library api-key create", "nightly"),
        ("done", "library api-key revoke", None),
        ("refused", "library api-key revoke", None),
    ]
    assert lines[1]["changes"][0]["sha256"] == hash_of(made.plaintext)
    assert {line["user"] for line in lines} == {"administrator"}


def test_warnings_go_to_the_logger(
    site: Site, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    site.write_env("AUTO_LOGIN=true\n")
    with caplog.at_level(logging.WARNING, logger="langkeys"):
        langkeys.open_store(env_file=site.folder / ".env", settings=site.settings).close()
    assert any("sets AUTO_LOGIN" in record.message for record in caplog.records)


def test_types_are_known_to_a_type_checker(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="needs mypy, of the extra lint")
    program = tmp_path / "program.py"
    program.write_text(
        "import langkeys\n"
        "store = langkeys.open_store('langflow.db')\n"
        "reveal_type(store)\n"
        "reveal_type(store.verify('sk-').user.username)\n"
        "reveal_type(store.api_keys.create('x').plaintext)\n"
        "reveal_type(langkeys.InvalidKeyError('', reason='').reason)\n"
    )
    environment = {**os.environ, "MYPYPATH": str(Path(langkeys.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "c"), program],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    revealed = [line.rpartition('type is "')[2] for line in done.stdout.splitlines()[:4]]
    assert revealed == ['langkeys.library.store.LangflowStore"', 'str"', 'str"', 'str"'], done
