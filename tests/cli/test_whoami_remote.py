"""``langkeys whoami --remote``, with a server whose answers the test chooses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.samples import USER_FIELDS, new_api_key
from ..support.servers import Server, serving
from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal

KEY = new_api_key()
PATH = "/api/v1/users/whoami"
USER = {
    "id": "3f2a9c41-0000-4000-8000-000000000001",
    "username": "alice",
    "profile_image": "Space/046-rocket.svg",
    "store_api_key": "a-key-of-the-langflow-store",
    "is_active": True,
    "is_superuser": True,
    "create_at": "2026-01-01T00:00:00.123456Z",
    "updated_at": "2026-01-02T00:00:00",
    "last_login_at": None,
    "optins": {"github_starred": False},
    "something_new": 1,
}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as scripted:
        scripted.body = USER
        yield scripted


def ask(site: Site, server: Server, *arguments: str, **settings: str | None) -> Result:
    """Call ``whoami`` with the key on stdin; assert that no output contains the key."""
    result = site.call(
        "whoami", "--url", server.url, "--api-key", "-", *arguments, stdin=KEY, **settings
    )
    assert KEY not in result.stdout + result.stderr
    return result


def test_the_key_is_sent_by_header(site: Site, server: Server) -> None:
    assert ask(site, server).done().rows == [[str(USER["id"]), "alice", "true", "true", "", ""]]
    (asked,) = server.requests
    assert (asked.path, asked.query, asked.api_key) == (PATH, {}, KEY)


def test_the_key_is_sent_by_query_string(site: Site, server: Server) -> None:
    ask(site, server, "--via", "query").done()
    (asked,) = server.requests
    assert (asked.path, asked.query, asked.api_key) == (PATH, {"x-api-key": [KEY]}, None)


def test_json_is_in_the_form_of_a_store_of_our_own(site: Site, server: Server) -> None:
    found = ask(site, server, "--json").done().json()
    assert list(found) == [*USER_FIELDS, "optins"]
    assert found["store_api_key"] is None
    assert found["profile_image"] == "Space/046-rocket.svg"
    assert found["create_at"] == "2026-01-01T00:00:00.123456Z"
    assert found["updated_at"] == "2026-01-02T00:00:00Z"


def test_a_server_that_has_no_optins_yet_is_answered_without(site: Site, server: Server) -> None:
    server.body = {name: value for name, value in USER.items() if name in USER_FIELDS}
    assert list(ask(site, server, "--json").done().json()) == USER_FIELDS


def test_address_and_key_may_come_from_the_settings(site: Site, server: Server) -> None:
    settings = {"LANGFLOW_URL": server.url, "LANGFLOW_API_KEY": KEY}
    site.call("whoami", "--remote", **settings).done()
    (site.folder / "key").write_text(f"{KEY}\n")
    site.call("whoami", "--remote", "--api-key-file", "key", LANGFLOW_URL=server.url).done()
    assert [asked.api_key for asked in server.requests] == [KEY, KEY]


def test_a_presented_key_goes_before_the_one_of_the_settings(site: Site, server: Server) -> None:
    ask(site, server, LANGFLOW_API_KEY=new_api_key()).done()
    assert server.requests[0].api_key == KEY


def test_without_an_address_in_force_none_is_asked(site: Site, server: Server) -> None:
    # whoami does not use LANGFLOW_URL without --remote.
    result = site.call("whoami", LANGFLOW_URL=server.url, LANGFLOW_API_KEY=KEY).done()
    assert result.rows[0][1] == "administrator"
    assert server.requests == []


def test_without_a_key_nothing_is_asked(site: Site, server: Server) -> None:
    result = site.call("whoami", "--url", server.url, "--json").failed(2)
    assert result.error["code"] == "config"
    assert server.requests == []


def test_no_database_is_needed(empty_site: Site, server: Server) -> None:
    ask(empty_site, server).done()


@pytest.mark.parametrize(
    "suffix", ["/", "//", "/?x=y", "/#part", "/api/v1", "/api/v1/", "/api/v2", "/api"]
)
def test_an_address_is_tidied(site: Site, server: Server, suffix: str) -> None:
    server.url += suffix
    ask(site, server).done()
    assert server.requests[0].path == PATH


def test_a_server_below_a_path_is_asked_there(site: Site, server: Server) -> None:
    server.url += "/langflow/"
    ask(site, server).done()
    assert server.requests[0].path == f"/langflow{PATH}"


def test_a_path_that_is_not_ascii_is_sent_encoded(site: Site, server: Server) -> None:
    server.url += "/fl\u00fcsse/50%25"
    ask(site, server).done()
    assert server.requests[0].path == f"/fl%C3%BCsse/50%25{PATH}"


def test_require_superuser_answers_and_tells_by_its_exit_code(site: Site, server: Server) -> None:
    assert ask(site, server, "--require-superuser").code == 0
    server.body = {**USER, "is_superuser": False}
    result = ask(site, server, "--require-superuser")
    assert result.code == 1
    assert "alice" in result.stdout


def test_at_a_terminal_the_server_is_the_one_who_says(site: Site, server: Server) -> None:
    text = run_at_terminal(site, "whoami", "--url", server.url, LANGFLOW_API_KEY=KEY).text
    assert "alice" in text
    assert "server" in text


# Refusals and failures


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_the_server_refuses_is_not_valid(
    site: Site, server: Server, status: int
) -> None:
    server.status, server.body = status, {"detail": "Invalid API key"}
    result = ask(site, server, "--json").failed(4)
    assert result.error["code"] == "invalid_key"
    assert "Invalid API key" in result.error["message"]
    assert server.url in result.error["message"]


@pytest.mark.parametrize("status", [403, 500])
def test_a_server_that_repeats_the_key_does_not_make_us_repeat_it(
    site: Site, server: Server, status: int
) -> None:
    server.status, server.body = status, {"detail": f"the key {KEY} is bad", "key": KEY}
    assert ask(site, server).code in (1, 4)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(site: Site, server: Server, status: int) -> None:
    with serving() as elsewhere:
        elsewhere.body = USER
        server.status, server.headers = status, {"Location": f"{elsewhere.url}{PATH}"}
        ask(site, server).failed(1, str(status))
        assert elsewhere.requests == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [404, 418, 500, 502])
def test_another_answer_is_a_failure_that_names_it(site: Site, server: Server, status: int) -> None:
    server.status, server.body = status, b"<html>sorry</html>"
    result = ask(site, server, "--json").failed(1)
    assert result.error["code"] == "failed"
    assert str(status) in result.error["message"]


NONSENSE: dict[str, Any] = {
    "no JSON": b"<html>hello</html>",
    "nothing": b"",
    "no text": b"\xff\xfe\xfa",
    "a list": [USER],
    "a number": 7,
    "another object": {"status": "ok"},
    "deep": b"[" * 200_000,
    "no time": {**USER, "create_at": "soon"},
    "an empty time": {**USER, "updated_at": ""},
    "a word for true": {**USER, "is_superuser": "yes"},
    "nothing for true": {**USER, "is_superuser": None},
    "a number for true": {**USER, "is_active": 1},
    "a number for an id": {**USER, "id": 5},
    "an id that is none": {**USER, "id": "5"},
    "a number for a name": {**USER, "username": 7},
    "a list of optins": {**USER, "optins": []},
    "a time beyond the calendar": {**USER, "updated_at": "9999-12-31T23:59:59-14:00"},
}


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
def test_what_is_no_langflow_server_is_a_failure_in_words(
    site: Site, server: Server, body: Any
) -> None:
    server.body = body
    assert ask(site, server, "--json").failed(1).error["code"] == "failed"


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_breaks_off_is_a_failure_in_words(
    site: Site, server: Server, status: int
) -> None:
    server.status, server.headers = status, {"Transfer-Encoding": "chunked"}
    server.body = b"nonsense\r\n"
    ask(site, server).failed(1)


def test_a_server_that_is_not_there_is_a_failure_that_names_it(site: Site, server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        ask(site, server).failed(1, server.url)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:7860",
        "ftp://localhost/",
        "file:///etc/passwd",
        "http://",
        "http://[",
        "//host",
        "x",
    ],
)
def test_what_is_no_address_is_a_usage_error(site: Site, server: Server, url: str) -> None:
    server.url = url
    ask(site, server).failed(2)


@pytest.mark.parametrize("url", ["http://localhost:port", "http://localhost:99999", "http://a b/"])
def test_an_address_that_cannot_be_asked_is_an_error(site: Site, server: Server, url: str) -> None:
    server.url = url
    assert ask(site, server).code in (1, 2)


def test_a_password_in_the_address_is_refused_and_not_shown(site: Site, server: Server) -> None:
    server.url = server.url.replace("http://", "http://user:pass-of-proxy@")
    assert "pass-of-proxy" not in ask(site, server).failed(2, "password").stderr
    assert server.requests == []


def test_a_key_that_no_header_can_hold_is_not_sent_or_shown(site: Site, server: Server) -> None:
    (site.folder / "key").write_text("sk-äöü€-hidden-part", encoding="utf-8")
    result = site.call("whoami", "--url", server.url, "--api-key-file", "key").failed(4)
    assert "hidden-part" not in result.stderr
    assert server.requests == []
