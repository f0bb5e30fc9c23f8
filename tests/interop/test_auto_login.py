"""A server with AUTO_LOGIN=true: keys without a password, for the user that it logs in.

Its secret key is shorter than 32 characters: generations differ in how they derive the Fernet key
from it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .expectations import Expected
from .langflow_rest import Via
from .langflow_server import SUPERUSER, LangflowServer
from .langkeys_process import Langkeys


@pytest.fixture(scope="module")
def open_server(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LangflowServer]:
    """A running server with AUTO_LOGIN=true, on which LANGFLOW_SUPERUSER is also set."""
    folder = tmp_path_factory.mktemp("open-server")
    short = {"LANGFLOW_SECRET_KEY": "a-short-one"}
    with LangflowServer(version, folder, auto_login=True, password=None, extra=short) as server:
        # 1.10.0 and 1.10.1 have the same revision: only a value encrypted by the server differs.
        session = server.rest.request("GET", "/api/v1/auto_login").body["access_token"]
        assert server.rest.create_key("of the server", token=session).status == 200
        yield server


@pytest.fixture(scope="module")
def langkeys(open_server: LangflowServer, tmp_path_factory: pytest.TempPathFactory) -> Langkeys:
    assert "LANGFLOW_SUPERUSER_PASSWORD" not in open_server.settings
    return Langkeys(tmp_path_factory.mktemp("langkeys"), open_server.settings)


@pytest.fixture(scope="module")
def logged_in(expected: Expected) -> str:
    return SUPERUSER if expected.named_auto_login else "langflow"


@pytest.mark.parametrize("via", ["header", "query"])
def test_a_key_is_made_without_a_password_for_the_user_that_the_server_logs_in(
    via: Via, open_server: LangflowServer, langkeys: Langkeys, logged_in: str
) -> None:
    run = langkeys("api-key").done()
    answer = open_server.rest.whoami(run.stdout.strip(), via)
    assert answer.status == 200
    assert answer.body["username"] == logged_in
    assert answer.body["is_superuser"] is True

    session = open_server.rest.request("GET", "/api/v1/auto_login")
    assert session.status == 200
    token = session.body["access_token"]
    by_session = open_server.rest.request("GET", "/api/v1/users/whoami", token=token)
    assert by_session.body["id"] == answer.body["id"]


def test_whoami_here_names_that_user(langkeys: Langkeys, logged_in: str) -> None:
    run = langkeys("whoami", "--require-superuser", "--json").done()
    assert run.json()["username"] == logged_in
    assert "api_key" not in run.json()


def test_a_key_made_over_rest_is_listed_and_revoked(
    open_server: LangflowServer, langkeys: Langkeys, name: str, logged_in: str
) -> None:
    key = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    theirs = open_server.rest.create_key(f"{name}-rest", key=key).body
    while open_server.rest.whoami(theirs["api_key"]).status != 200:
        pass  # Langflow 1.8 to 1.11 answers before it commits.
    listed = {listed["id"]: listed for listed in langkeys("api-key", "list", "--json").json()}
    assert listed[theirs["id"]]["username"] == logged_in
    langkeys("api-key", "revoke", theirs["id"], "--yes").done()
    assert open_server.rest.whoami(theirs["api_key"]).status == 403
    assert open_server.rest.whoami(key).status == 200


def test_a_short_secret_key_opens_what_either_wrote(
    open_server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    ours = langkeys("api-key", "create", "--name", name, "--json").done().json()
    theirs = open_server.rest.create_key(f"{name}-rest", key=ours["api_key"]).body
    while open_server.rest.whoami(theirs["api_key"]).status != 200:
        pass  # Langflow 1.8 to 1.11 answers before it commits.

    # Lists show the start of a key, so the server must decrypt it.
    seen_there = {key["id"]: key for key in open_server.rest.keys(ours["api_key"]).body["api_keys"]}
    seen_here = {key["id"]: key for key in langkeys("api-key", "list", "--json").done().json()}
    for made in (ours, theirs):
        masked = made["api_key"][:8] + "*" * (len(made["api_key"]) - 8)
        assert seen_there[made["id"]]["api_key"] == masked
        assert seen_here[made["id"]]["api_key"] == masked


def test_a_caller_without_a_key_gets_what_the_generation_gives(
    open_server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    key = langkeys("api-key").done().stdout.strip()
    flow = open_server.rest.create_flow(name, key=key)
    assert open_server.rest.whoami(None).status == expected.whoami_without_key
    assert open_server.rest.run(flow, None).status == expected.run_without_key
    mcp = open_server.rest.request("GET", "/api/v1/mcp/sse")
    assert mcp.status == (200 if expected.open_mcp else 403)
    # A wrong key is refused even where no key is accepted.
    assert open_server.rest.whoami("sk-wrong").status == 403
    assert open_server.rest.run(flow, "sk-wrong").status == 403


def test_doctor_says_who_gets_in_without_a_key(langkeys: Langkeys, expected: Expected) -> None:
    run = langkeys("doctor", "--json")
    access = [finding for finding in run.json()["findings"] if finding["section"] == "access"]
    said = " ".join(finding["message"] for finding in access)
    assert "/api/v1/auto_login" in said
    assert ("LANGFLOW_SKIP_AUTH_AUTO_LOGIN lets" in said) is (expected.run_without_key == 200)
    assert ("/api/v1/mcp" in said) is expected.open_mcp
    assert ("/api/v1/webhook" in said) is expected.open_webhooks
