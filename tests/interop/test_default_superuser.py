"""The superuser `langflow` with AUTO_LOGIN=false: an account that servers delete or deactivate.

The steps are in one fixture, because each step needs the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .database import Database
from .expectations import Expected
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .langkeys_process import Langkeys, Run


@dataclass
class Story:
    """What happened to a key of `langflow`, step by step."""

    made: Run
    accepted_before: int
    users_before: list[dict[str, object]]
    users_while_down: list[dict[str, object]]
    keys_while_down: int
    users_after: list[dict[str, object]]
    accepted_after: int
    whoami_after: Run
    made_after: Run


def users(database: Database) -> list[dict[str, object]]:
    return database.query("SELECT id, username, is_active, is_superuser FROM user")


@pytest.fixture(scope="module")
def server_of_langflow(
    version: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LangflowServer]:
    folder = tmp_path_factory.mktemp("default-superuser")
    with LangflowServer(version, folder, superuser="langflow") as server:
        yield server


@pytest.fixture(scope="module")
def story(server_of_langflow: LangflowServer, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Create a key for `langflow`, stop the server cleanly, and start it again."""
    server = server_of_langflow
    database = Database(server.database)
    langkeys = Langkeys(tmp_path_factory.mktemp("langkeys"), server.settings)
    made = langkeys("api-key", "create", "--name", "doomed").done()
    key = made.stdout.strip()
    accepted_before = server.rest.whoami(key).status
    users_before = users(database)
    server.stop()
    users_while_down, keys_while_down = users(database), database.count("apikey")
    server.start()
    return Story(
        made,
        accepted_before,
        users_before,
        users_while_down,
        keys_while_down,
        users(database),
        server.rest.whoami(key).status,
        langkeys("whoami", "--api-key", "-", "--json", stdin=key),
        langkeys("api-key", "create", "--name", "next"),
    )


def test_the_key_is_made_and_accepted(story: Story) -> None:
    assert story.made.stdout.startswith("sk-")
    assert story.accepted_before == 200


def test_langkeys_warns_of_what_the_server_will_do(story: Story, expected: Expected) -> None:
    warning = " ".join(story.made.stderr.split())
    if expected.deletes_default_superuser:
        assert "langflow" in warning
        assert "LANGFLOW_AUTO_LOGIN" in warning
        assert "delete" in warning
        # The advice.
        assert "another name" in warning
    else:
        # LANGFLOW_SUPERUSER names the account, so a 1.13 server claims and keeps it.
        assert "delete" not in warning


def test_a_clean_stop_and_start_end_the_account_or_keep_it(
    story: Story, expected: Expected
) -> None:
    if expected.deletes_default_superuser:
        assert story.users_while_down == []
        assert story.keys_while_down == 0
        # The start creates a new account with that name.
        (before,), (after,) = story.users_before, story.users_after
        assert after["username"] == "langflow"
        assert after["id"] != before["id"]
        assert story.accepted_after == 403
        assert story.whoami_after.refused(4).error()["code"] == "invalid_key"
    else:
        assert story.users_while_down == story.users_before
        assert story.users_after == story.users_before
        assert story.accepted_after == 200
        assert story.whoami_after.done().json()["username"] == "langflow"


def test_langkeys_goes_on_with_the_account_that_is_there(story: Story) -> None:
    assert story.made_after.done().stdout.startswith("sk-")


@pytest.mark.only_with("1.13.0")
def test_a_server_of_another_superuser_retires_langflow_with_its_keys(
    story: Story, server_of_langflow: LangflowServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = server_of_langflow
    doomed = story.made.stdout.strip()
    server.stop()
    server.settings |= {
        "LANGFLOW_SUPERUSER": SUPERUSER,
        "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD,
    }
    server.start()
    (langflow,) = Database(server.database).query(
        "SELECT is_active, retired_at FROM user WHERE username = 'langflow'"
    )
    assert langflow["is_active"] == 0
    assert langflow["retired_at"] is not None
    assert server.rest.whoami(doomed).status == 403

    langkeys = Langkeys(tmp_path_factory.mktemp("langkeys"), server.settings)
    refused = langkeys("whoami", "--api-key", "-", "--json", stdin=doomed).refused(4)
    assert refused.error()["code"] == "invalid_key"
    # No key is created for the retired account, because the server would refuse it.
    retired = langkeys("api-key", "create", "--user", "langflow", "--name", "retired", "--json")
    assert retired.refused(5).error()["code"] == "conflict"
    new = langkeys("api-key", "create", "--name", "new").done()
    assert server.rest.whoami(new.stdout.strip()).body["username"] == SUPERUSER
