"""The manifest of the documents on a running server, which uses each change immediately."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from .database import Database
from .expectations import Expected
from .langflow_server import PASSWORD, SUPERUSER, LangflowServer
from .langkeys_process import Langkeys, Run
from .variable_flow import VariableFlows

EXAMPLE = Path(__file__).parents[2] / "examples" / "manifest" / "langflow.yaml"
OPENAI, REGION, GITHUB = "OPENAI_API_KEY", "REGION", "GITHUB_TOKEN"
IN_ENVIRONMENT = "from-the-server's-environment"


@dataclass
class Place:
    """A server, and langkeys with the example and the secrets that it names."""

    server: LangflowServer
    langkeys: Langkeys
    expected: Expected

    @property
    def folder(self) -> Path:
        return self.langkeys.folder

    @property
    def database(self) -> Database:
        return Database(self.server.database)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.folder / "out" / name).read_text(encoding="utf-8")

    def apply(self, *options: str) -> Run:
        return self.langkeys("apply", "-f", "m.yaml", "--yes", *options, CI_GITHUB_TOKEN="github")

    def assert_up_to_date(self) -> None:
        again = self.apply("--exit-code", "--json").done().json()
        assert again["changed"] is False
        assert again["changes"] == []

    def status(self, key: str) -> int:
        return self.server.rest.whoami(key).status

    def value_of(self, username: str, key: str, name: str) -> str | None:
        password = {"ci": lambda: self.read("ci-password"), SUPERUSER: lambda: PASSWORD}[username]()
        token = self.server.rest.login(username, password)
        return VariableFlows(self.server, key, token).value_of(name)


def text_for(expected: Expected) -> str:
    """The example with local paths, without fields that this version does not support."""
    text = EXAMPLE.read_text(encoding="utf-8")
    text = text.replace("/run/secrets/", "secrets/").replace("/run/out/", "out/")
    if not expected.has_expiry:
        lines = text.splitlines(keepends=True)
        kept = [line for line in lines if line.split(":")[0].strip() not in LATER]
        text = "".join(kept).replace(
            "        write_to:", "        renew_after: 90d\n        write_to:"
        )
    return text


LATER = ("expires", "renew_before", "grace")


@pytest.fixture(scope="module")
def place(
    version: str, expected: Expected, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A server on which the example has been applied once."""
    folder = tmp_path_factory.mktemp("declared")
    with LangflowServer(version, tmp_path_factory.mktemp("server")) as server:
        place = Place(server, Langkeys(folder, server.settings), expected)
        place.write("secrets/openai", "sk-openai$#'\"\r\nsecond line\n")
        place.write("secrets/partner-key", f"sk-{secrets.token_urlsafe(32)}\n")
        place.write("secrets/alice-password", "alice correct horse\n")
        place.write("m.yaml", text_for(expected))
        (folder / "out").mkdir()
        server.rest.login(SUPERUSER, PASSWORD)  # the server imports variables at a login
        place.langkeys("user", "create", "bob", "--random").done()
        place.langkeys("api-key", "create", "--user", "bob", "--name", "old").done()
        place.langkeys("api-key", "create", "--user", "bob", "--name", "older").done()
        yield place


@pytest.fixture(scope="module")
def applied(place: Place) -> dict[str, Any]:
    bobs = place.langkeys("api-key", "create", "--user", "bob", "--name", "bobs").done().stdout
    assert place.status(bobs.strip()) == 200
    found = place.apply("--exit-code", "--json")
    assert found.returncode == 8
    assert place.status(bobs.strip()) in (401, 403)
    return dict(found.json())


def test_the_example_is_applied_and_the_server_uses_it_at_once(
    place: Place, applied: dict[str, Any]
) -> None:
    assert applied["changed"] is True
    rest = place.server.rest
    for key in (place.read("app-key"), (place.folder / "secrets/partner-key").read_text().strip()):
        answer = rest.whoami(key)
        assert (answer.status, answer.body["username"]) == (200, "ci")
    assert rest.login("ci", place.read("ci-password"))
    assert rest.login("alice", "alice correct horse")
    listed = {v["name"]: v for v in rest.variables(place.read("app-key")).body}
    assert listed[OPENAI]["default_fields"] == ["OpenAI API Key"]
    assert listed[REGION]["value"] == "eu-west-1"
    assert listed[OPENAI]["type"] == "Credential"
    app = place.read("app-key")
    assert place.value_of("ci", app, OPENAI) == "sk-openai$#'\"\r\nsecond line"
    assert place.value_of("ci", app, GITHUB) == "github"


def test_the_second_time_nothing_changes(place: Place, applied: dict[str, Any]) -> None:
    before = place.database.query("SELECT * FROM variable ORDER BY id")
    place.assert_up_to_date()
    assert place.database.query("SELECT * FROM variable ORDER BY id") == before


def test_an_emptied_folder_gets_the_same_keys(place: Place, applied: dict[str, Any]) -> None:
    before = place.read("app-key")
    for _ in range(5):
        (place.folder / "out/app-key").unlink()
        place.apply().done()
        assert place.read("app-key") == before
    assert len(place.database.query("SELECT id FROM apikey WHERE name = 'app'")) == 1
    assert place.status(before) == 200


def test_a_changed_secret_is_used_at_once(place: Place, applied: dict[str, Any]) -> None:
    place.write("secrets/openai", "changed")
    found = place.apply("--json").done().json()
    assert {(c["action"], c["kind"], c["name"]) for c in found["changes"]} == {
        ("change", "variable", OPENAI)
    }
    app = place.read("app-key")
    assert place.value_of("ci", app, OPENAI) == "changed"
    place.assert_up_to_date()


def test_a_key_near_its_end_is_renewed_and_both_work_in_its_grace(
    place: Place, applied: dict[str, Any]
) -> None:
    old = place.read("app-key")
    made = datetime.now(timezone.utc) - timedelta(days=89, hours=1)
    ends = made + timedelta(days=90)
    row = "WHERE name = 'app'"
    place.database.execute(f"UPDATE apikey SET created_at = ? {row}", _stored(made))
    if place.expected.has_expiry:
        place.database.execute(f"UPDATE apikey SET expires_at = ? {row}", _stored(ends))
    else:
        earlier = made - timedelta(days=2)
        place.database.execute(f"UPDATE apikey SET created_at = ? {row}", _stored(earlier))
    found = place.apply("--json").done().json()
    assert [(c["action"], c["name"]) for c in found["changes"]] == [("renew", "app")]
    new = place.read("app-key")
    assert new != old
    assert place.status(new) == 200
    # The example has a grace period of a day; a server without expiry has none.
    assert place.status(old) == (200 if place.expected.has_expiry else 403)
    place.assert_up_to_date()


def test_a_user_who_is_gone_loses_access(place: Place, applied: dict[str, Any]) -> None:
    text = (place.folder / "m.yaml").read_text()
    kept = "  ci:\n    is_active: false\n    revoke_keys: true\n"
    place.write("gone.yaml", f"version: 1\nusers:\n{kept}")
    app = place.read("app-key")
    assert place.status(app) == 200
    place.langkeys("apply", "-f", "gone.yaml", "--yes").done()
    assert place.status(app) in (401, 403)
    (place.folder / "out/app-key").unlink()
    (place.folder / "out/key.json").unlink()
    place.write("m.yaml", text)
    # The partner's key was revoked, and is not restored: the source must get another key.
    place.apply().refused(5)
    place.write("secrets/partner-key", f"sk-{secrets.token_urlsafe(32)}\n")
    place.apply().done()
    assert place.status(place.read("app-key")) == 200
    place.assert_up_to_date()


def test_a_restart_with_another_environment_keeps_the_values(
    place: Place, applied: dict[str, Any]
) -> None:
    place.server.stop()
    place.server.settings[OPENAI] = IN_ENVIRONMENT
    place.server.start()
    for username, password in (("ci", place.read("ci-password")), (SUPERUSER, PASSWORD)):
        place.server.rest.login(username, password)
    if place.expected.overwrites_variables:
        return
    assert place.value_of("ci", place.read("app-key"), OPENAI) == "changed"
    place.assert_up_to_date()


def test_what_the_server_has_is_a_manifest_that_changes_nothing(
    place: Place, applied: dict[str, Any]
) -> None:
    for options in ((), ("--reveal",)):
        place.write("export.yaml", place.langkeys("manifest", *options).done().stdout)
        planned = place.langkeys("plan", "-f", "export.yaml", "--json").done().json()
        assert planned["changes"] == []


def test_a_key_that_is_due_by_its_age_is_renewed_by_every_version(
    place: Place, applied: dict[str, Any]
) -> None:
    place.write(
        "age.yaml",
        "version: 1\nusers:\n  ci:\n    api_keys:\n"
        "      aged: {renew_after: 30d, write_to: {file: out/aged}}\n",
    )
    run = ("apply", "-f", "age.yaml", "--yes", "--json")
    place.langkeys(*run).done()
    old = place.read("aged")
    made = datetime.now(timezone.utc) - timedelta(days=31)
    place.database.execute("UPDATE apikey SET created_at = ? WHERE name = 'aged'", _stored(made))
    assert place.langkeys(*run).done().json()["summary"]["renew"] == 1
    assert (place.status(old), place.status(place.read("aged"))) == (403, 200)
    assert place.langkeys(*run).done().json()["changed"] is False


def _stored(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
