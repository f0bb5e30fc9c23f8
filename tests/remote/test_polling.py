"""Servers up to 1.11 answer a write before they commit it: langkeys waits for the commit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langkeys.remote import api_keys, creation, polling, references, rotation, users, variables
from langkeys.remote.polling import poll

from .conftest import Deployment

LAG = 0.2


@pytest.fixture
def late(deploy: Callable[[str], Deployment], monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(polling, "POLL_SECONDS", 5.0)
    deployment = deploy("1.8.4")
    deployment.langflow.lag = LAG
    return deployment


def test_a_key_is_made_rotated_and_revoked(late: Deployment) -> None:
    new = creation.create(late.server(), "job")
    chosen = references.choose_acting(late.server(), new.plaintext, "line 1")
    (item,) = rotation.rotate([chosen], lambda *_: None)
    rotation.revoke([references.choose_acting(late.server(), item.new.plaintext, "line 1")])
    assert [key.name for key in late.langflow.keys] == ["acting"]


def test_a_key_of_ones_own_is_revoked(late: Deployment) -> None:
    late.langflow.add_key(late.langflow.superuser, "ci")
    server = late.server()
    rotation.revoke([references.choose(server, api_keys.list_keys(server), "ci", destroys=True)])
    assert [key.name for key in late.langflow.keys] == ["acting"]


def test_a_new_key_that_is_not_there_yet_is_taken_back(late: Deployment) -> None:
    late.langflow.lag = 0.6
    polling.POLL_SECONDS = 0.3  # the fixture resets it

    def wait(method: str, _: str) -> None:
        if method == "DELETE":
            polling.POLL_SECONDS = 5.0
            late.langflow.lag = 0.0

    late.langflow.before = wait
    with pytest.raises(Exception, match="not accepted"):
        creation.create(late.server(), "job")
    assert [key.name for key in late.langflow.keys] == ["acting"]


def test_the_new_id_of_a_lost_answer_is_waited_for(late: Deployment) -> None:
    late.langflow.lose("POST", api_keys.PATH, is_done=True)
    with pytest.raises(Exception, match="of that name") as caught:
        creation.create(late.server(), "job")
    assert late.langflow.keys[-1].id in str(caught.value.hint)  # type: ignore[attr-defined]


def test_variables_and_users_are_waited_for(late: Deployment) -> None:
    server = late.server()
    variables.set_variable(server, variables.VariableUpdate("TOKEN", "x"))
    row, _ = variables.get_variable(server, variables.list_variables(server), "TOKEN")
    variables.delete_variables(server, [row])
    assert late.langflow.variables == []
    made = users.create_user(server, "alice", "password-of-alice", is_superuser=True)
    assert made.is_active


def test_what_never_comes_right_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.25)
    looks: list[int] = []

    def look() -> int:
        looks.append(len(looks))
        return looks[-1]

    assert poll(look, lambda seen: seen == 1) == 1
    assert poll(look, lambda _: False) >= 3
