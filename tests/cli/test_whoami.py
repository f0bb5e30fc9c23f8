from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ..support.databases import Database, ago, ahead
from ..support.samples import (
    OTHER_SECRET_KEY,
    PASSWORD,
    SECRET_KEY,
    USER_FIELDS,
    encrypted,
    new_api_key,
)
from ..support.sites import Result, Site
from ..support.terminals import Terminal, run_at_terminal

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]


# The acting user


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        ({"LANGFLOW_AUTO_LOGIN": "true"}, "auto login"),
        ({"LANGFLOW_AUTO_LOGIN": "0", "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD}, "password"),
    ],
)
def test_the_acting_user_is_told_with_how_it_is_known(
    site: Site, superuser: str, settings: dict[str, str], how: str
) -> None:
    (row,) = site.call("whoami", **settings).done().rows
    assert row[0].replace("-", "") == superuser
    assert row[1:] == ["administrator", "true", "true", "", ""]
    assert how in run_at_terminal(site, "whoami", **settings).text


def test_the_key_that_langkeys_acts_by_is_told(
    site: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "acting key", expires_at=ahead(days=2, hours=1))
    settings = {"LANGKEYS_API_KEY": key.plaintext, "LANGFLOW_AUTO_LOGIN": None}
    (row,) = site.call("whoami", **settings).done().rows
    assert row[4:] == [key.dashed, "acting key"]
    text = run_at_terminal(site, "whoami", **settings).text
    for word in ("administrator", "api key", "acting key", "2 days"):
        assert word in text


def test_json_has_langflows_nine_fields_in_order(site: Site, superuser: str) -> None:
    found = site.call("whoami", "--json").done().json()
    assert list(found) == USER_FIELDS
    assert found["id"].replace("-", "") == superuser
    assert found["store_api_key"] is None
    assert (found["is_active"], found["is_superuser"]) == (True, True)
    assert found["create_at"] == "2026-01-01T00:00:00Z"
    assert found["last_login_at"] is None


def test_json_has_optins_where_they_are_stored_and_the_key_that_was_used(
    site: Site, database: Database
) -> None:
    owner = database.add_user("alice", optins='{"github_starred": true}')
    key = database.add_key(owner, "ci", expires_at=ahead(days=1))
    found = site.call("whoami", "--json", LANGKEYS_API_KEY=key.plaintext).done().json()
    assert list(found) == [*USER_FIELDS, "optins", "api_key"]
    assert found["optins"] == {"github_starred": True}
    assert list(found["api_key"]) == ["id", "name", "expires_at"]
    assert found["api_key"]["id"] == key.dashed
    assert found["api_key"]["expires_at"].endswith("Z")


def test_a_store_api_key_is_never_shown(site: Site, database: Database) -> None:
    database.rows("UPDATE user SET store_api_key = 'a-key-of-the-langflow-store'")
    result = site.call("whoami", "--json").done()
    assert result.json()["store_api_key"] is None
    assert "a-key-of-the-langflow-store" not in result.stdout


@pytest.mark.parametrize(("is_active", "is_superuser"), [(True, False), (False, True)])
def test_whoami_needs_no_superuser(
    site: Site, database: Database, is_active: bool, is_superuser: bool
) -> None:
    database.add_user("alice", is_active=is_active, is_superuser=is_superuser)
    settings = {"LANGFLOW_SUPERUSER": "alice", "LANGFLOW_AUTO_LOGIN": "true"}
    (row,) = site.call("whoami", **settings).done().rows
    assert row[1:4] == ["alice", str(is_active).lower(), str(is_superuser).lower()]


@pytest.mark.parametrize("is_superuser", [True, False])
def test_require_superuser_answers_and_tells_by_its_exit_code(
    site: Site, database: Database, is_superuser: bool
) -> None:
    database.add_user("alice", is_superuser=is_superuser)
    settings = {"LANGFLOW_SUPERUSER": "alice"}
    result = site.call("whoami", "--require-superuser", **settings)
    assert result.code == (0 if is_superuser else 1)
    assert result.rows[0][1] == "alice"
    assert bool(result.stderr) != is_superuser
    described = site.call("whoami", "--require-superuser", "--json", **settings)
    assert described.code == result.code
    assert described.json()["username"] == "alice"


# The user of a key


@pytest.mark.parametrize("way", ["stdin", "file"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_presented_key_tells_its_user(
    site: Site, database: Database, way: str, ending: str
) -> None:
    key = database.add_key(database.add_user("alice", is_superuser=False), "theirs")
    (site.folder / "key").write_bytes(f"{key.plaintext}{ending}".encode())
    # This needs neither an acting user nor the secret key.
    nobody = {"LANGFLOW_AUTO_LOGIN": None, "LANGFLOW_SECRET_KEY": None}
    if way == "stdin":
        result = site.call("whoami", "--api-key", "-", stdin=key.plaintext + ending, **nobody)
    else:
        result = site.call("whoami", "--api-key-file", "key", **nobody)
    assert result.done().rows[0][1:] == ["alice", "true", "false", key.dashed, "theirs"]
    assert key.plaintext not in result.stdout + result.stderr


def test_a_key_may_be_presented_through_a_symbolic_link(
    site: Site, database: Database, superuser: str
) -> None:
    (site.folder / "mounted").write_text(database.add_key(superuser).plaintext)
    (site.folder / "key").symlink_to("mounted")
    site.call("whoami", "--api-key-file", "key").done()


@pytest.mark.parametrize(
    ("reason", "word", "hint"),
    [
        ("unknown", "no such", "langkeys audit --key -"),
        ("expired", "expired", "--expires"),
        ("inactive", "inactive", "langkeys api-key activate"),
        ("owner inactive", "owner", "langkeys user activate"),
        ("duplicate", "2 rows", "langkeys api-key revoke -"),
    ],
)
def test_a_key_that_is_not_valid_is_refused_with_the_reason(
    site: Site, database: Database, superuser: str, reason: str, word: str, hint: str
) -> None:
    owner = database.add_user("alice", is_active=False) if reason.startswith("own") else superuser
    expires_at = ago(seconds=1) if reason == "expired" else None
    key = database.add_key(owner, is_active=reason != "inactive", expires_at=expires_at)
    if reason == "duplicate":
        database.add_key(owner, plaintext=key.plaintext)
    presented = new_api_key() if reason == "unknown" else key.plaintext
    result = site.call("whoami", "--api-key", "-", "--json", stdin=presented).failed(4)
    assert (result.error["code"], result.error["reason"]) == ("invalid_key", reason)
    assert word in result.error["message"]
    assert not result.error["message"].startswith(f"{reason}:")
    assert database.location in result.error["message"]
    assert hint in result.error["hint"]


def test_the_commands_of_the_hints_let_the_key_in_again(site: Site, database: Database) -> None:
    owner = database.add_user("alice", is_active=False)
    key = database.add_key(owner, is_active=False, expires_at=ago(seconds=1))
    for _ in range(3):
        result = site.call("whoami", "--api-key", "-", stdin=key.plaintext).failed(4)
        (hint,) = [line for line in result.stderr.splitlines() if line.startswith("hint: ")]
        command = hint.rpartition("langkeys ")[2].replace("WHEN", "never").split()
        site.call(*command).done()
    site.call("whoami", "--api-key", "-", stdin=key.plaintext).done()


@pytest.mark.only_sqlite("has rows of users who are not there")
def test_a_key_whose_owner_does_not_exist_says_so(site: Site, database: Database) -> None:
    owner = database.add_user("alice")
    key = database.add_key(owner)
    database.rows("DELETE FROM user WHERE id = ?", (owner,))
    result = site.call("whoami", "--api-key", "-", "--json", stdin=key.plaintext).failed(4)
    assert result.error["reason"] == "unknown"
    assert "a user that does not exist" in result.error["message"]
    assert key.dashed in result.error["hint"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("hunter2", "does not look like an API key"),
        ("sk-short", "does not look like an API key"),
        ('"{key}"', "the key alone"),
        ("LANGFLOW_API_KEY={key}", "the key alone"),
        ("{token}", "as the database stores it"),
    ],
)
def test_what_is_no_key_is_said_and_not_shown(site: Site, text: str, hint: str) -> None:
    text = text.format(key=new_api_key(), token=encrypted(new_api_key()))
    result = site.call("whoami", "--api-key", "-", "--json", stdin=text).failed(4)
    assert hint in result.error["hint"]
    assert result.error["reason"] == "unknown"
    assert text not in result.stderr


@pytest.mark.parametrize("rows", [1, 2])
def test_a_key_that_may_be_in_rows_that_cannot_be_decrypted_is_not_called_unknown(
    site_of: Callable[[str], Site], rows: int
) -> None:
    site = site_of("1.8")
    owner = site.database.add_user("alice")
    for _ in range(rows):
        site.database.add_key(owner, secret_key=OTHER_SECRET_KEY)
    result = site.call("whoami", "--api-key", "-", "--json", stdin=new_api_key()).failed(4)
    assert result.error["reason"] == "undecryptable"
    assert ("1 row" if rows == 1 else "2 rows") in result.error["message"]
    assert "langkeys secret-key check" in result.error["hint"]


def test_a_key_that_an_old_server_would_let_in_is_valid_with_a_warning(
    site_of: Callable[[str], Site],
) -> None:
    site = site_of("1.8")
    key = site.database.add_key(site.database.add_user("alice"), is_active=False)
    result = site.call("whoami", "--api-key", "-", stdin=key.plaintext).done()
    assert result.rows[0][1] == "alice"
    assert result.stderr.startswith("warning: ")


def test_the_key_of_the_servers_environment_tells_the_superuser(site: Site) -> None:
    settings = {"LANGFLOW_API_KEY": "key-of-the-server", "LANGFLOW_API_KEY_SOURCE": "env"}
    result = site.call("whoami", "--api-key", "-", stdin="key-of-the-server", **settings)
    assert result.done().rows[0][1] == "administrator"
    settings["LANGFLOW_API_KEY_SOURCE"] = "db"
    site.call("whoami", "--api-key", "-", stdin="key-of-the-server", **settings).failed(4)


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("", "no API key on stdin\n"),
        ("\n\n", "no API key on stdin\n"),
        ("sk-one\nsk-two\n", "stdin has 2 lines"),
    ],
)
def test_no_key_or_two_are_a_usage_error(site: Site, stdin: str, said: str) -> None:
    result = site.call("whoami", "--api-key", "-", stdin=stdin).failed(2)
    assert result.stderr.startswith(f"error: {said}")


def test_a_key_comes_by_one_way_and_not_by_argument(site: Site) -> None:
    (site.folder / "key").write_text(new_api_key())
    site.call("whoami", "--api-key", "-", "--api-key-file", "key", stdin=new_api_key()).failed(2)
    # Site.call itself asserts that no output contains SECRET_KEY.
    site.call("whoami", "--api-key", SECRET_KEY).failed(2, "stdin")


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_key_is_an_error_that_names_it(site: Site, content: bytes | None) -> None:
    if content is not None:
        (site.folder / "key").write_bytes(content)
    assert site.call("whoami", "--api-key-file", "key").failed(1, "key").stderr


def test_nothing_is_written_and_no_use_is_counted(
    site: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser)
    before = database.digest()
    site.call("whoami", "--api-key", "-", stdin=key.plaintext).done()
    site.call("whoami", LANGKEYS_API_KEY=key.plaintext).done()
    assert database.digest() == before
    assert database.rows("SELECT total_uses, last_used_at FROM apikey") == [(0, None)]


def test_at_a_terminal_the_key_is_asked_for_hidden(
    site: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser)
    with Terminal(site, "whoami", "--api-key", "-", piped=True) as terminal:
        terminal.expect("API key")
        terminal.send(f"{key.plaintext}\n")
        terminal.finish()
    assert key.plaintext not in terminal.screen
    assert json.dumps("administrator").strip('"') in terminal.stdout
