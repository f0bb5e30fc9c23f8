"""`langkeys whoami`, `langkeys whoami --remote` and the server itself agree."""

from __future__ import annotations

import re

import pytest

from .database import Database
from .langflow_rest import Via
from .langflow_server import SUPERUSER, LangflowServer
from .langkeys_process import Langkeys

FIELDS = [
    "id",
    "username",
    "profile_image",
    "store_api_key",
    "is_active",
    "is_superuser",
    "create_at",
    "updated_at",
    "last_login_at",
]
TIMES = ("create_at", "updated_at", "last_login_at")


@pytest.fixture(scope="module")
def key(langkeys: Langkeys) -> str:
    return langkeys("api-key", "create", "--name", "whoami").done().stdout.strip()


@pytest.mark.parametrize("via", ["header", "query"])
def test_here_remote_and_the_server_agree(
    via: Via, server: LangflowServer, langkeys: Langkeys, key: str, token: str
) -> None:
    # The token fixture logged in, so that last_login_at has a value to compare.
    assert token
    here = langkeys("whoami", "--api-key", "-", "--json", stdin=key).done().json()
    asked = ("whoami", "--url", server.url, "--via", via, "--api-key", "-", "--json")
    remote = langkeys(*asked, stdin=key).done().json()
    answer = server.rest.whoami(key, via)

    assert answer.status == 200
    assert list(answer.body) == [*FIELDS, "optins"]
    assert list(remote) == [*FIELDS, "optins"]
    assert list(here) == [*FIELDS, "optins", "api_key"]
    assert here["api_key"]["name"] == "whoami"
    assert here["api_key"]["expires_at"] is None
    assert {field: value for field, value in here.items() if field != "api_key"} == remote

    for field in TIMES:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", here[field]), field
        # Servers before 1.13 leave out the Z.
        assert here[field] == answer.body[field].removesuffix("Z") + "Z", field
    for field in {*FIELDS, "optins"} - {*TIMES, "store_api_key"}:
        assert here[field] == answer.body[field], field


def test_the_address_and_the_key_can_come_from_the_environment(
    server: LangflowServer, langkeys: Langkeys, key: str
) -> None:
    run = langkeys(
        "whoami", "--remote", "--json", LANGFLOW_URL=server.url, LANGFLOW_API_KEY=key
    ).done()
    assert run.json()["username"] == SUPERUSER


def test_a_key_that_nobody_has_is_refused_here_and_there(
    server: LangflowServer, langkeys: Langkeys
) -> None:
    nobody = "sk-" + "x" * 43
    for arguments in ((), ("--url", server.url), ("--url", server.url, "--via", "query")):
        refused = langkeys("whoami", *arguments, "--api-key", "-", "--json", stdin=nobody)
        assert refused.refused(4).error()["code"] == "invalid_key"
        assert nobody not in refused.stderr


def test_a_server_that_does_not_answer_is_a_failure(langkeys: Langkeys, key: str) -> None:
    # Port 9 is the discard service, which modern machines do not run.
    run = langkeys("whoami", "--url", "http://127.0.0.1:9", "--api-key", "-", "--json", stdin=key)
    assert run.refused(1).error()["code"] == "failed"
    assert key not in run.stderr


def test_whoami_counts_no_use_and_the_server_counts_one(
    server: LangflowServer, langkeys: Langkeys, database: Database, name: str
) -> None:
    made = langkeys("api-key", "create", "--name", name, "--json").done().json()
    langkeys("whoami", "--api-key", "-", stdin=made["api_key"]).done()
    unused = database.key(made["id"])
    assert (unused["total_uses"], unused["last_used_at"]) == (0, None)

    server.rest.whoami(made["api_key"])
    used = langkeys("api-key", "show", made["id"], "--json").done().json()
    assert used["total_uses"] >= 1
    assert used["last_used_at"] is not None


def test_require_superuser_tells_a_superuser_from_another(
    server: LangflowServer, langkeys: Langkeys, key: str, name: str
) -> None:
    server.rest.create_user(name, "a-password-of-the-other", key=key)
    made = langkeys("api-key", "create", "--user", name, "--name", name).done()
    others = made.stdout.strip()
    assert server.rest.whoami(others).body["is_superuser"] is False

    for where in ((), ("--url", server.url)):
        arguments = ("whoami", *where, "--api-key", "-", "--require-superuser", "--json")
        assert langkeys(*arguments, stdin=key).done().json()["is_superuser"] is True
        run = langkeys(*arguments, stdin=others)
        assert run.returncode == 1
        assert run.json()["username"] == name

    refused = langkeys("api-key", "list", "--json", LANGKEYS_API_KEY=others).refused(4)
    assert refused.error()["code"] == "forbidden"
