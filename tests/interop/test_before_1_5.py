"""langkeys on the database of a live 1.4.3: it reads and revokes keys, and refuses the rest."""

from __future__ import annotations

import time

import pytest

from .database import Database
from .langflow_server import LangflowServer
from .langkeys_process import Langkeys

pytestmark = pytest.mark.only_with("0.4.3")


def made_over_rest(server: LangflowServer, name: str, token: str) -> str:
    answer = server.rest.create_key(name, token=token)
    assert answer.status == 200, answer
    key = str(answer.body["api_key"])
    deadline = time.monotonic() + 10
    while server.rest.whoami(key).status != 200:  # the server answers before it commits
        assert time.monotonic() < deadline
    return key


def test_what_the_server_made_is_read_and_revoked(
    server: LangflowServer, langkeys: Langkeys, database: Database, token: str, name: str
) -> None:
    keys = {f"{name}-{n}": made_over_rest(server, f"{name}-{n}", token) for n in range(4)}
    listed = {key["name"]: key for key in langkeys("api-key", "list", "--json").done().json()}
    assert keys.keys() <= listed.keys()
    first, second, third, kept = keys
    for one in keys:
        assert listed[one]["api_key"][:8] == keys[one][:8]
        found = langkeys("whoami", "--api-key", "-", "--json", stdin=keys[one]).done().json()
        assert found["api_key"]["id"] == listed[one]["id"]
        assert found["username"] == server.rest.whoami(keys[one]).body["username"]

    langkeys("api-key", "revoke", first, "--yes").done()
    langkeys("api-key", "revoke", "-", "--yes", stdin=keys[second]).done()
    database.execute(
        "UPDATE apikey SET created_at = '2001-01-01 00:00:00.000000' WHERE id = ?",
        listed[third]["id"].replace("-", ""),
    )
    langkeys("api-key", "prune", "--older-than", "3650d", "--yes").done()
    for one in (first, second, third):
        assert server.rest.whoami(keys[one], "header").status == 403
        assert server.rest.whoami(keys[one], "query").status == 403
        langkeys("whoami", "--api-key", "-", stdin=keys[one]).refused(4)
    assert server.rest.whoami(keys[kept]).status == 200


@pytest.mark.parametrize(
    "arguments",
    [
        ("api-key", "create"),
        ("user", "create", "somebody", "--random"),
        ("variable", "set", "NAME", "--value-file", "-"),
    ],
    ids=" ".join,
)
def test_what_would_write_is_refused(
    server: LangflowServer, langkeys: Langkeys, database: Database, arguments: tuple[str, ...]
) -> None:
    before = [database.count(table) for table in ("user", "apikey", "variable")]
    run = langkeys(*arguments, "--json", stdin="value").refused(2)
    assert run.error()["code"] == "unsupported"
    assert "1.4" in run.error()["message"]
    assert [database.count(table) for table in ("user", "apikey", "variable")] == before
    assert server.is_running


def test_doctor_names_the_release(langkeys: Langkeys) -> None:
    document = langkeys("doctor", "--json").done().json()
    assert document["generation"]["release"] == "1.4"
    assert document["generation"]["revision"] == "66f72f04a1de"


def test_an_inactive_key_is_let_in_as_by_1_5(
    server: LangflowServer, langkeys: Langkeys, database: Database, token: str, name: str
) -> None:
    key = made_over_rest(server, name, token)
    database.execute("UPDATE apikey SET is_active = 0 WHERE name = ?", name)
    assert server.rest.whoami(key).status == 200
    run = langkeys("whoami", "--api-key", "-", stdin=key).done()
    assert "inactive" in run.stderr


def test_a_clean_restart_goes_on_with_what_is_left(
    server: LangflowServer, token: str, name: str
) -> None:
    key = made_over_rest(server, name, token)
    server.restart()
    assert server.rest.whoami(key).status == 200
