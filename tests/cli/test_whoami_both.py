"""``langkeys whoami --api-key - --url URL``: asks the server and the local database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import pytest

from ..support.databases import SampleKey
from ..support.fake_langflow import FakeUser, Langflow, langflow
from ..support.samples import OTHER_SECRET_KEY, USER_FIELDS
from ..support.servers import Server
from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal

NOT_THIS = "does not use this database"
NOT_THE = "does not use the database"


@pytest.fixture
def key(site: Site) -> SampleKey:
    owner = site.database.rows("SELECT id FROM user WHERE username = 'administrator'")[0][0]
    return site.database.add_key(owner, "ci")


@pytest.fixture
def server() -> Iterator[tuple[Langflow, Server]]:
    with langflow("1.13.0") as (found, http_server):
        yield found, http_server


def owner_of(site: Site) -> str:
    rows = site.database.rows("SELECT id FROM user WHERE username = 'administrator'")
    return str(uuid.UUID(rows[0][0]))


def ask(site: Site, http_server: Server, key: str, *arguments: str) -> Result:
    result = site.call("whoami", "--api-key", "-", "--url", http_server.url, *arguments, stdin=key)
    assert key not in result.stdout + result.stderr
    return result


def test_where_both_say_the_same_a_note_names_the_key(
    site: Site, key: SampleKey, server: tuple[Langflow, Server]
) -> None:
    found, http_server = server
    found.superuser.id = owner_of(site)
    found.add_key(found.superuser).value = key.plaintext
    result = ask(site, http_server, key.plaintext, "--json").done()
    assert result.stderr == ""
    assert list(result.json()) == [*USER_FIELDS, "optins"]
    result = ask(site, http_server, key.plaintext).done()
    assert f"API key {uuid.UUID(key.id)} (ci)" in result.stderr
    assert NOT_THE not in result.stderr
    assert len([a for a in http_server.requests if a.api_key]) == 2


def test_a_key_that_only_the_server_knows_is_said(
    site: Site, server: tuple[Langflow, Server]
) -> None:
    found, http_server = server
    key = found.add_key(found.superuser).value
    result = ask(site, http_server, key).done()
    assert NOT_THE in result.stderr
    assert "not in the database" in result.stderr
    assert result.rows[0][1] == "administrator"
    assert NOT_THE in ask(site, http_server, key, "--json").done().stderr


def test_a_key_of_another_user_is_said(
    site: Site, key: SampleKey, server: tuple[Langflow, Server]
) -> None:
    found, http_server = server
    bob: FakeUser = found.add_user("bob")
    found.add_key(bob).value = key.plaintext
    result = ask(site, http_server, key.plaintext).done()
    assert NOT_THE in result.stderr
    assert f"of bob ({bob.id})" in result.stderr
    assert f"one of administrator ({owner_of(site)})" in result.stderr


def test_a_key_that_has_expired_here_and_not_there_is_said(
    site: Site, server: tuple[Langflow, Server]
) -> None:
    found, http_server = server
    owner = site.database.rows("SELECT id FROM user WHERE username = 'administrator'")[0][0]
    past = datetime.now(timezone.utc) - timedelta(days=1)
    expired = site.database.add_key(owner, "ci", expires_at=past)
    found.superuser.id = owner_of(site)
    found.add_key(found.superuser).value = expired.plaintext
    result = ask(site, http_server, expired.plaintext).done()
    assert NOT_THE in result.stderr
    assert "expired" in result.stderr


def test_a_key_that_only_the_database_knows_is_refused_with_the_reason(
    site: Site, key: SampleKey, server: tuple[Langflow, Server]
) -> None:
    _, http_server = server
    result = ask(site, http_server, key.plaintext, "--json").failed(4)
    assert NOT_THIS in result.error["hint"]
    assert "administrator" in result.error["hint"]


def test_a_key_that_neither_knows_is_refused_as_before(
    site: Site, server: tuple[Langflow, Server]
) -> None:
    _, http_server = server
    result = ask(site, http_server, f"sk-{'x' * 43}", "--json").failed(4)
    assert NOT_THIS not in result.stderr
    assert result.error["reason"] == "refused by the server"
    assert f"no such API key in {site.database.path}" in result.error["hint"]


def test_a_key_that_may_be_in_the_database_shows_no_difference(
    site_of: Callable[[str], Site], server: tuple[Langflow, Server]
) -> None:
    site = site_of("1.8")
    owner = site.database.add_user("alice")
    site.database.add_key(owner, secret_key=OTHER_SECRET_KEY)
    found, http_server = server
    key = found.add_key(found.superuser).value
    result = ask(site, http_server, key).done()
    assert NOT_THE not in result.stderr
    assert "not compared with the database" in result.stderr


def test_without_a_database_the_hint_says_what_may_be(
    empty_site: Site, server: tuple[Langflow, Server]
) -> None:
    _, http_server = server
    result = ask(empty_site, http_server, f"sk-{'x' * 43}").failed(4)
    assert "hint: it may have been revoked" in result.stderr


def test_where_there_is_no_database_only_the_server_is_asked(
    empty_site: Site, server: tuple[Langflow, Server]
) -> None:
    found, http_server = server
    key = found.add_key(found.superuser).value
    assert ask(empty_site, http_server, key).done().stderr == ""
    assert list(empty_site.folder.iterdir()) == []


def test_a_database_that_cannot_be_asked_is_a_note(
    site: Site, server: tuple[Langflow, Server]
) -> None:
    found, http_server = server
    key = found.add_key(found.superuser).value
    (site.folder / site.path).write_bytes(b"no database at all" * 100)
    result = ask(site, http_server, key).done()
    assert "not compared with the database" in result.stderr


def test_without_a_key_that_is_presented_the_database_is_not_asked(
    site: Site, server: tuple[Langflow, Server]
) -> None:
    found, http_server = server
    key = found.add_key(found.superuser).value
    result = site.call("whoami", "--url", http_server.url, LANGKEYS_API_KEY=key).done()
    assert result.stderr == ""


def test_a_terminal_is_told_who_says_it(
    site: Site, key: SampleKey, server: tuple[Langflow, Server]
) -> None:
    found, http_server = server
    found.superuser.id = owner_of(site)
    found.add_key(found.superuser).value = key.plaintext
    (site.folder / "key").write_text(key.plaintext)
    text = run_at_terminal(site, "whoami", "--api-key-file", "key", "--url", http_server.url).text
    assert "as the server and" in text
    assert "(ci)" in text
