"""The audit trail of changes over REST, with the server's address as the database."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import langkeys
from langkeys.remote.records import NoChanges, ServerChange

from ..support.deployments import Deployment
from ..support.fake_langflow import FakeKey
from ..support.samples import CREDENTIAL, PASSWORD, assert_no_secret, hash_of
from ..support.sites import Result
from .test_remote_options import REMOTE

WRITES = {
    "api-key create": (),
    "api-key revoke": ("ci", "--yes"),
    "api-key rotate": ("ci",),
    "api-key prune": ("--older-than", "1s", "--yes"),
    "variable set": ("TOKEN", "--value-file", "-"),
    "variable import": ("-", "--only", "TOKEN"),
    "variable delete": ("OLD", "--yes"),
    "user create": ("bob", "--random"),
    "user activate": ("off",),
    "user deactivate": ("alice",),
    "user promote": ("alice",),
    "user demote": ("other",),
    "user set-password": ("alice", "--random"),
}
READS = REMOTE - set(WRITES)


class Trail:
    """The audit trail of a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.file = deployment.site.folder / "audit.jsonl"
        deployment.site.settings["LANGKEYS_AUDIT_LOG"] = str(self.file)

    def lines(self) -> list[dict[str, Any]]:
        text = self.file.read_text() if self.file.exists() else ""
        assert_no_secret(text)
        for key in self.deployment.langflow.keys:
            assert key.value not in text
        return [json.loads(line) for line in text.splitlines()]

    def changes(self) -> list[tuple[str, str, str | None]]:
        return [
            (change["action"], change["kind"], change["id"])
            for line in self.lines()
            for change in line.get("changes", ())
        ]

    def outcomes(self) -> list[str]:
        return [line["outcome"] for line in self.lines()]


@pytest.fixture
def trail(deployment: Deployment) -> Trail:
    return Trail(deployment)


def filled(deployment: Deployment) -> FakeKey:
    langflow = deployment.langflow
    langflow.add_user("alice")
    langflow.add_user("other", is_superuser=True)
    langflow.add_user("off", is_active=False)
    langflow.add_variable("OLD", CREDENTIAL)
    key = deployment.add("ci")
    key.created_at = key.created_at.replace(year=2020)
    return key


def call(deployment: Deployment, path: str, *arguments: str) -> Result:
    stdin = "TOKEN=x\n" if path == "variable import" else CREDENTIAL
    return deployment.call(*path.split(), *arguments, "--reason", "for the audit", stdin=stdin)


def test_each_command_that_can_ask_a_server_either_writes_or_reads() -> None:
    assert set(WRITES) | READS == REMOTE
    assert {
        *("api-key list", "api-key show", "variable list", "user list", "user show"),
        *("whoami", "doctor"),
    } == READS


@pytest.mark.parametrize("path", sorted(WRITES))
def test_what_is_done_is_on_a_line_before_it_is_done(trail: Trail, path: str) -> None:
    deployment = trail.deployment
    filled(deployment)
    seen: list[int] = []
    deployment.langflow.before = lambda method, _: (
        seen.append(len(trail.lines())) if method != "GET" else None
    )
    call(deployment, path, *WRITES[path]).done()
    assert seen
    assert seen[0] >= 1
    for line in trail.lines():
        assert (line["outcome"], line["command"], line["user"]) == ("done", path, "administrator")
        assert line["user_id"] == deployment.langflow.superuser.id
        assert (line["database"], line["reason"]) == (deployment.server.url, "for the audit")
        assert line["authenticated_by"] == "api key"
        if path.startswith("api-key"):
            assert line["api_key_id"] in (deployment.acting.id, deployment.langflow.keys[-1].id)
    kinds = {kind for _, kind, _ in trail.changes()}
    assert kinds == {path.partition(" ")[0].replace("-", "_")}
    assert any(changed_id for _, _, changed_id in trail.changes())


@pytest.mark.parametrize("path", sorted(READS))
def test_what_only_looks_is_on_no_line(trail: Trail, path: str) -> None:
    filled(trail.deployment)
    arguments = {"api-key show": ("ci",), "user show": ("alice",)}.get(path, ())
    trail.deployment.call(*path.split(), *arguments)
    assert not trail.file.exists()


@pytest.mark.parametrize("path", sorted(WRITES))
def test_what_is_refused_is_on_a_line(trail: Trail, path: str) -> None:
    deployment = trail.deployment
    filled(deployment)
    arguments = (*path.split(), *WRITES[path])
    wrong = f"sk-{'x' * 43}"
    for key, user in ((wrong, None), (None, None)):
        deployment.call(*arguments, stdin="TOKEN=x", LANGKEYS_API_KEY=key).failed(4)
        line = trail.lines()[-1]
        assert (line["outcome"], line["command"], line["user"]) == ("refused", path, user)
        assert line["error"] in ("invalid_key", "unauthenticated")
    if path.startswith("user"):
        bob = deployment.langflow.add_key(deployment.langflow.add_user("somebody"), "b")
        deployment.call(*arguments, LANGKEYS_API_KEY=bob.value).failed(4)
        line = trail.lines()[-1]
        assert (line["outcome"], line["user"], line["error"]) == (
            "refused",
            "somebody",
            "forbidden",
        )
    assert deployment.writes() == []


def test_a_rotation_by_one_key_is_three_lines_with_ids_and_hash(trail: Trail) -> None:
    old = trail.deployment.add("job")
    trail.deployment.job("api-key", "rotate", "-", stdin=old.value).done()
    new = trail.deployment.langflow.keys[-1]
    assert trail.changes() == [
        ("insert", "api_key", None),
        ("insert", "api_key", new.id),
        ("delete", "api_key", old.id),
    ]
    before, after, end = trail.lines()
    assert (before["id"], after["part"], before["api_key_id"]) == (after["id"], 2, old.id)
    assert (end["api_key_id"], end["changes"][0]["sha256"]) == (new.id, hash_of(old.value))


def test_a_key_that_was_revoked_over_rest_is_not_brought_back_by_ensure(
    trail: Trail, site_of: Any
) -> None:
    leaked = trail.deployment.add("app")
    trail.deployment.langflow.lose("DELETE", "/api/v1/api_key/", is_done=True)
    trail.deployment.job("api-key", "revoke", "-", "--yes", stdin=leaked.value).done()
    site = site_of("1.13")
    (site.folder / "key").write_text(leaked.value)
    arguments = ("api-key", "ensure", "app", "--value-file", "key")
    site.call(*arguments, LANGKEYS_AUDIT_LOG=str(trail.file)).failed(5, "revoked")


@pytest.mark.parametrize("is_done", [True, False])
def test_a_lost_answer_is_a_failure_that_may_be_done(trail: Trail, is_done: bool) -> None:
    trail.deployment.langflow.lose("POST", "/api/v1/api_key/", is_done=is_done)
    trail.deployment.call("api-key", "create").failed(1)
    before, failed = trail.lines()[:2]
    assert (failed["outcome"], failed["of"]) == ("failed", before["id"])
    assert failed["may_be_done"] is True


def test_an_answer_that_is_no_is_a_failure_for_sure(trail: Trail) -> None:
    trail.deployment.langflow.refusals["POST", "TOKEN"] = (400, "the provider refuses it")
    arguments = ("variable", "set", "TOKEN", "--value-file", "-")
    trail.deployment.call(*arguments, stdin=CREDENTIAL).failed(1)
    assert trail.outcomes()[:2] == ["done", "failed"]
    assert "may_be_done" not in trail.lines()[1]


def test_a_log_that_must_be_written_and_cannot_be_stops_it_before_any_deed(trail: Trail) -> None:
    trail.file.mkdir()
    filled(trail.deployment)
    for path, arguments in WRITES.items():
        call(trail.deployment, path, *arguments).failed(1, "nothing was written")
    assert trail.deployment.writes() == []


def test_without_a_setting_it_is_in_the_config_folder(deployment: Deployment) -> None:
    deployment.call("user", "create", "bob", "--password-file", "-", stdin=PASSWORD).done()
    (log,) = deployment.site.cache.rglob("langkeys-audit.jsonl")
    assert deployment.server.url in log.read_text()


# No change without a line


def test_nothing_is_changed_but_by_a_recorded_change() -> None:
    root = Path(langkeys.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and first.value in ("POST", "PATCH", "DELETE"):
                    found.add(ast.unparse(node.func))
    assert found == {"recorded.ask"}


def test_a_command_that_only_looks_cannot_change_anything() -> None:
    with (
        pytest.raises(AssertionError),
        NoChanges().changing(ServerChange("delete", "user", None, None)),
    ):
        pass
