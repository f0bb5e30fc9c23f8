"""Users over REST: listed in pages, created with two requests, and always with a superuser."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langkeys.errors import ConflictError, FailedError, ForbiddenError, NotFoundError
from langkeys.remote import users
from langkeys.remote.client import LostAnswerError

from ..support.fake_langflow import VERSIONS, Refused
from .conftest import Deployment

Deploy = Callable[[str], Deployment]
PASSWORD = "password-of-the-new-user"


@pytest.mark.parametrize("version", VERSIONS)
def test_all_users_are_listed_whatever_a_page_holds(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    for number in range(450):
        deployment.langflow.add_user(f"user-{number:03}")
    found = users.list_users(deployment.server())
    assert [user.username for user in found] == [u.username for u in deployment.langflow.users]
    assert {user.profile_image for user in found} == {"Space/046-rocket.svg"}


def test_a_server_that_repeats_a_page_does_not_hold_us(deployment: Deployment) -> None:
    page = type(deployment.langflow)._page
    deployment.langflow._page = (  # type: ignore[method-assign]
        lambda asked: page(deployment.langflow, asked) | {"total_count": 999_999}
    )
    with pytest.raises(LostAnswerError, match="has 999999 users, but lists 1"):
        users.list_users(deployment.server())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("is_superuser", [True, False])
def test_a_new_user_is_active_at_once(deploy: Deploy, version: str, is_superuser: bool) -> None:
    deployment = deploy(version)
    made = users.create_user(deployment.server(), "alice", PASSWORD, is_superuser=is_superuser)
    assert (made.is_active, made.is_superuser) == (True, is_superuser)
    stored = deployment.langflow.users[-1]
    assert (stored.password, stored.is_active, stored.is_superuser) == (
        PASSWORD,
        True,
        is_superuser,
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["bob", "BOB", "Bob"])
def test_a_name_that_is_taken_in_any_case_is_a_conflict(
    deploy: Deploy, version: str, name: str
) -> None:
    deployment = deploy(version)
    deployment.langflow.add_user("bob")
    with pytest.raises(ConflictError):
        users.create_user(deployment.server(), name, PASSWORD, is_superuser=False)
    assert deployment.writes() == []


def test_where_somebody_is_faster_the_servers_refusal_is_a_conflict(deployment: Deployment) -> None:
    def faster(method: str, _: str) -> None:
        if method == "POST":
            deployment.langflow.add_user("alice")

    deployment.langflow.before = faster
    with pytest.raises(ConflictError):
        users.create_user(deployment.server(), "alice", PASSWORD, is_superuser=False)


def test_a_user_who_could_not_be_activated_is_named_with_the_next_step(
    deployment: Deployment,
) -> None:
    def break_down(method: str, _: str) -> None:
        if method == "PATCH":
            raise Refused(500, f"it broke on {PASSWORD}")

    deployment.langflow.before = break_down
    with pytest.raises(FailedError, match="was created in") as caught:
        users.create_user(deployment.server(), "alice", PASSWORD, is_superuser=True)
    assert "langkeys user activate alice and langkeys user promote alice" in (
        caught.value.hint or ""
    )
    assert PASSWORD not in caught.value.message


def test_a_lost_answer_says_what_may_be_there(deployment: Deployment) -> None:
    deployment.langflow.lose("POST", users.PATH, is_done=True)
    with pytest.raises(FailedError, match="may have been created"):
        users.create_user(deployment.server(), "alice", PASSWORD, is_superuser=False)
    user = users.get_user(deployment.server(), "alice")
    deployment.langflow.lose("PATCH", users.PATH, is_done=True)
    with pytest.raises(FailedError, match="may have been changed"):
        users.change_state(deployment.server(), user, is_active=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_states_and_passwords_change_and_read_back(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    stored = deployment.langflow.add_user("alice")
    server = deployment.server()
    alice = users.get_user(server, "alice")
    assert users.change_state(server, alice, is_superuser=True).is_superuser
    assert not users.change_state(server, alice, is_active=False).is_active
    assert users.set_password(server, alice, PASSWORD).username == "alice"
    assert (stored.is_superuser, stored.is_active, stored.password) == (True, False, PASSWORD)


def test_nothing_is_sent_where_nothing_changes(deployment: Deployment) -> None:
    deployment.langflow.add_user("alice")
    server = deployment.server()
    users.change_state(server, users.get_user(server, "alice"), is_active=True)
    assert deployment.writes() == []


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_superuser": False}])
def test_nobody_ends_themselves_or_the_last_superuser(
    deployment: Deployment, change: dict[str, bool]
) -> None:
    server = deployment.server()
    own = users.get_user(server, "administrator")
    with pytest.raises(ConflictError, match="is the acting user"):
        users.change_state(server, own, **change)
    # Another superuser, who is now the last one, because the acting one has been demoted.
    other = deployment.langflow.add_user("other", is_superuser=True)
    chosen = users.get_user(server, "other")
    listed = deployment.langflow._user
    deployment.langflow._user = (  # type: ignore[method-assign]
        lambda user: listed(user) | {"is_superuser": user is other}
    )
    with pytest.raises(ConflictError, match="last active superuser"):
        users.change_state(server, chosen, **change)
    assert deployment.writes() == []


def test_users_are_for_superusers(deployment: Deployment) -> None:
    bob = deployment.langflow.add_user("bob")
    key = deployment.langflow.add_key(bob)
    server = deployment.server(key.value)
    with pytest.raises(ForbiddenError):
        server.require_superuser()
    with pytest.raises(ForbiddenError):
        users.list_users(server)


def test_an_id_goes_before_a_name_and_says_so(deployment: Deployment) -> None:
    alice = deployment.langflow.add_user("alice")
    deployment.langflow.add_user(alice.id)
    assert users.get_user(deployment.server(), alice.id).username == "alice"
    assert "the user with the id is used" in deployment.said[0]
    with pytest.raises(NotFoundError) as caught:
        users.get_user(deployment.server(), "ALICE")
    assert "'alice'" in (caught.value.hint or "")
