"""`langkeys ... --url` against a real server: a job with one key, and no database."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from .expectations import Expected
from .langflow_server import LangflowServer
from .langkeys_process import Langkeys, Run

PASSWORD = "a-password-of-the-other"
PLAIN = "eu-west-1\nsecond line "


class Job:
    """Runs langkeys with only the server's address, and a key if one is given."""

    def __init__(self, server: LangflowServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._langkeys = Langkeys(folder)

    def __call__(
        self, *arguments: str, key: str | None = None, stdin: str = "", audit: str = "off"
    ) -> Run:
        settings = {"LANGKEYS_AUDIT_LOG": audit}
        settings |= {} if key is None else {"LANGKEYS_API_KEY": key}
        return self._langkeys(*arguments, "--url", self.server.url, stdin=stdin, **settings)


@pytest.fixture
def job(server: LangflowServer, tmp_path: Path) -> Job:
    return Job(server, tmp_path)


@pytest.fixture(scope="module")
def key(langkeys: Langkeys) -> str:
    """A superuser's key, created in the database."""
    return langkeys("api-key", "create", "--name", "rest").done().stdout.strip()


@pytest.fixture
def bob(server: LangflowServer, langkeys: Langkeys, key: str, name: str) -> str:
    """The key of a new user, who is not a superuser."""
    server.rest.create_user(name, PASSWORD, key=key)
    return langkeys("api-key", "create", "--user", name, "--name", "job").done().stdout.strip()


def refused(server: LangflowServer, key: str) -> bool:
    return server.rest.whoami(key).status in (401, 403)


def job_keys(server: LangflowServer, key: str) -> list[dict[str, Any]]:
    """List the keys named job; 1.8 may also create one for the MCP server of a user's project."""
    return [item for item in server.rest.keys(key).body["api_keys"] if item["name"] == "job"]


# One key


def test_a_job_rotates_its_own_key(server: LangflowServer, job: Job, bob: str) -> None:
    file = job.folder / "key"
    file.write_text(bob)
    run = job("api-key", "rotate", "-", "--write-to", "key", stdin=bob).done()
    new = file.read_text().strip()
    assert run.stdout == ""
    assert refused(server, bob)
    assert server.rest.whoami(new).status == 200
    again = job("api-key", "rotate", "-", "--write-to", "key", "--json", stdin=bob).refused(4)
    assert again.error()["code"] == "invalid_key"
    assert file.read_text().strip() == new
    assert len(job_keys(server, new)) == 1


def test_a_job_keeps_the_old_key_and_revokes_it_later(
    server: LangflowServer, job: Job, bob: str
) -> None:
    made = job("api-key", "rotate", "-", "--keep-old", "--json", stdin=bob).done().json()
    assert server.rest.whoami(bob).status == server.rest.whoami(made["api_key"]).status == 200
    job("api-key", "revoke", made["replaces"], "--yes", key=made["api_key"]).done()
    assert refused(server, bob)
    job("api-key", "rotate", "-", "--grace", "1h", stdin=made["api_key"]).refused(2)


def test_a_leaked_key_ends_itself(server: LangflowServer, job: Job, bob: str) -> None:
    job("api-key", "revoke", "-", "--yes", stdin=bob).done()
    assert refused(server, bob)
    job("api-key", "revoke", "-", "--yes", stdin=bob).refused(4)


def test_each_key_goes_into_a_file_of_its_own(server: LangflowServer, job: Job, bob: str) -> None:
    for name in ("a", "b"):
        job("api-key", "create", "--name", name, "--expires", "never", key=bob).done()
    arguments = ("api-key", "rotate", "a", "b", "--write-to-dir", ".", "--json")
    found = job(*arguments, key=bob).done().json()
    assert [item["expires_at"] for item in found] == [None, None]
    for name in ("a", "b"):
        assert server.rest.whoami((job.folder / name).read_text()).status == 200
    job("api-key", "create", "--write-to", "a", key=bob).refused(5)
    form = ("--format", "k8s-secret", "--write-to", "a", "--replace")
    job("api-key", "create", *form, key=bob).done()
    assert '"kind": "Secret"' in (job.folder / "a").read_text()


def test_what_is_done_is_in_the_trail(server: LangflowServer, job: Job, bob: str) -> None:
    job("api-key", "rotate", "-", "--write-to", "key", stdin=bob, audit="audit.jsonl").done()
    lines = [json.loads(line) for line in (job.folder / "audit.jsonl").read_text().splitlines()]
    changes = [change for line in lines for change in line["changes"]]
    assert [change["action"] for change in changes] == ["insert", "insert", "delete"]
    assert {line["database"] for line in lines} == {server.url}
    new = (job.folder / "key").read_text()
    (listed,) = job_keys(server, new)
    assert changes[1]["id"] == lines[2]["api_key_id"] == listed["id"]
    assert changes[2]["sha256"] == hashlib.sha256(bob.encode()).hexdigest()


def test_whoami_says_whether_the_server_uses_the_database(
    server: LangflowServer, langkeys: Langkeys, bob: str, tmp_path: Path
) -> None:
    arguments = ("whoami", "--api-key", "-", "--url", server.url)
    assert "the same user in the database" in langkeys(*arguments, stdin=bob).done().stderr
    other = Langkeys(tmp_path)
    other("init").done()
    run = other(*arguments, stdin=bob).done()
    assert "does not use the database" in run.stderr


# The user's own keys and variables


def test_keys_are_made_listed_and_pruned(
    server: LangflowServer, job: Job, bob: str, expected: Expected
) -> None:
    made = job("api-key", "create", "--name", "ci", "--json", key=bob).done().json()
    assert server.rest.whoami(made["api_key"]).status == 200
    listed = job("api-key", "list", "--json", key=bob).done().json()
    assert [item["name"] for item in listed] == ["job", "ci"]
    assert [item["at_rest"] for item in listed] == [None, None]
    shown = job("api-key", "show", "ci", "--json", key=bob).done().json()
    assert shown["id"] == made["id"]

    expiring = job("api-key", "create", "--expires", "90d", "--json", key=bob)
    if expected.has_expiry:
        until = expiring.done().json()["expires_at"]
        listed = job("api-key", "list", "--expires-within", "91d", "--json", key=bob).json()
        assert [item["expires_at"][:19] for item in listed] == [until[:19]]
    else:
        assert expiring.refused(2).error()["code"] == "unsupported"

    job("api-key", "prune", "--older-than", "1s", "--yes", key=bob).done()
    assert refused(server, made["api_key"])
    assert server.rest.whoami(bob).status == 200, "the acting key must not be revoked"


def test_variables_are_set_listed_and_deleted(
    server: LangflowServer, job: Job, bob: str, expected: Expected
) -> None:
    run = job("variable", "set", "TOKEN", "--value-file", "-", key=bob, stdin="secret-one").done()
    assert "sent" in run.stderr
    assert "secret-one" not in run.stdout + run.stderr
    arguments = ("variable", "set", "TOKEN", "--apply-to", "Field", "--value-file", "-")
    job(*arguments, key=bob, stdin="secret-two").done()
    job("variable", "set", "PLAIN", "--type", "Generic", "--value-file", "-", key=bob, stdin=PLAIN)
    (job.folder / "some.env").write_text("TOKEN=three\nOTHER=four\n")
    only = ("--only", "TOKEN", "--only", "OTHER")
    done = job("variable", "import", "some.env", *only, "--json", key=bob).done().json()
    assert [(item["name"], item["action"]) for item in done] == [
        ("TOKEN", "kept"),
        ("OTHER", "added"),
    ]
    found = {item["name"]: item for item in job("variable", "list", "--json", key=bob).json()}
    assert found["PLAIN"]["value"] == PLAIN
    assert (found["TOKEN"]["value"], found["TOKEN"]["default_fields"]) == (None, ["Field"])
    # If servers accept a change of type to Credential, they must not show the value any more.
    arguments = ("variable", "set", "PLAIN", "--type", "Credential", "--value-file", "-")
    changed = job(*arguments, key=bob, stdin="hidden-now")
    if expected.at_rest == "plaintext":
        changed.refused(2)
    else:
        changed.done()
    names = ("TOKEN", "PLAIN", "OTHER")
    job("variable", "delete", *names, "--yes", key=bob).done()
    assert {item["name"] for item in server.rest.variables(bob).body}.isdisjoint(names)
    job("variable", "delete", "TOKEN", "--yes", key=bob).refused(3)


def test_what_was_sent_is_what_is_stored(job: Job, langkeys: Langkeys, key: str) -> None:
    sent = "sent-over-rest-and-read-in-the-database"
    job("variable", "set", "REST_SENT", "--value-file", "-", key=key, stdin=sent).done()
    shown = langkeys("variable", "show", "REST_SENT", "--reveal").done()
    assert shown.stdout.rstrip("\n") == sent
    job("variable", "delete", "REST_SENT", "--yes", key=key).done()


def test_nobody_elses_things_are_there(job: Job, bob: str) -> None:
    for command in (
        ("api-key", "list", "--all-users"),
        ("api-key", "create", "--user", "administrator"),
        ("variable", "list", "--all-users"),
    ):
        assert job(*command, "--json", key=bob).refused(2).error()["code"] == "unsupported"


# Users


def test_users_are_made_and_changed(
    server: LangflowServer, job: Job, key: str, bob: str, name: str
) -> None:
    other = f"{name}-2"
    arguments = ("user", "create", other, "--superuser", "--password-file", "-", "--json")
    made = job(*arguments, key=key, stdin=PASSWORD).done().json()
    assert (made["is_active"], made["is_superuser"]) == (True, True)
    assert server.rest.login(other, PASSWORD)
    job(*arguments, key=key, stdin=PASSWORD).refused(5)
    again = job(*arguments, "--if-missing", key=key).done().json()
    assert (again["id"], again["changed"]) == (made["id"], False)
    assert job("user", "demote", other, "--json", key=key).done().json()["is_superuser"] is False
    new = job("user", "set-password", other, "--random", key=key).done().stdout.strip()
    assert server.rest.login(other, new)
    job("user", "deactivate", other, key=key).done()
    listed = job("user", "list", "--json", key=key).done().json()
    (found,) = [user for user in listed if user["username"] == other]
    assert (found["is_active"], found["api_keys"]) == (False, None)
    job("user", "deactivate", "administrator", key=key).refused(5)
    refusal = job("user", "list", "--json", key=bob).refused(4)
    assert refusal.error()["code"] == "forbidden"


def test_more_users_than_a_page_are_all_listed(
    server: LangflowServer, job: Job, key: str, name: str
) -> None:
    names = {f"{name}-{number:02}" for number in range(12)}
    for other in names:
        server.rest.create_user(other, PASSWORD, key=key)
    listed = job("user", "list", key=key).done().stdout.splitlines()
    assert names <= {line.split("\t")[1] for line in listed}


# Doctor


def test_doctor_looks_from_outside(job: Job, key: str, bob: str, version: str) -> None:
    found = job("doctor", "--json", key=key).done().json()
    assert found["ok"] is True
    release = f"1.{version.split('.')[1]}."
    assert found["version"].startswith(release)
    assert found["counts"]["active superusers"] >= 1
    assert "users" not in job("doctor", "--json", key=bob).done().json()["counts"]
    assert job("doctor", "--json").done().json()["acting"] is None


def test_doctor_finds_a_server_that_logs_anybody_in(version: str, tmp_path: Path) -> None:
    with LangflowServer(version, tmp_path / "open", auto_login=True) as server:
        run = Job(server, tmp_path)("doctor", "--json")
    assert run.returncode == 1, run
    first = run.json()["findings"][0]
    assert (first["section"], first["level"]) == ("access", "problem")
    assert "anybody" in first["message"]
