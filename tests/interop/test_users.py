"""Users that langkeys creates and changes, as seen by a running server."""

from __future__ import annotations

import time
import uuid
from typing import Any

from .database import Database
from .expectations import Expected
from .langflow_rest import Answer
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .langkeys_process import Langkeys

FIRST = "the-first-password-of-somebody"
SECOND = "the-second-password-of-somebody"


def create_user(langkeys: Langkeys, name: str, *options: str, password: str = FIRST) -> Any:
    """Create a user with a password from stdin, and return the JSON object."""
    arguments = ("user", "create", name, "--password-file", "-", "--json", *options)
    return langkeys(*arguments, stdin=password).done().json()


def key_of(langkeys: Langkeys, name: str) -> str:
    return langkeys("api-key", "create", "--user", name, "--name", name).done().stdout.strip()


def logged_in(server: LangflowServer, name: str, password: str) -> Answer:
    form = {"username": name, "password": password}
    return server.rest.request("POST", "/api/v1/login", form=form)


def by_token(server: LangflowServer, token: str, path: str) -> Answer:
    return server.rest.request("GET", path, token=token)


def test_a_user_made_here_logs_in_and_finds_a_project(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    user = create_user(langkeys, name)
    assert (user["is_active"], user["is_superuser"], user["last_login_at"]) == (True, False, None)

    token = server.rest.login(name, FIRST)
    whoami = by_token(server, token, "/api/v1/users/whoami")
    assert whoami.status == 200
    assert (whoami.body["id"], whoami.body["username"]) == (user["id"], name)
    projects = by_token(server, token, "/api/v1/projects/")
    assert projects.status == 200
    assert len(projects.body) == 1

    deadline = time.monotonic() + 5
    while (shown := langkeys("user", "show", name, "--json").done().json())[
        "last_login_at"
    ] is None:
        assert time.monotonic() < deadline, "the login is not in the database"
    assert shown["last_login_at"][:19] == whoami.body["last_login_at"][:19]


def test_the_key_of_a_user_who_never_logged_in_runs_a_flow(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    create_user(langkeys, name)
    key = key_of(langkeys, name)
    assert server.rest.whoami(key).body["username"] == name
    flow = server.rest.create_flow(name, key=key)
    assert server.rest.run(flow, key).status == 200


def test_the_row_is_the_one_that_a_server_makes(
    server: LangflowServer, langkeys: Langkeys, database: Database, name: str
) -> None:
    admin = key_of(langkeys, SUPERUSER)
    theirs = uuid.UUID(server.rest.create_user(f"{name}-theirs", FIRST, key=admin)).hex
    ours = uuid.UUID(create_user(langkeys, name)["id"]).hex

    def row(user_id: str) -> dict[str, Any]:
        (found,) = database.query("SELECT * FROM user WHERE id = ?", user_id)
        for column in ("create_at", "updated_at"):
            assert len(found.pop(column)) == len("2027-01-31 18:00:00.000000")
        assert found.pop("password").startswith("$2b$12$")
        return {column: found[column] for column in found if column not in ("id", "username")}

    # create_user has activated the server's user: servers only do so if NEW_USER_IS_ACTIVE is set.
    assert row(ours) == row(theirs)


def test_a_new_password_logs_in_and_the_old_one_is_refused(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    create_user(langkeys, name)
    key, token = key_of(langkeys, name), server.rest.login(name, FIRST)
    langkeys("user", "set-password", name, "--password-file", "-", stdin=f"{SECOND}\n").done()
    assert logged_in(server, name, FIRST).status == 401
    assert logged_in(server, name, SECOND).status == 200
    # As the help says, keys and sessions keep working.
    assert server.rest.whoami(key).status == 200
    assert by_token(server, token, "/api/v1/users/whoami").status == 200

    third = langkeys("user", "set-password", name, "--random").done().stdout.strip()
    assert logged_in(server, name, SECOND).status == 401
    assert logged_in(server, name, third).status == 200


def test_a_password_beyond_what_bcrypt_counts_logs_in(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    create_user(langkeys, name, password="ä" * 60)
    assert logged_in(server, name, "ä" * 60).status == 200
    assert logged_in(server, name, "ä" * 35).status == 401


def test_a_deactivated_user_is_out_until_activated_again(
    server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    create_user(langkeys, name)
    key = key_of(langkeys, name)
    flow = server.rest.create_flow(name, key=key)

    run = langkeys("user", "deactivate", name, "--json").done()
    assert (run.json()["is_active"], run.json()["revoked_keys"]) == (False, [])
    assert logged_in(server, name, FIRST).status in (400, 401)
    assert server.rest.whoami(key).status == expected.inactive_owner_at_whoami
    assert server.rest.run(flow, key).status == expected.inactive_owner_at_run
    # langkeys warns exactly if the key still runs flows.
    assert ("--revoke-keys" in run.stderr) == (expected.inactive_owner_at_run == 200)

    langkeys("user", "activate", name).done()
    assert server.rest.whoami(key).status == 200
    assert server.rest.run(flow, key).status == 200
    assert logged_in(server, name, FIRST).status == 200


def test_a_user_deactivated_with_their_keys_revoked_is_out_for_good(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    create_user(langkeys, name)
    key = key_of(langkeys, name)
    flow = server.rest.create_flow(name, key=key)
    run = langkeys("user", "deactivate", name, "--revoke-keys", "--json").done()
    assert len(run.json()["revoked_keys"]) == 1
    assert (server.rest.whoami(key).status, server.rest.run(flow, key).status) == (403, 403)
    langkeys("user", "activate", name).done()
    assert server.rest.whoami(key).status == 403


def test_promoting_and_demoting_count_at_once(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    create_user(langkeys, name)
    key = key_of(langkeys, name)

    def standing() -> tuple[bool, bool]:
        whoami = server.rest.whoami(key)
        everybody = server.rest.request("GET", "/api/v1/users/", key=key)
        return whoami.body["is_superuser"], everybody.status == 200

    assert standing() == (False, False)
    langkeys("user", "promote", name).done()
    assert standing() == (True, True)
    assert langkeys("api-key", "list", LANGKEYS_API_KEY=key).done()
    langkeys("user", "demote", name).done()
    assert standing() == (False, False)
    refused = langkeys("api-key", "list", "--json", LANGKEYS_API_KEY=key).refused(4)
    assert refused.error()["code"] == "forbidden"


def test_a_superuser_made_here_is_one_at_the_server(
    server: LangflowServer, langkeys: Langkeys, name: str
) -> None:
    create_user(langkeys, name, "--superuser")
    token = server.rest.login(name, FIRST)
    everybody = by_token(server, token, "/api/v1/users/?limit=200")
    assert everybody.status == 200
    listed = langkeys("user", "list", "--json").done().json()
    assert {user["id"] for user in listed} == {user["id"] for user in everybody.body["users"]}


def test_a_name_is_taken_whoever_took_it_and_in_whatever_case(
    server: LangflowServer, langkeys: Langkeys, database: Database, expected: Expected, name: str
) -> None:
    admin = key_of(langkeys, SUPERUSER)
    server.rest.create_user(f"{name}-theirs", FIRST, key=admin)
    before = database.count("user")
    for taken in (f"{name}-theirs", f"{name}-Theirs", SUPERUSER.upper()):
        run = langkeys("user", "create", taken, "--random", "--json").refused(5)
        assert run.error()["code"] == "conflict"
    assert database.count("user") == before

    create_user(langkeys, name)
    body = {"username": name.upper(), "password": FIRST}
    answer = server.rest.request("POST", "/api/v1/users/", key=admin, json_body=body)
    assert answer.status == (400 if expected.names_ignore_case else 201)


def test_a_new_password_of_the_configured_superuser_outlives_a_restart(
    server: LangflowServer, langkeys: Langkeys
) -> None:
    """The server keeps its old setting, but does not reset the password to it."""
    run = langkeys("user", "set-password", SUPERUSER, "--password-file", "-", stdin=SECOND).done()
    assert "LANGFLOW_SUPERUSER_PASSWORD (environment) is out of date" in run.stderr
    assert langkeys("user", "list", "--json").refused(4).error()["code"] == "unauthenticated"
    try:
        server.restart()
        assert logged_in(server, SUPERUSER, PASSWORD).status == 401
        assert logged_in(server, SUPERUSER, SECOND).status == 200
    finally:
        langkeys(
            "user", "set-password", SUPERUSER, "--password-file", "-",
            stdin=PASSWORD, LANGFLOW_SUPERUSER_PASSWORD=SECOND,
        ).done()  # fmt: skip
    assert logged_in(server, SUPERUSER, PASSWORD).status == 200
