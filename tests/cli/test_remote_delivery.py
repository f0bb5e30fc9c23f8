"""New keys over REST: their files and formats, and what remains if delivery fails."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from langkeys.errors import FailedError
from langkeys.files.staged import StagedFile

from ..support.deployments import Deploy, Deployment
from ..support.fake_langflow import ago
from ..support.terminals import Terminal, run_at_terminal


def in_file(deployment: Deployment, name: str) -> str:
    return (deployment.site.folder / name).read_text()


# Existing files


def test_create_replaces_no_file_that_is_there(deployment: Deployment) -> None:
    file = deployment.site.folder / "key"
    file.write_text("something of value")
    arguments = ("api-key", "create", "--write-to", "key")
    deployment.call(*arguments).failed(5, "--replace")
    assert (file.read_text(), deployment.writes()) == ("something of value", [])
    deployment.call(*arguments, "--replace").done()
    assert file.read_text() == deployment.langflow.keys[-1].value
    file.write_text("")
    deployment.call(*arguments).done()
    assert file.read_text() == deployment.langflow.keys[-1].value


@pytest.mark.parametrize("command", [("create",), ("rotate", "ci")])
def test_a_minus_is_stdout(deployment: Deployment, command: tuple[str, ...]) -> None:
    deployment.add("ci")
    result = deployment.call("api-key", *command, "--write-to", "-").done()
    assert result.stdout == f"{deployment.langflow.keys[-1].value}\n"
    assert list(deployment.site.folder.iterdir()) == []


# Formats


@pytest.mark.parametrize("command", [("create",), ("rotate", "ci")])
def test_a_key_can_be_a_kubernetes_secret(deployment: Deployment, command: tuple[str, ...]) -> None:
    deployment.add("ci")
    form = (
        "--format",
        "k8s-secret",
        "--secret-name",
        "lf",
        "--secret-key",
        "k",
        "--namespace",
        "n",
    )
    manifests = [deployment.call("api-key", *command, *form).done().stdout]
    deployment.call("api-key", *command, *form, "--write-to", "secret.json").done()
    manifests.append(in_file(deployment, "secret.json"))
    for manifest in manifests:
        found = json.loads(manifest)
        assert (found["kind"], found["metadata"]) == ("Secret", {"name": "lf", "namespace": "n"})
        assert list(found["data"]) == ["k"]
    sent = base64.b64decode(json.loads(manifests[1])["data"]["k"]).decode()
    assert sent == deployment.langflow.keys[-1].value


def test_a_form_that_cannot_hold_what_is_asked_for_is_refused_first(
    deployment: Deployment,
) -> None:
    for name in ("a", "b"):
        deployment.add(name)
    form = ("--format", "k8s-secret")
    deployment.call("api-key", "create", "--count", "2", *form).failed(2, "one API key")
    deployment.call("api-key", "create", "--json", *form).failed(2, "--json")
    deployment.call("api-key", "create", "--namespace", "x").failed(2, "--format")
    deployment.call("api-key", "rotate", "a", "b", *form).failed(2, "one API key")
    assert deployment.writes() == []


# --expires never


@pytest.mark.parametrize("version", ["1.5.1", "1.8.4", "1.13.0"])
def test_never_is_an_expiry_that_every_server_takes(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    found = deployment.call("api-key", "create", "--expires", "never", "--json").done().json()
    assert found["expires_at"] is None
    assert "expires_at" not in (deployment.server.requests[-4].body or {})
    deployment.call("api-key", "rotate", found["id"], "--expires", "NEVER").done()
    assert deployment.langflow.keys[-1].expires_at is None


def test_never_takes_an_old_keys_expiry_away(deployment: Deployment) -> None:
    deployment.add("ci", created_at=ago(days=1), expires_at=ago(days=-1))
    deployment.call("api-key", "rotate", "ci", "--expires", "never").done()
    assert deployment.langflow.keys[-1].expires_at is None


# A file for each key


def test_each_key_goes_into_a_file_of_its_own(deployment: Deployment) -> None:
    for name in ("a", "../up", "same", "same"):
        deployment.add(name, created_at=ago(days=100))
    arguments = ("api-key", "rotate", "--older-than", "90d", "--write-to-dir", ".", "--json")
    found = deployment.call(*arguments).done().json()
    new = deployment.langflow.keys[1:]
    same = [f"same-{key.id[:8]}" for key in new[2:]]
    assert [item["written_to"] for item in found] == [
        str(deployment.site.folder / name) for name in ("a", ".._up", *same)
    ]
    assert [Path(item["written_to"]).read_text() for item in found] == [key.value for key in new]
    assert all(key.value not in json.dumps(found) for key in new)


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
@pytest.mark.parametrize("target", [("--write-to-dir", "missing"), ("--write-to", "missing/key")])
def test_a_folder_that_is_not_there_is_found_out_before_any_deed(
    deployment: Deployment, target: tuple[str, str], dry_run: tuple[str, ...]
) -> None:
    deployment.add("ci")
    result = deployment.call("api-key", "rotate", "ci", *target, *dry_run).failed(1)
    assert f"there is no folder {deployment.site.folder / 'missing'}" in result.stderr
    assert deployment.writes() == []


def test_what_has_arrived_stays_where_another_file_fails(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    olds = [deployment.add(name) for name in ("a", "b")]
    publish = StagedFile.publish

    def fail_at_b(staged: StagedFile, *, replace: bool | None = None) -> None:
        if staged.path.name == "b":
            raise FailedError("the disk is full")
        publish(staged, replace=replace)

    monkeypatch.setattr(StagedFile, "publish", fail_at_b)
    result = deployment.call("api-key", "rotate", "a", "b", "--write-to-dir", ".").failed(1)
    *left, arrived = deployment.langflow.keys[1:]
    assert left == olds
    assert in_file(deployment, "a") == arrived.value
    assert "the other new API key has been removed again" in result.stderr
    assert f"work in addition to the old ones: {arrived.id}" in result.stderr


# Several keys on a terminal


def test_a_terminal_is_asked_before_several_keys_are_replaced_and_gets_a_table(
    deployment: Deployment,
) -> None:
    olds = [deployment.add(name) for name in ("a", "b")]
    settings = {"LANGKEYS_API_KEY": deployment.acting.value, "LANGFLOW_AUTO_LOGIN": None}
    arguments = ("api-key", "rotate", "a", "b", "--url", deployment.server.url)
    with Terminal(deployment.site, *arguments, **settings) as terminal:
        terminal.expect("Rotate 2 API keys")
        terminal.send("n\n")
        terminal.finish(1)
    assert deployment.writes() == []
    text = run_at_terminal(deployment.site, *arguments, "--yes", **settings).text
    assert "REPLACES" in text
    for old, new in zip(olds, deployment.langflow.keys[1:], strict=True):
        (line,) = [line for line in text.splitlines() if new.value in line]
        assert old.id[:8] in line
        assert "deleted" in line


def test_a_filter_that_matches_nothing_is_no_failure(deployment: Deployment) -> None:
    result = deployment.call("api-key", "rotate", "--older-than", "90d").done()
    assert (result.stdout, deployment.writes()) == ("", [])
    assert "nothing was done" in result.stderr
    found = deployment.call("api-key", "rotate", "--older-than", "90d", "--json").done().json()
    assert found == []
