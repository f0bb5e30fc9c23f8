"""Invalid answers of a server, gateway or cache: langkeys only trusts what it can verify."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from langkeys.errors import ConfigError, FailedError, LangkeysError
from langkeys.remote import api_keys, creation, references, rotation, users, variables
from langkeys.remote.addresses import parsed_proxy
from langkeys.remote.client import Client, LostAnswerError
from langkeys.remote.diagnosis import examine
from langkeys.remote.documents import parsed_document
from langkeys.remote.server import whoami

from ..support.fake_langflow import FakeKey, Refused
from ..support.samples import new_api_key
from ..support.servers import Request
from .conftest import Deployment

PATH = api_keys.PATH
Change = Callable[[Any], Any]


def answers_changed(deployment: Deployment, method: str, path: str, change: Change) -> None:
    """Change each 2xx answer to a method and path; the server still processes the request."""
    answer = deployment.langflow.answer

    def changed(request: Request) -> tuple[int, Any]:
        status, document = answer(request)
        is_meant = request.method == method and request.path.startswith(path)
        return status, change(document) if is_meant else document

    deployment.langflow.answer = changed  # type: ignore[method-assign]


def job(deployment: Deployment) -> tuple[FakeKey, references.ChosenKey]:
    old = deployment.langflow.add_key(deployment.langflow.superuser, "job")
    return old, references.choose_acting(deployment.server(), old.value, "line 1 of stdin")


# Invalid JSON


@pytest.mark.parametrize(
    "text",
    [
        '{"x": NaN}', '{"x": -Infinity}', '{"x": 1e999}', '{"x": ' + "9" * 5000 + "}",
        '{"a":' * 60 + "1" + "}" * 60, "[" * 100_000, "\ud800x", "{",
    ],
)  # fmt: skip
def test_what_could_not_be_written_as_json_again_is_no_document(text: str) -> None:
    assert parsed_document(text.encode("utf-8", "surrogatepass")) is None


def test_whatever_whoami_passes_on_is_json(deployment: Deployment) -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = {"a": deep}
    answers_changed(deployment, "GET", "/api/v1/users/whoami", lambda d: {**d, "optins": deep})
    found = whoami(deployment.server().client)
    assert json.loads(json.dumps(found["optins"], indent=2)) == deep


@pytest.mark.parametrize("count", [-1, 1 << 63, 10**4000])
def test_a_count_that_no_database_holds_is_refused(deployment: Deployment, count: int) -> None:
    def change(document: Any) -> Any:
        keys = [{**key, "total_uses": count} for key in document["api_keys"]]
        return {**document, "api_keys": keys}

    answers_changed(deployment, "GET", PATH, change)
    with pytest.raises(LostAnswerError, match="total_uses"):
        api_keys.list_keys(deployment.server())


# Lists that are cut short, or never end


def test_a_list_of_keys_that_is_cut_short_is_refused(deployment: Deployment) -> None:
    deployment.langflow.add_key(deployment.langflow.superuser, "b")
    answers_changed(deployment, "GET", PATH, lambda d: {**d, "api_keys": d["api_keys"][:1]})
    with pytest.raises(LostAnswerError, match="not complete"):
        api_keys.list_keys(deployment.server())


def test_a_list_of_users_that_is_cut_short_is_refused(deployment: Deployment) -> None:
    for number in range(5):
        deployment.langflow.add_user(f"user{number}")
    server = deployment.server()
    assert len(users.list_users(server)) == 6

    def change(document: Any) -> Any:
        return {**document, "users": document["users"][:3]} if "users" in document else document

    answers_changed(deployment, "GET", users.PATH, change)
    with pytest.raises(LostAnswerError, match="has 6 users, but lists 3"):
        users.list_users(server)


def test_a_list_of_users_that_never_ends_is_given_up(deployment: Deployment) -> None:
    def change(document: Any) -> Any:
        if "users" not in document:
            return document
        one = {**document["users"][0], "id": str(uuid.uuid4())} if document["users"] else None
        return {"total_count": 10**9, "users": [] if one is None else [one]}

    answers_changed(deployment, "GET", users.PATH, change)
    with pytest.raises(LostAnswerError):
        users.list_users(deployment.server())
    assert len(deployment.http_server.requests) < 20


# Invalid new keys


def test_a_key_that_was_there_before_is_no_new_one(deployment: Deployment) -> None:
    old, chosen = job(deployment)
    # The answer of a cache that has seen the same POST before.
    seen = {"id": old.id, "api_key": old.value, "name": "job"}
    answers_changed(deployment, "POST", PATH, lambda _: seen)
    with pytest.raises(FailedError) as caught:
        rotation.rotate([chosen], lambda *_: None)
    assert old in deployment.langflow.keys
    assert old.value not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "value", ["", "sk-\u00e4", "sk-a b", "sk-a\r\nx-evil: 1", "sk-\x1b[31m", "sk", "x" * 5000]
)
def test_a_key_that_no_server_makes_is_no_key(deployment: Deployment, value: str) -> None:
    answers_changed(deployment, "POST", PATH, lambda d: {**d, "api_key": value})
    with pytest.raises(FailedError, match="not an API key") as caught:
        creation.create(deployment.server(), "ci")
    assert caught.value.exit_code == 1
    made = deployment.langflow.keys[-1]
    assert made.id in (caught.value.hint or "")


def test_a_masked_key_is_none_that_works(deployment: Deployment) -> None:
    answers_changed(deployment, "POST", PATH, lambda d: {**d, "api_key": "sk-abcde" + "*" * 38})
    with pytest.raises(FailedError, match="not accepted"):
        creation.create(deployment.server(), "ci")
    assert deployment.langflow.keys == [deployment.key]


# Revocations that did not happen


@pytest.mark.parametrize("answer", [b"<html>", None])
def test_what_a_portal_answers_to_a_delete_ends_nothing(
    deployment: Deployment, answer: bytes | None
) -> None:
    old, chosen = job(deployment)
    behave = deployment.http_server.behave
    assert behave is not None

    def portal(handler: Any, request: Request) -> None:
        if request.method != "DELETE":
            behave(handler, request)
            return
        data = answer or b""
        handler.send_response(200 if data else 204)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    deployment.http_server.behave = portal
    with pytest.raises(FailedError) as caught:
        rotation.revoke([chosen])
    assert "unknown whether" in caught.value.message
    with pytest.raises(FailedError) as caught:
        rotation.rotate([chosen], _no_delivery)
    new = deployment.langflow.keys[-1]
    assert new is not old
    assert f"langkeys api-key revoke {new.id}" in (caught.value.hint or "")
    assert "removed again" not in (caught.value.hint or "")


def test_a_delete_that_is_only_said_is_found_out(deployment: Deployment) -> None:
    old, chosen = job(deployment)
    deployment.langflow.before = _keep_from_deleting(deployment)
    with pytest.raises(FailedError, match=r"says that .* is deleted, but .* still accepts it"):
        rotation.revoke([chosen])
    with pytest.raises(FailedError) as caught:
        rotation.rotate([chosen], _no_delivery)
    new = deployment.langflow.keys[-1]
    assert f"langkeys api-key revoke {new.id}" in (caught.value.hint or "")
    assert old in deployment.langflow.keys


def _no_delivery(*_: object) -> None:
    raise FailedError("stdout is closed")


def _keep_from_deleting(deployment: Deployment) -> Callable[[str, str], None]:
    def before(method: str, _: str) -> None:
        if method == "DELETE":
            raise Refused(200, "API Key deleted")

    return before


def test_a_change_of_a_user_that_another_page_answers_is_not_done(deployment: Deployment) -> None:
    bob = deployment.langflow.add_user("bob", password="old")
    server = deployment.server()
    user = users.get_user(server, "bob")
    for document in ({"status": "ok"}, {"detail": "x"}, None):
        answers_changed(deployment, "PATCH", users.PATH, lambda _, found=document: found)
        with pytest.raises(FailedError, match="may have been changed"):
            users.set_password(server, user, "a-new-password")
    assert bob.password == "a-new-password", "the fake does it: what counts is what is said"


@pytest.mark.parametrize("document", [{"status": "ok"}, None, {"id": str(uuid.uuid4())}])
def test_a_variable_that_another_page_takes_is_not_sent(
    deployment: Deployment, document: object
) -> None:
    deployment.langflow.add_variable("THERE", "old")
    for name, method in (("THERE", "PATCH"), ("NEW", "POST")):
        if method == "POST" and isinstance(document, dict) and "id" in document:
            continue  # a new variable may have any id, so this answer is valid
        answers_changed(deployment, method, variables.PATH, lambda _: document)
        with pytest.raises(FailedError, match="may have been set"):
            variables.set_variable(deployment.server(), variables.VariableUpdate(name, "new"))


@pytest.mark.parametrize("document", [{"status": "ok"}, [], None, "x"])
def test_a_page_for_everybody_is_no_superuser_for_everybody(
    deployment: Deployment, document: object
) -> None:
    behave = deployment.http_server.behave
    assert behave is not None

    def portal(handler: Any, request: Request) -> None:
        if request.api_key or not request.path.endswith("whoami"):
            behave(handler, request)
            return
        data = json.dumps(document).encode()
        handler.send_response(200)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    deployment.http_server.behave = portal
    found = [f.message for f in examine(deployment.server()).findings if f.section == "access"]
    assert not any("accepted, as a superuser" in message for message in found)
    assert any("gateway or proxy" in message for message in found)


# Proxies


@pytest.mark.parametrize(
    "value",
    [
        "http://user:pa/hidden@host:1", "http://user:pa?hidden@host:1",
        "http://user:pa#hidden@host:1", "http://user:hidden@[::1", "http://host:hidden",
        "http://user:hidden@host:99999", "http:// hidden", "http://", "://hidden",
        "socks5://user:hidden@host:1", "hidden://host", "http://user:12/hidden@host:1",
    ],
)  # fmt: skip
def test_a_proxy_that_cannot_be_one_is_an_error_that_shows_nothing_of_it(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("https_proxy", value)
    with pytest.raises(ConfigError, match="https_proxy") as caught:
        Client("https://langflow.invalid", new_api_key())
    assert "hidden" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("host:8080", "host:8080"),
        ("http://user:pass%2Fword@host:8080/", "host:8080"),
        ("http://user:p@ss@host", "host"),
        ("https://[::1]:3128", "[::1]:3128"),
    ],
)
def test_of_a_proxy_only_host_and_port_are_shown(value: str, shown: str) -> None:
    url, host = parsed_proxy(value, "http_proxy")
    assert host == shown
    assert url.endswith(value)


# Repeated warnings


def test_a_warning_of_http_is_said_once_however_many_keys_ask(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    client = Client("http://nobody.invalid:7860", new_api_key(), warn=said.append, timeout=5)
    for asking in (client, client.by(new_api_key()), client.by(new_api_key())):
        with pytest.raises(LangkeysError):
            asking.ask("GET", PATH)
    assert len(said) == 1
