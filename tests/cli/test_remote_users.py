"""``langkeys user create --if-missing --url URL``, for start-up scripts."""

from __future__ import annotations

from ..support.deployments import Deployment
from ..support.samples import PASSWORD, WRONG_PASSWORD


def test_a_user_who_is_missing_is_made_and_one_who_is_there_is_left(
    deployment: Deployment,
) -> None:
    line = ("user", "create", "ops", "--superuser", "--password-file", "-", "--if-missing")
    made = deployment.call(*line, "--json", stdin=PASSWORD).done().json()
    assert (made["username"], made["changed"], made["is_superuser"]) == ("ops", True, True)
    deeds = deployment.writes()
    # A second start has a different password, or none at all: this does not matter.
    for again in (line, ("user", "create", "ops", "--superuser", "--if-missing")):
        result = deployment.call(*again, "--json", stdin=WRONG_PASSWORD).done()
        assert (result.json()["id"], result.json()["changed"]) == (made["id"], False)
    result = deployment.call("user", "create", "ops", "--random", "--if-missing").done()
    assert result.rows[0][1] == "ops"
    deployment.call("user", "create", "new", "--if-missing").failed(2, "password")
    deployment.call("user", "create", "OPS", "--random", "--if-missing").failed(5, "ops")
    assert deployment.writes() == deeds


def test_a_made_up_password_comes_with_changed(deployment: Deployment) -> None:
    arguments = ("user", "create", "ops", "--random", "--if-missing", "--json")
    found = deployment.call(*arguments).done().json()
    assert list(found)[-2:] == ["password", "changed"]
    assert found["password"] == deployment.langflow.users[-1].password


def test_what_is_not_as_it_was_asked_for_is_said(deployment: Deployment) -> None:
    deployment.langflow.add_user("alice", is_active=False)
    arguments = ("user", "create", "alice", "--superuser", "--if-missing", "--random")
    result = deployment.call(*arguments).done()
    assert f"langkeys user promote alice --url {deployment.server.url}" in result.stderr
    assert "inactive" in result.stderr


def test_another_start_that_is_faster_is_no_failure(deployment: Deployment) -> None:
    def faster(method: str, _: str) -> None:
        if method == "POST":
            deployment.langflow.add_user("ops")

    deployment.langflow.before = faster
    arguments = ("user", "create", "ops", "--random", "--if-missing", "--json")
    assert deployment.call(*arguments).done().json()["changed"] is False
