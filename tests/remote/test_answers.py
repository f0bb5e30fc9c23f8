"""How answers are interpreted: refusals by Langflow, refusals by a gateway, and others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from langkeys.errors import FailedError, ForbiddenError, InvalidKeyError, LangkeysError
from langkeys.remote.client import Answer, Client, LostAnswerError, RejectedError

from ..support.samples import new_api_key
from ..support.servers import Server, serving

KEY = new_api_key()
VALUE = "value-that-is-sent-and-never-shown"
PATH = "/api/v1/users/whoami"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as scripted:
        yield scripted


def answered(status: int, body: Any, **headers: str) -> LangkeysError:
    with serving() as server:
        server.status, server.body = status, body
        server.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        client = Client(server.url, KEY)
        client.hide(VALUE)
        with pytest.raises(LangkeysError) as caught:
            client.get(PATH)
        assert KEY not in f"{caught.value.message}{caught.value.hint}"
        assert VALUE not in f"{caught.value.message}{caught.value.hint}"
        return caught.value


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "detail",
    [
        "Invalid or missing API key",
        "Invalid API key",
        "API key authentication failed",
        "Inactive user",
        "Invalid token",
    ],
)
def test_langflows_own_refusal_is_about_the_key(status: int, detail: str) -> None:
    assert isinstance(answered(status, {"detail": detail}), InvalidKeyError)
    bearer = answered(status, {"detail": detail}, WWW_Authenticate="Bearer")
    assert isinstance(bearer, InvalidKeyError)


def test_langflows_refusal_of_the_deed_is_no_refusal_of_the_key() -> None:
    error = answered(403, {"detail": "You can't deactivate your own user account"})
    assert type(error) is ForbiddenError
    coded = {"code": "interactive_login_required", "message": "Log in to do that"}
    assert "Log in to do that" in answered(403, {"detail": coded}).message


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body",
    [
        b"<html><h1>403 Forbidden</h1></html>",
        b"",
        {"message": "Forbidden"},
        {"message": "No API key found in request", "detail": "x"},
        {"error": "unauthorized"},
        {"detail": ""},
        {"detail": None},
        {"detail": 5},
        {"detail": ["Invalid API key"]},
        ["Invalid API key"],
        "Invalid API key",
    ],
)
def test_a_gateways_refusal_says_nothing_about_the_key(status: int, body: Any) -> None:
    error = answered(status, body)
    assert error.exit_code == 1
    assert "gateway" in (error.hint or "")


@pytest.mark.parametrize("scheme", ["Basic realm=x", "Negotiate", "Digest realm=x"])
def test_another_kind_of_login_is_a_gateways(scheme: str) -> None:
    error = answered(401, {"detail": "Not authenticated"}, WWW_Authenticate=scheme)
    assert error.exit_code == 1
    assert scheme.partition(" ")[0] in error.message


@pytest.mark.parametrize(
    "detail",
    ["An API key must be passed as query or header", "No authentication credentials provided"],
)
def test_a_key_that_did_not_arrive_is_not_refused(server: Server, detail: str) -> None:
    server.status, server.body = 403, {"detail": detail}
    for via, other in (("header", "query"), ("query", "header")):
        client = Client(server.url, KEY, via=via)
        with pytest.raises(FailedError, match="did not arrive") as caught:
            client.get(PATH)
        assert caught.value.exit_code == 1
        assert f"--via {other}" in (caught.value.hint or "")


# Other answers


def test_of_a_422_only_where_and_what_is_shown() -> None:
    body = {
        "detail": [
            {
                "type": "missing",
                "loc": ["body", "default_fields"],
                "msg": "Field required",
                "input": {"name": "X", "value": VALUE, "key": KEY},
            },
            {"loc": ["body", VALUE, {"x": VALUE}], "msg": f"Value error, {VALUE}", "ctx": VALUE},
            "nonsense",
        ]
    }
    error = answered(422, body)
    assert isinstance(error, RejectedError)
    assert "body.default_fields: Field required" in error.message


def test_a_secret_that_is_repeated_in_another_form_does_not_show(server: Server) -> None:
    secret = 'line one "quoted"\nl\u00efne two/three'
    client = Client(server.url, KEY)
    client.hide(secret)
    for form in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        shown = client.shown(f"provider says: {form}")
        assert "quoted" not in shown
        assert "two" not in shown


@pytest.mark.parametrize(
    ("after", "words"),
    [("60", "60 seconds"), ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21"), ("", "later")],
)
def test_too_many_requests_are_told_with_when_to_try_again(after: str, words: str) -> None:
    error = answered(429, {"detail": "slow down"}, Retry_After=after)
    assert error.exit_code == 1
    assert words in (error.hint or "")


def test_a_wrong_base_path_is_told() -> None:
    error = answered(404, {"detail": "Not Found"})
    assert error.exit_code == 1
    assert "path" in (error.hint or "")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"<html>", {"detail": "it broke"}])
def test_an_error_of_the_server_may_come_after_the_deed(status: int, body: Any) -> None:
    error = answered(status, body)
    assert type(error) is LostAnswerError
    assert str(status) in error.message
    assert "redirect" not in (error.hint or "")


@pytest.mark.parametrize("status", [400, 404, 409])
def test_what_langflow_rejects_is_told_in_its_words(status: int) -> None:
    error = answered(status, {"detail": f"API key not found: {KEY}"})
    assert type(error) is RejectedError
    assert "API key not found: (hidden)" in error.message


def test_an_answer_says_whether_it_is_done() -> None:
    assert Answer("GET", "x", 201, None, {}).is_done
    assert not Answer("GET", "x", 307, None, {}).is_done


def test_of_a_long_answer_only_the_start_is_shown() -> None:
    assert len(answered(400, {"detail": "x" * 100_000}).message) < 1000
