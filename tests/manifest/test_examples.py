"""The examples for manifests work as docs/manifest.md says, as far as they can run here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..conftest import SUPERUSER
from ..support.manifests import Declared, new_key
from ..support.samples import hash_of
from ..support.sites import Result, Site

FOLDER = Path(__file__).parents[2] / "examples" / "manifest"


def example(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def described(name: str) -> Any:
    return yaml.safe_load(example(name))


@pytest.mark.parametrize("name", ["init-container", "sidecar", "drift-alarm"])
def test_the_kubernetes_objects_are_valid(name: str) -> None:
    kubernetes_validate: Any = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate(described(f"{name}.yaml"), "1.31", strict=True)


@pytest.fixture
def declared(site: Site) -> Declared:
    """A site with the example, and with its secrets where the deployments expect them."""
    found = Declared(site)
    (site.folder / "secrets").mkdir()
    secrets = {"openai": "sk-x", "partner-key": new_key(), "alice-password": "correct horse"}
    for name, text in secrets.items():
        (site.folder / "secrets" / name).write_text(text)
    site.database.add_user("bob", is_superuser=False)
    text = example("langflow.yaml").replace("/run/secrets/", f"{site.folder}/secrets/")
    (site.folder / "manifests").mkdir()
    (site.folder / "manifests/langflow.yaml").write_text(
        text.replace("/run/out/", f"{site.folder}/out/")
    )
    site.settings["CI_GITHUB_TOKEN"] = "github"
    return found


def run(declared: Declared, command: list[str]) -> Result:
    """Run a container's command, with its paths mapped to this machine."""
    here = [part.replace("/etc/langkeys", "manifests") for part in command]
    assert here != command
    bin_folder = declared.site.folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    import sys

    program = bin_folder / "langkeys"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m langkeys "$@"\n')
    program.chmod(0o755)
    sleep = bin_folder / "sleep"
    sleep.write_text("#!/bin/sh\nkill -s TERM $PPID\n")  # ends the loop instead of waiting
    sleep.chmod(0o755)
    path = f"{bin_folder}:{declared.site.environment()['PATH']}"
    return declared.site.run(
        *here[1:], command=(shutil.which(here[0], path=path) or "",), PATH=path
    )


def test_the_init_container_creates_one_key_even_if_it_starts_again(declared: Declared) -> None:
    (container,) = described("init-container.yaml")["spec"]["initContainers"]
    texts = set()
    for _ in range(3):
        shutil.rmtree(declared.site.folder / "out")
        (declared.site.folder / "out").mkdir()
        run(declared, container["command"]).done()
        texts.add(declared.out("app-key"))
    assert len(texts) == 1
    assert declared.keys("app")[0][1] == hash_of(texts.pop())
    assert len(declared.keys("app")) == 1


def test_the_sidecar_applies_and_waits(declared: Declared) -> None:
    command = described("sidecar.yaml")["spec"]["containers"][1]["command"]
    assert run(declared, command).code == -15
    declared.assert_accepted(declared.out("app-key"), "ci")


def test_the_alarm_reports_a_change_by_somebody_else(declared: Declared) -> None:
    job = described("drift-alarm.yaml")["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert job["backoffLimit"] == 0
    assert run(declared, container["command"]).code == 8
    declared.site.call("apply", "-f", "manifests", "--yes").done()
    assert run(declared, container["command"]).code == 0
    declared.site.call("user", "activate", "bob").done()
    alarm = run(declared, container["command"])
    assert (alarm.code, alarm.rows[0][:5]) == (
        8, ["change", "user", "bob", "bob", "is_active"],
    )  # fmt: skip


def test_the_ansible_task_uses_existing_commands(declared: Declared) -> None:
    (task,) = described("ansible-task.yaml")
    argv = task["ansible.builtin.command"]["argv"]
    declared.site.call("user", "deactivate", "bob").done()  # otherwise the task would need --yes
    assert argv[1] == "{{ 'plan' if ansible_check_mode else 'apply' }}"
    for verb in ("plan", "apply"):
        command = [argv[0], verb, *argv[2:]]
        result = run(declared, [part.replace("/langflow.yaml", "") for part in command])
        assert result.code == 8
    assert (task["changed_when"], task["failed_when"]) == (
        "langflow.rc == 8", "langflow.rc not in [0, 8]",
    )  # fmt: skip


def merged(one: Any, other: Any) -> Any:
    """Merge two values as Helm does."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other
    return {**one, **{name: merged(one.get(name), value) for name, value in other.items()}}


def test_a_helm_overlay_replaces_one_entry(declared: Declared) -> None:
    values = merged(described("helm/values.yaml"), described("helm/values-prod.yaml"))
    template = example("helm/templates/manifest.yaml")
    rendered = template.replace(
        "{{ .Values.langflow | toJson | quote }}", json.dumps(json.dumps(values["langflow"]))
    )
    content = yaml.safe_load(rendered)["data"]["langflow.json"]
    text = content.replace("/run/out/", f"{declared.site.folder}/out/")
    (declared.site.folder / "m.json").write_text(text)
    found = json.loads(declared.site.call("plan", "-f", "m.json", "--json").done().stdout)
    assert [(c["action"], c["kind"], c["name"]) for c in found["changes"]] == [
        ("add", "user", "ci"), ("add", "api_key", "app"),
    ]  # fmt: skip
    assert found["summary"]["kept"] == 1  # the laptop's key, which does not exist
    assert SUPERUSER not in text
