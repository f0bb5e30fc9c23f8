"""The checks of doctor over REST, and what each version of Langflow supports there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langkeys.errors import FailedError, UnsupportedError
from langkeys.remote.abilities import ABILITIES, NEW, NO, VERSIONS, Ability, Version
from langkeys.remote.client import Client
from langkeys.remote.diagnosis import RemoteReport, examine
from langkeys.remote.server import Server

from ..support.fake_langflow import VERSIONS as SERVERS
from ..support.fake_langflow import Refused, ago
from ..support.servers import serving
from .conftest import Deployment

Deploy = Callable[[str], Deployment]


def problems(report: RemoteReport) -> list[str]:
    return [finding.message for finding in report.findings if finding.level == "problem"]


def said(report: RemoteReport) -> str:
    return "\n".join(f"{f.level} {f.message}" for f in report.findings)


@pytest.mark.parametrize("version", SERVERS)
def test_a_sound_server_has_no_problem(deploy: Deploy, version: str) -> None:
    report = examine(deploy(version).server())
    assert report.is_sound, problems(report)
    assert report.version == version
    assert report.acting is not None
    assert report.counts["active superusers"] == 1
    assert "only active superuser" in said(report)
    assert "ok its database answers" in said(report)
    assert "not visible over REST" in said(report)


@pytest.mark.parametrize("version", SERVERS)
def test_a_session_for_anybody_comes_first_and_is_never_used_or_shown(
    deploy: Deploy, version: str
) -> None:
    deployment = deploy(version)
    deployment.langflow.auto_login = True
    report = examine(deployment.server())
    assert report.findings[0].level == "problem"
    assert "anybody" in report.findings[0].message
    assert report.findings[0].section == "access"
    assert "LANGFLOW_AUTO_LOGIN=false" in str(report.findings[0].hint)
    assert "session-of-anybody" not in repr(report)
    assert all(
        "authorization" not in request.headers for request in deployment.http_server.requests
    )


def test_a_server_that_lets_anybody_in_is_a_problem(deployment: Deployment) -> None:
    deployment.langflow._user_of = lambda _: deployment.langflow.superuser  # type: ignore[method-assign]
    assert "without an API key" in problems(examine(deployment.server()))[0]


def test_a_refused_key_is_a_problem(deployment: Deployment) -> None:
    report = examine(deployment.server("sk-unknown"))
    assert "refuses the API key" in problems(report)[0]
    assert "sk-unknown" not in repr(report)


def test_without_a_key_the_rest_is_looked_at(deployment: Deployment) -> None:
    report = examine(Server(Client(deployment.http_server.url, None)))
    assert report.is_sound
    assert "without an API key" in said(report)


def test_a_gateway_in_the_way_is_told(deployment: Deployment) -> None:
    def gateway(method: str, path: str) -> None:
        if path.endswith("auto_login"):
            raise Refused(403, None)
        if path == "/health_check":
            raise Refused(500, {"status": "error", "db": "error check the server logs"})

    deployment.langflow.before = gateway
    report = examine(deployment.server())
    assert "cannot determine whether AUTO_LOGIN is on" in said(report)
    assert "its database does not answer" in problems(report)


def test_ones_own_keys_are_looked_at(deployment: Deployment) -> None:
    owner = deployment.langflow.superuser
    deployment.langflow.add_key(owner, "old", created_at=ago(days=100))
    deployment.langflow.add_key(owner, "ended", expires_at=ago(days=1))
    text = said(examine(deployment.server()))
    assert "(old) never expires" in text
    assert "(old) was not used for 90 days" in text
    assert "(ended) is expired" in text


def test_who_is_no_superuser_sees_no_users(deployment: Deployment) -> None:
    key = deployment.langflow.add_key(deployment.langflow.add_user("bob"))
    report = examine(deployment.server(key.value))
    assert "users" not in report.counts
    assert report.is_sound


def test_what_is_no_langflow_server_is_a_failure() -> None:
    with serving() as server:
        for status, body in (
            (404, {"detail": "Not Found"}),
            (200, {"version": 5}),
            (200, b"<html>"),
        ):
            server.status, server.body = status, body
            with pytest.raises(FailedError):
                examine(Server(Client(server.url, None)))


# Versions


@pytest.mark.parametrize(
    ("answered", "text", "column"),
    [
        ("0.5.1", "1.5.1", 0),
        ("0.7.3.post1", "1.7.3.post1", 0),
        ("0.8.4", "1.8.4", 1),
        ("0.9.6", "1.9.6", 1),
        ("0.10.3", "1.10.3", 2),
        ("1.12.8", "1.12.8", 2),
        ("1.13.0.dev5", "1.13.0.dev5", 3),
        ("1.14.0", "1.14.0", 3),
        ("2.0.0", "2.0.0", 3),
        ("1.11.6", "1.11.6", 2),
    ],
)
def test_a_servers_version_is_told_in_both_of_its_numbers(
    answered: str, text: str, column: int
) -> None:
    with serving() as server:
        server.body = {"version": answered}
        version = Server(Client(server.url, None)).version
    assert (version.text, version.column) == (text, column)


def test_an_older_server_than_any_that_was_tried_is_warned_about() -> None:
    heard: list[str] = []
    with serving() as server:
        server.body = {"version": "0.4.3"}
        assert Server(Client(server.url, None), heard.append).version.column == 0
    assert "1.4.3" in heard[0]


def test_a_gateway_that_wants_the_key_for_all_gets_it(deployment: Deployment) -> None:
    def gateway(method: str, path: str) -> None:
        if path.endswith("version") and deployment.http_server.requests[-1].api_key is None:
            raise Refused(401, None)

    deployment.langflow.before = gateway
    assert deployment.server().version.text == "1.13.0"


@pytest.mark.parametrize("ability", ABILITIES, ids=lambda ability: ability.name)
def test_what_a_version_does_not_do_says_why(ability: Ability) -> None:
    for column, cell in enumerate(ability.cells):
        version = Version(1, (5, 8, 10, 13)[column], VERSIONS[column])
        if cell == NEW:
            with pytest.raises(UnsupportedError):
                version.require(ability.name, is_new=False)
        if cell != NO:
            version.require(ability.name)
            continue
        with pytest.raises(UnsupportedError) as caught:
            version.require(ability.name)
        assert ability.name in caught.value.message
        assert ability.why
        assert caught.value.exit_code == 2
