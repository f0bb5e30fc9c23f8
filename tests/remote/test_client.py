"""One request to a server that may be a gateway, a proxy, broken, or hostile."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from langkeys.errors import FailedError, InvalidKeyError, LangkeysError
from langkeys.remote import client as client_module
from langkeys.remote.client import Client, LostAnswerError, UnreachableError

from ..support.samples import new_api_key
from ..support.servers import Request, Server, serving

KEY = new_api_key()
VALUE = "value-that-is-sent-and-never-shown"
PATH = "/api/v1/users/whoami"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as scripted:
        scripted.headers = {"Content-Type": "application/json"}
        yield scripted


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


def failure(
    server: Server, kind: type[LangkeysError] = FailedError, **options: Any
) -> LangkeysError:
    """Send a request; assert that it fails with this error, without secrets; return the error."""
    client = Client(server.url, KEY, **options)
    client.hide(VALUE)
    with pytest.raises(LangkeysError) as caught:
        client.get(PATH)
    error = caught.value
    assert type(error) is kind, error
    for text in (error.message, error.hint or "", repr(error)):
        assert KEY not in text
        assert VALUE not in text
    return error


# Requests


def test_a_request_has_one_credential_and_no_cookie(server: Server) -> None:
    server.headers["Set-Cookie"] = "access_token_lf=of-somebody-else; Path=/"
    server.body = {}
    client = Client(server.url, KEY)
    client.get(PATH)
    client.get(PATH)
    for request in server.requests:
        assert request.api_key == KEY
        assert request.query == {}
        assert "cookie" not in request.headers
        assert "authorization" not in request.headers


def test_an_anonymous_request_has_no_key_at_all(server: Server) -> None:
    for via in ("header", "query"):
        Client(server.url, KEY, via=via).ask("GET", PATH, anonymous=True)
    assert [(request.api_key, request.query) for request in server.requests] == [
        (None, {}),
        (None, {}),
    ]


def test_another_key_asks_the_same_server(server: Server) -> None:
    server.body = {}
    other = new_api_key()
    first = Client(server.url, KEY, via="query")
    second = first.by(other)
    second.get(PATH)
    first.get(PATH)
    assert [request.query for request in server.requests] == [
        {"x-api-key": [other]},
        {"x-api-key": [KEY]},
    ]
    assert KEY not in repr(first)


@pytest.mark.parametrize("key", ["", "sk-\u00e4", "sk-a b", "sk-a\r\nx-evil: 1", "sk-\x7f"])
def test_a_key_that_no_header_can_hold_is_never_sent(server: Server, key: str) -> None:
    for via in ("header", "query"):
        with pytest.raises(InvalidKeyError):
            Client(server.url, key, via=via)


# Over http://


def test_http_to_another_host_is_warned_about_once() -> None:
    said: list[str] = []
    # An unknown host: only the warning before the request matters.
    client = Client("http://nobody.invalid:7860", KEY, warn=said.append, timeout=5)
    for _ in range(2):
        with pytest.raises(FailedError):
            client.ask("GET", PATH)
    assert said == [
        "the API key goes to http://nobody.invalid:7860 without encryption: it can be read on the"
        " network"
    ]


@pytest.mark.parametrize("url", ["https://nobody.invalid", "http://127.0.0.1:9"])
def test_tls_and_loopback_are_not_warned_about(url: str) -> None:
    said: list[str] = []
    with pytest.raises(FailedError):
        Client(url, KEY, warn=said.append, timeout=5).ask("GET", PATH)
    assert said == []


# Proxies


def test_loopback_never_goes_through_a_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        server.body = {}
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            Client(url, KEY).get(PATH)
        assert proxy.requests == []
    assert len(server.requests) == 2


def test_a_proxy_is_used_for_other_hosts_and_named_where_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:password-of-proxy@"))
        proxy.body = {}
        Client("http://langflow.invalid", KEY).get(PATH)
        assert len(proxy.requests) == 1
        proxy.status = 407
        with pytest.raises(FailedError, match="proxy") as caught:
            Client("http://langflow.invalid", KEY).get(PATH)
        assert "password-of-proxy" not in caught.value.message
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//user:password-of-proxy@"))
        proxy.status = 403
        with pytest.raises(FailedError, match="through the proxy 127") as caught:
            Client("https://langflow.invalid", KEY).get(PATH)
        assert "password-of-proxy" not in caught.value.message
        assert all("x-api-key" not in request.headers for request in proxy.requests[2:])


def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "langflow.invalid")
        with pytest.raises(UnreachableError, match="cannot be resolved"):
            Client("http://langflow.invalid", KEY, timeout=5).get(PATH)
        assert proxy.requests == []


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_is_named(server: Server, status: int) -> None:
    with serving() as elsewhere:
        server.status = status
        server.headers["Location"] = f"{elsewhere.url}/there?x-api-key={KEY}#{KEY}"
        error = failure(server)
        assert f"{elsewhere.url}/there," in error.message
        assert elsewhere.requests == []
    assert len(server.requests) == 1


def test_a_redirect_shows_no_password_and_no_key_of_its_target(server: Server) -> None:
    server.status = 307
    server.headers["Location"] = f"https://user:{VALUE}@host/{KEY}"
    assert "https://host/(hidden)" in failure(server).message


# Deadlines and sizes


def _drip(part: bytes) -> Callable[[BaseHTTPRequestHandler, Request], None]:
    def behave(handler: BaseHTTPRequestHandler, _: Request) -> None:
        for _number in range(200):
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(0.05)

    return behave


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("start", [b"", HEAD, HEAD + b"\r\n"])
def test_a_server_that_drips_is_given_up_when_the_time_is_over(
    server: Server, start: bytes
) -> None:
    drip = _drip(b" " if start.endswith(b"\r\n\r\n") else b"x: y\r\n" if start else b"H")

    def behave(handler: BaseHTTPRequestHandler, request: Request) -> None:
        handler.wfile.write(start)
        drip(handler, request)

    server.behave = behave
    before = time.monotonic()
    error = failure(server, LostAnswerError, timeout=0.5)
    assert time.monotonic() - before < 2
    assert "0.5 seconds" in error.message


def test_a_server_that_says_nothing_is_given_up(server: Server) -> None:
    server.behave = lambda *_: time.sleep(2)
    failure(server, LostAnswerError, timeout=0.3)


def test_an_endless_answer_is_not_read_to_its_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_BYTES", 1 << 20)
    written = 0

    def behave(handler: BaseHTTPRequestHandler, _: Request) -> None:
        nonlocal written
        handler.wfile.write(HEAD + b"Content-Length: 8589934592\r\n\r\n")
        while True:
            written += handler.wfile.write(b"x" * 65536)

    server.behave = behave
    assert "1 MiB" in failure(server, LostAnswerError).message
    assert written < 64 << 20


# Answers that are cut off or invalid


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": HEAD + b'Content-Length: 500\r\n\r\n{"id": 1}',
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "a chunk that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    "a long line": b"HTTP/1.1 200 " + b"x" * 100_000,
    "many headers": HEAD + b"".join(b"a%d: b\r\n" % number for number in range(200)) + b"\r\n",
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_is_none_is_a_lost_one_in_words(server: Server, sent: bytes) -> None:
    server.behave = lambda handler, _: handler.wfile.write(sent)
    error = failure(server, LostAnswerError)
    assert "Errno" not in error.message


def test_nobody_there_is_told_in_words_and_known_to_have_done_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UnreachableError, match="connection refused, nothing") as caught:
            Client(url, KEY).get(PATH)
    assert caught.value.message.count(": ") == 1
    assert "Errno" not in caught.value.message


def test_tls_to_a_server_without_it_is_told_in_words(server: Server) -> None:
    url = server.url.replace("http://", "https://")
    with pytest.raises(UnreachableError, match="does not speak TLS") as caught:
        Client(url, KEY).get(PATH)
    assert "http://" in (caught.value.hint or "")
