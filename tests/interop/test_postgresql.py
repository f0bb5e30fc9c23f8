"""Servers on PostgreSQL, and langkeys as on another machine: one database, but no common files.

With 1.13.0, two servers share the database, like pods of a deployment; with older releases there is
one. Servers and langkeys only communicate through the database.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..debian import debian_server
from ..support.clusters import Cluster
from .expectations import Expected
from .langflow_rest import Rest, Via
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .langkeys_process import Langkeys
from .variable_flow import VariableFlows

DATABASE = "langflow_of_pods"
SECRET_KEY = secrets.token_urlsafe(32)
FIRST, SECOND = "the-first-password-of-somebody", "the-second-password-of-somebody"


@dataclass
class Deployment:
    """Servers on one database, and langkeys in another folder."""

    cluster: Cluster
    servers: list[LangflowServer]
    langkeys: Langkeys

    @property
    def rests(self) -> list[Rest]:
        return [server.rest for server in self.servers]

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        return self.cluster.rows(sql, parameters, database=DATABASE)

    def statuses(self, key: str, via: Via = "header") -> set[int]:
        """Call whoami once on each server with a key; return the statuses."""
        return {rest.whoami(key, via).status for rest in self.rests}


@pytest.fixture(scope="module")
def deployment(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with ExitStack() as stack:
        cluster = stack.enter_context(debian_server.primary()).cluster
        cluster.rows(f"CREATE DATABASE {DATABASE} OWNER langflow")
        url = cluster.url(DATABASE).replace("postgresql://", "postgresql+psycopg://")
        servers = [
            LangflowServer(
                version,
                tmp_path_factory.mktemp("pod"),
                database_url=url,
                extra={"LANGFLOW_SECRET_KEY": SECRET_KEY},
            )
            for _ in range(2 if version == "1.13.0" else 1)
        ]
        for server in servers:
            # One after the other: on a new database, a server of 1.13.0 that waits for the
            # migration lock blocks the other's CREATE INDEX CONCURRENTLY.
            stack.callback(server.kill)
            server.start()
        machine = tmp_path_factory.mktemp("machine")
        (machine / "mounted").touch(mode=0o600)
        (machine / "mounted").write_text(SECRET_KEY)
        settings = {
            "LANGFLOW_CONFIG_DIR": str(machine / "config"),
            "LANGFLOW_DATABASE_URL": cluster.url(DATABASE),
            "LANGFLOW_SECRET_KEY_FILE": str(machine / "mounted"),
            "LANGFLOW_SUPERUSER": SUPERUSER,
            "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD,
            "PATH": f"{cluster.binaries}{os.pathsep}{os.environ['PATH']}",
        }
        yield Deployment(cluster, servers, Langkeys(machine, settings))


@pytest.fixture
def langkeys(deployment: Deployment) -> Langkeys:
    return deployment.langkeys


@pytest.fixture(scope="module")
def admin(deployment: Deployment) -> str:
    """A key of the superuser, created by langkeys."""
    return deployment.langkeys("api-key", "create", "--name", "admin").done().stdout.strip()


def test_the_generation_is_told_and_nothing_is_wrong(
    deployment: Deployment, langkeys: Langkeys, expected: Expected, admin: str
) -> None:
    report = langkeys("doctor").done().stdout
    assert f"Langflow {expected.generation}" in report
    assert " of langflow" in report  # the servers' sessions
    assert admin not in report


@pytest.mark.parametrize("via", ["header", "query"])
def test_a_key_works_everywhere_at_once_and_is_refused_everywhere_at_once(
    deployment: Deployment, langkeys: Langkeys, via: Via, name: str
) -> None:
    key = langkeys("api-key", "create", "--name", name).done().stdout.strip()
    assert deployment.statuses(key, via) == {200}
    rotated = langkeys("api-key", "rotate", name).done().stdout.strip()
    assert deployment.statuses(key, via) == {403}
    assert deployment.statuses(rotated, via) == {200}
    langkeys("api-key", "revoke", name, "--yes").done()
    assert deployment.statuses(rotated, via) == {403}


def test_an_expiry_counts_where_there_is_one(
    deployment: Deployment, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    made = langkeys("api-key", "create", "--name", name, "--expires", "1h", "--json")
    if not expected.has_expiry:
        made.refused(2)
        return
    key = made.done().json()["api_key"]
    assert deployment.statuses(key) == {200}
    langkeys("api-key", "update", name, "--expires", "1s", "--yes").done()
    time.sleep(1)
    assert deployment.statuses(key) == {403}
    langkeys("api-key", "revoke", name, "--yes").done()


def test_a_key_of_a_server_is_known_here(
    deployment: Deployment, langkeys: Langkeys, admin: str, name: str
) -> None:
    made = deployment.rests[0].create_key(name, key=admin)
    assert made.status == 200
    key = made.body["api_key"]
    while deployment.statuses(key) != {200}:
        pass  # Langflow 1.8 to 1.11 answers before it commits.
    shown = langkeys("api-key", "show", name, "--json").done().json()
    assert (shown["id"], shown["username"]) == (str(uuid.UUID(made.body["id"])), SUPERUSER)
    (listed,) = [
        found
        for found in deployment.rests[-1].keys(admin).body["api_keys"]
        if found["id"] == made.body["id"]
    ]
    assert shown["created_at"][:19] == listed["created_at"][:19]
    assert shown["total_uses"] >= 1
    assert shown["last_used_at"] is not None
    assert langkeys("whoami", "--api-key", "-", "--json", stdin=key).json()["username"] == SUPERUSER
    langkeys("api-key", "revoke", "-", "--yes", stdin=key).done()
    assert deployment.statuses(key) == {403}


def test_variables_are_read_by_each_side_as_the_other_wrote_them(
    deployment: Deployment, langkeys: Langkeys, admin: str
) -> None:
    value, last = 'a $ecret "with" é', deployment.servers[-1]
    ours, theirs = f"OURS_{secrets.token_hex(4)}", f"THEIRS_{secrets.token_hex(4)}"
    langkeys("variable", "set", ours, "--value-file", "-", stdin=value).done()
    assert ours in {row["name"] for row in last.rest.variables(admin).body}
    flows = VariableFlows(last, admin, last.rest.login(SUPERUSER, PASSWORD))
    assert flows.value_of(ours) == value
    langkeys("variable", "set", ours, "--value-file", "-", stdin="another").done()
    assert flows.value_of(ours) == "another"

    body = {"name": theirs, "value": value, "type": "Credential", "default_fields": []}
    posted = deployment.rests[0].request("POST", "/api/v1/variables/", key=admin, json_body=body)
    assert posted.status == 201, posted
    assert langkeys("variable", "show", theirs, "--reveal").done().stdout == f"{value}\n"
    exported = langkeys("variable", "export", "--reveal", "--only", theirs, "--format", "json")
    assert exported.done().json()[theirs] == value
    langkeys("variable", "delete", ours, theirs, "--yes").done()
    left = {row["name"] for row in last.rest.variables(admin).body}
    assert not {ours, theirs} & left


def test_a_user_logs_in_until_deactivated(
    deployment: Deployment, langkeys: Langkeys, admin: str, name: str
) -> None:
    def login(password: str) -> set[int]:
        form = {"username": name, "password": password}
        return {
            rest.request("POST", "/api/v1/login", form=form).status for rest in deployment.rests
        }

    langkeys("user", "create", name, "--password-file", "-", stdin=FIRST).done()
    assert login(FIRST) == {200}
    langkeys("user", "set-password", name, "--password-file", "-", stdin=SECOND).done()
    assert login(FIRST) == {401}
    assert login(SECOND) == {200}
    langkeys("user", "deactivate", name, "--yes").done()
    assert 200 not in login(SECOND)
    theirs = deployment.rests[0].create_user(f"{name}-theirs", FIRST, key=admin)
    shown = langkeys("user", "show", f"{name}-theirs", "--json").done().json()
    assert (shown["id"], shown["is_active"], shown["is_superuser"]) == (theirs, True, False)


def test_ten_that_ensure_one_mounted_key_at_once_make_one(
    deployment: Deployment, langkeys: Langkeys, tmp_path: Path
) -> None:
    mounted = tmp_path / "key"
    mounted.write_text(f"sk-{secrets.token_urlsafe(32)}")
    environment = {**langkeys.environment, "LANGFLOW_CONFIG_DIR": str(tmp_path / "config")}
    ensure = ("api-key", "ensure", "pods", "--value-file", str(mounted))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "langkeys", *ensure],
            env=environment, cwd=tmp_path, stderr=subprocess.PIPE,
        )
        for _ in range(10)
    ]  # fmt: skip
    for process in processes:
        with process:
            _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert deployment.rows("SELECT count(*) FROM apikey WHERE name = 'pods'") == [(1,)]
    assert deployment.statuses(mounted.read_text()) == {200}


def test_beside_running_servers_the_secret_key_is_not_rotated(
    deployment: Deployment, langkeys: Langkeys
) -> None:
    refused = langkeys("secret-key", "rotate", "--new-key-file", "new", "--yes").refused(6)
    assert "langflow (pid " in refused.stderr
    assert not (langkeys.folder / "new").exists()


def test_after_a_rotation_the_pod_with_the_old_secret_key_is_found(
    deployment: Deployment, langkeys: Langkeys, expected: Expected, admin: str
) -> None:
    """This must be the last test: it stops the servers, and starts the first with AUTO_LOGIN."""
    langkeys("variable", "set", "KEPT", "--value-file", "-", stdin="kept").done()
    for server in deployment.servers:
        server.stop()
    # The connections of the servers' pools are closed now, or will be in a moment.
    langkeys("secret-key", "rotate", "--new-key-file", "new", "--yes").done()
    new = (langkeys.folder / "new").read_text()
    pod = deployment.servers[0]
    pod.settings |= {"LANGFLOW_SECRET_KEY": new, "LANGFLOW_AUTO_LOGIN": "true"}
    pod.start()
    assert pod.rest.whoami(admin).status == 200
    flows = VariableFlows(pod, admin, pod.rest.login(SUPERUSER, PASSWORD))
    assert flows.value_of("KEPT") == "kept"

    checks = [Langkeys(server.folder, server.settings) for server in deployment.servers]
    old = Langkeys(pod.folder, {**pod.settings, "LANGFLOW_SECRET_KEY": SECRET_KEY})
    assert checks[0]("secret-key", "check").returncode == 0
    for check in (*checks[1:], old):
        assert check("secret-key", "check").returncode == 7

    # Without a password, langkeys acts as the user that this server logs in by AUTO_LOGIN.
    own = Langkeys(pod.folder, {**pod.settings, "LANGFLOW_SUPERUSER_PASSWORD": ""})
    key = own("api-key", "create", "--name", "by-auto-login").done().stdout.strip()
    session = pod.rest.request("GET", "/api/v1/auto_login").body["access_token"]
    by_session = pod.rest.request("GET", "/api/v1/users/whoami", token=session).body
    by_key = pod.rest.whoami(key).body
    assert by_key["id"] == by_session["id"]
    assert by_key["username"] == (SUPERUSER if expected.named_auto_login else "langflow")
