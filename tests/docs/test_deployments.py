"""Run the commands of the deployments in examples/ in their order.

They run as the same user, in the same folders and with the same settings, but without Docker,
Kubernetes or systemd. ``.ci/run`` checks the files with linters for their formats.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from .markdown import ROOT
from .shell import Shell, can_run_as

EXAMPLES = ROOT / "examples"
COMPOSE = yaml.safe_load((EXAMPLES / "docker" / "compose.yaml").read_text(encoding="utf-8"))
CONTAINERFILE = (EXAMPLES / "docker" / "Containerfile").read_text(encoding="utf-8")
MANIFESTS: dict[tuple[str, str], Any] = {
    (manifest["kind"], manifest["metadata"]["name"]): manifest
    for path in sorted((EXAMPLES / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
}
SERVER = MANIFESTS["Deployment", "langflow"]["spec"]["template"]["spec"]
ROTATION = MANIFESTS["CronJob", "langkeys-rotate"]["spec"]["jobTemplate"]["spec"]["template"][
    "spec"
]
WORKFLOW = yaml.safe_load((EXAMPLES / "ci" / "github-actions.yaml").read_text(encoding="utf-8"))
UNIT = (EXAMPLES / "systemd" / "langkeys-rotate.service").read_text(encoding="utf-8")
UID = 1000 if can_run_as(1000) else None


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A shell in an empty volume, as the user of the Langflow image."""
    with Shell("container", uid=UID) as found:
        yield found


def run(shell: Shell, *commands: str, code: int = 0) -> str:
    shown = ""
    for command in commands:
        output, found = shell.run(command)
        assert found == code, (command, output)
        shown += output
    return shown


# Docker and Compose


def test_the_services_of_compose_run_in_their_order(shell: Shell) -> None:
    services = COMPOSE["services"]
    prepare, server = services["prepare"], services["langflow"]
    assert server["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
    line = shlex.join([*prepare["entrypoint"], *prepare["command"]])
    run(shell, f"cd {server['working_dir']}", line, "cp app-key first", line, "cmp app-key first")
    assert run(shell, shlex.join(server["command"])).startswith("started: langflow run --backend")
    assert run(shell, "langkeys whoami --api-key - < app-key | cut -f 6") == "app\n"
    if UID is not None:
        assert run(shell, "stat -c %u:%g .env app-key langflow.db") == "1000:0\n" * 3
    # Single commands use the image's entry point.
    entry = re.search(r"^ENTRYPOINT (.*)$", CONTAINERFILE, re.MULTILINE)
    assert entry is not None
    assert "entrypoint" not in services["langkeys"]
    command = shlex.join([*yaml.safe_load(entry[1]), "api-key", "list"])
    assert run(shell, f"{command} | cut -f 2,4") == "app\tadministrator\n"


def test_all_services_have_one_volume_and_one_user() -> None:
    services = COMPOSE["services"]
    assert {tuple(service["volumes"]) for service in services.values()} == {
        ("store:/srv/langflow",)
    }
    assert services["langflow"]["user"] == "1000:0"
    assert "\nUSER 1000:0\nWORKDIR /srv/langflow\n" in CONTAINERFILE


# Kubernetes


@pytest.mark.parametrize("name", MANIFESTS, ids=lambda name: "-".join(name))
def test_a_manifest_is_valid(name: tuple[str, str]) -> None:
    kubernetes_validate.validate(MANIFESTS[name], "1.31", strict=True)


@pytest.mark.parametrize("pod", [SERVER, ROTATION], ids=["server", "rotation"])
def test_a_pod_names_what_there_is_and_runs_as_the_images_user(pod: Any) -> None:
    user = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 0, "fsGroup": 0}
    assert pod["securityContext"] == user
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]]
    assert all(("PersistentVolumeClaim", name) in MANIFESTS for name in claims)
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        assert container["workingDir"] == container["volumeMounts"][0]["mountPath"]
        for source in container["envFrom"]:
            (kind, name) = next(iter(source.items()))
            kinds = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
            assert (kinds[kind], name["name"]) in MANIFESTS


def exports(values: dict[str, str]) -> list[str]:
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]


def line_of(container: Any) -> str:
    return shlex.join([*container["command"], *container.get("args", [])])


def test_the_containers_of_kubernetes_run_in_their_order(shell: Shell) -> None:
    config, secret = MANIFESTS["ConfigMap", "langflow"], MANIFESTS["Secret", "langflow"]
    names = list(secret["stringData"])
    run(shell, *exports(config["data"]))
    run(shell, *(f"export {name}=$(langkeys secret-key generate)" for name in names))
    ensure = line_of(SERVER["initContainers"][0])
    run(shell, ensure, "cp app-key first", ensure, "cmp app-key first")
    run(
        shell, *(line_of(server) for server in SERVER["containers"] if server["name"] == "langflow")
    )
    (rotation,) = ROTATION["containers"]
    # All settings come from the pod: init has written no file with a secret.
    assert run(shell, "ls -A").split() == [
        "app-key", "first", "langflow.db", "langkeys-audit.jsonl",
    ]  # fmt: skip
    run(shell, line_of(rotation))
    run(shell, "cmp -s app-key first", code=1)
    for file in ("first", "app-key"):  # the old one still works
        assert run(shell, f"langkeys whoami --api-key - < {file} | cut -f 6") == "app\n"
    run(shell, ensure, line_of(rotation))
    # The container for single commands.
    (tools,) = [found for found in SERVER["containers"] if found["name"] == "langkeys"]
    assert tools["envFrom"] == rotation["envFrom"]
    assert run(shell, "langkeys api-key list | cat").count("\tapp\t") == 3


def test_the_secret_as_it_stands_is_refused(shell: Shell) -> None:
    run(shell, *exports(MANIFESTS["ConfigMap", "langflow"]["data"]))
    run(shell, *exports(MANIFESTS["Secret", "langflow"]["stringData"]))
    shown = run(shell, line_of(SERVER["initContainers"][0]), code=7)
    assert "LANGFLOW_SECRET_KEY" in shown
    assert run(shell, "ls -A") == "langkeys-audit.jsonl\n"  # the refusal


# systemd


def lines_of(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def test_the_service_replaces_old_keys_and_no_others() -> None:
    with Shell("keys", uid=UID) as shell:
        (folder,) = lines_of("WorkingDirectory")
        commands = [*lines_of("ExecStartPre"), *lines_of("ExecStart")]
        commands = [line.replace("/opt/langkeys/bin/", "") for line in commands]
        run(shell, f"cd {folder}", "cp -r secrets before")
        for _ in range(2):
            assert run(shell, *commands) == ""
        run(shell, "cmp -s secrets/gateway before/gateway", code=1)
        run(shell, "cmp secrets/key before/key", "test -s secrets/laptop")
        assert run(shell, "langkeys api-key list --all-users | wc -l") == "5\n"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_units_are_valid(tmp_path: Path) -> None:
    for path in (EXAMPLES / "systemd").iterdir():
        # The path and the user in the units need not exist on this machine.
        text = path.read_text(encoding="utf-8").replace("/opt/langkeys/bin/langkeys", "/bin/true")
        text = re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.MULTILINE)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    files = [str(path) for path in tmp_path.iterdir()]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


# CI


def test_the_workflow_has_a_key_for_its_run_alone() -> None:
    steps = [step for step in WORKFLOW["jobs"]["flows"]["steps"] if "run" in step]
    install, create, flows, revoke = steps
    assert install["run"].startswith("pipx install wheels/langkeys-")
    assert revoke["if"] == "always()"
    with Shell("empty") as shell:
        run(shell, "serve https://langflow.example.com --key ci=secret", "export RUNNER_TEMP=$PWD")
        run(shell, *exports(WORKFLOW["env"]), "export GITHUB_RUN_ID=42")
        run(
            shell, "printf '#!/bin/sh\\ncat > used << END\\n$LANGFLOW_API_KEY\\nEND\\n' > run-flows"
        )
        run(shell, "chmod 755 run-flows")
        (name,) = create["env"]
        made = run(shell, f"export {name}=$(cat secret)", f"bash -e <<'STEP'\n{create['run']}STEP")
        assert re.fullmatch(r"::add-mask::sk-[\w-]+\n", made)
        run(shell, f"unset {name}", f"bash -e <<'STEP'\n{flows['run']}\nSTEP")
        run(shell, 'test "$(cat used)" = "$(cat key)"')
        listed = f"{name}_FILE=secret langkeys api-key list --remote | cut -f 2"
        assert run(shell, listed) == "ci\nci-42\n"
        run(shell, f"bash -e <<'STEP'\n{revoke['run']}STEP")
        assert run(shell, listed) == "ci\n"
        # A run that created no key has none to revoke.
        run(shell, "rm key", f"bash -e <<'STEP'\n{revoke['run']}STEP")
