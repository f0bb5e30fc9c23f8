"""``langkeys variable``, ``langkeys user`` and ``langkeys doctor`` with ``--url URL``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from langkeys.remote import polling

from ..support.fake_langflow import Langflow, langflow
from ..support.samples import CREDENTIAL, PASSWORD, USER_FIELDS
from ..support.servers import Server
from ..support.sites import Result, Site
from ..support.terminals import Terminal, run_at_terminal


@dataclass
class Deployment:
    langflow: Langflow
    server: Server
    site: Site
    key: str

    def call(self, *arguments: str, stdin: str = "", **settings: str | None) -> Result:
        settings = {"LANGKEYS_API_KEY": self.key} | settings
        result = self.site.call(*arguments, "--url", self.server.url, stdin=stdin, **settings)
        assert CREDENTIAL not in result.stdout
        return result

    def writes(self) -> list[str]:
        return [asked.method for asked in self.server.requests if asked.method != "GET"]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.3)


@pytest.fixture
def deployment(empty_site: Site) -> Iterator[Deployment]:
    with langflow("1.13.0") as (found, server):
        key = found.add_key(found.superuser, "acting")
        yield Deployment(found, server, empty_site, key.value)


# Variables


def test_a_variable_is_sent_and_that_is_said(deployment: Deployment) -> None:
    command = ("variable", "set", "TOKEN", "--value-file", "-")
    result = deployment.call(*command, "--apply-to", "Field", stdin=f"{CREDENTIAL}\n").done()
    assert result.stdout == ""
    assert "sent Credential TOKEN" in result.stderr
    assert "never shows its value" in result.stderr
    stored = deployment.langflow.variable("TOKEN")
    assert (stored.value, stored.default_fields) == (CREDENTIAL, ["Field"])
    found = deployment.call(*command, "--json", stdin=CREDENTIAL).done().json()
    assert (found["name"], found["value"], found["opens"]) == ("TOKEN", None, None)
    assert found["default_fields"] == ["Field"]


def test_a_generic_one_is_shown_as_it_is(deployment: Deployment) -> None:
    command = ("variable", "set", "REGION", "--type", "Generic", "--value-file", "-", "--json")
    assert deployment.call(*command, stdin="eu\nwest").done().json()["value"] == "eu\nwest"
    deployment.langflow.add_variable("TOKEN", CREDENTIAL)
    rows = deployment.call("variable", "list").done().rows
    assert [row[1:4] for row in rows] == [
        ["REGION", "Generic", "eu\\nwest"],
        ["TOKEN", "Credential", ""],
    ]
    text = run_at_terminal(
        deployment.site, "variable", "list", "--url", deployment.server.url,
        LANGKEYS_API_KEY=deployment.key,
    ).text  # fmt: skip
    assert "(hidden)" in text
    assert CREDENTIAL not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "X", "--value-file", "-", "--user", "bob"),
        ("list", "--all-users"),
        ("list", "--user", "bob"),
        ("delete", "X", "--user", "bob", "--yes"),
        ("import", "-", "--only", "X", "--all-users"),
    ],
)
def test_nobody_elses_variables_are_there(
    deployment: Deployment, arguments: tuple[str, ...]
) -> None:
    result = deployment.call("variable", *arguments, "--json", stdin="X=1").failed(2)
    assert result.error["code"] == "unsupported"
    assert deployment.writes() == []


def test_a_file_is_imported_by_policy(deployment: Deployment) -> None:
    (deployment.site.folder / "some.env").write_text(f"A={CREDENTIAL}\nB={CREDENTIAL}\nC=\n")
    command = ("variable", "import", "some.env", "--only", "A", "--only", "B")
    assert [row[0] for row in deployment.call(*command, "--dry-run").done().rows] == ["added"] * 2
    assert deployment.writes() == []
    result = deployment.call(*command).done()
    assert [row[:2] for row in result.rows] == [["added", "A"], ["added", "B"]]
    assert "sent" in result.stderr
    found = deployment.call(*command, "--policy", "overwrite", "--json").done().json()
    assert [item["action"] for item in found] == ["changed", "changed"]
    deployment.call(*command, "--policy", "fail").failed(5)


def test_one_that_fails_is_named_with_how_many_were_set(deployment: Deployment) -> None:
    deployment.langflow.refusals["POST", "B"] = 400, f"the provider refuses {CREDENTIAL}"
    text = "".join(f"{name}={CREDENTIAL}\n" for name in "ABC")
    only = [argument for name in "ABC" for argument in ("--only", name)]
    deployment.call("variable", "import", "-", *only, stdin=text).failed(
        1, "2 of 3 set, B failed", "run the command again"
    )


def test_variables_are_deleted(deployment: Deployment) -> None:
    deployment.langflow.add_variable("A", CREDENTIAL)
    deployment.langflow.add_variable("B", CREDENTIAL)
    deployment.call("variable", "delete", "A", "B").failed(2, "--yes")
    deployment.call("variable", "delete", "A", "NOTHING", "--yes").failed(3)
    assert len(deployment.langflow.variables) == 2
    deployment.call("variable", "delete", "A", "B", "--dry-run").done()
    assert len(deployment.langflow.variables) == 2
    assert len(deployment.call("variable", "delete", "A", "B", "--yes").done().rows) == 2
    assert deployment.langflow.variables == []


# Users


def test_a_user_is_made_shown_and_changed(deployment: Deployment) -> None:
    command = ("user", "create", "alice", "--password-file", "-")
    row = deployment.call(*command, stdin=PASSWORD).done().rows[0]
    stored = deployment.langflow.users[-1]
    assert row[:6] == [stored.id, "alice", "true", "false", "", ""]
    assert stored.password == PASSWORD
    deployment.call(*command, stdin=PASSWORD).failed(5)
    assert deployment.call("user", "promote", "alice").done().rows[0][3] == "true"
    assert deployment.call("user", "demote", "alice").done().rows[0][3] == "false"
    found = deployment.call("user", "deactivate", "alice", "--json").done().json()
    assert (found["is_active"], found["revoked_keys"]) == (False, [])
    result = deployment.call("user", "deactivate", "alice").done()
    assert "already" in result.stderr
    assert deployment.call("user", "activate", "alice").done().rows[0][2] == "true"
    found = deployment.call("user", "show", "alice", "--json").done().json()
    assert list(found) == [*USER_FIELDS, "optins", "api_keys", "variables"]
    assert (found["api_keys"], found["variables"]) == (None, None)
    assert [row[1] for row in deployment.call("user", "list").done().rows] == [
        "administrator",
        "alice",
    ]
    text = run_at_terminal(
        deployment.site, "user", "list", "--url", deployment.server.url,
        LANGKEYS_API_KEY=deployment.key,
    ).text  # fmt: skip
    assert "alice" in text
    assert "None" not in text


def test_a_random_password_is_printed_alone(deployment: Deployment) -> None:
    result = deployment.call("user", "create", "alice", "--random", "--superuser").done()
    stored = deployment.langflow.users[-1]
    assert result.stdout == f"{stored.password}\n"
    assert stored.is_superuser
    result = deployment.call("user", "set-password", "alice", "--random").done()
    assert result.stdout == f"{stored.password}\n"
    assert "sent" in result.stderr


def test_the_superuser_stays(deployment: Deployment) -> None:
    for verb in ("deactivate", "demote"):
        result = deployment.call("user", verb, "administrator", "--json").failed(5)
        assert result.error["code"] == "conflict"
        deployment.langflow.users[1:] = []
        deployment.langflow.add_user("ops", is_superuser=True)
        deployment.call("user", verb, "ops", LANGFLOW_SUPERUSER="ops").failed(5)
    assert deployment.writes() == []


def test_the_race_that_nobody_can_win_is_told(deployment: Deployment) -> None:
    deployment.langflow.add_user("ops", is_superuser=True)

    def somebody_else(method: str, _: str) -> None:
        if method == "PATCH":
            deployment.langflow.before = lambda *_: None
            listed = deployment.langflow._user
            deployment.langflow._user = (  # type: ignore[method-assign]
                lambda user: listed(user) | {"is_superuser": False}
            )

    deployment.langflow.before = somebody_else
    result = deployment.call("user", "demote", "ops").done()
    assert "no active superuser is left" in result.stderr


def test_users_are_a_superusers_business(deployment: Deployment) -> None:
    bob = deployment.langflow.add_user("bob")
    key = deployment.langflow.add_key(bob)
    for command in (("list",), ("show", "bob"), ("promote", "bob"), ("create", "x", "--random")):
        result = deployment.call("user", *command, "--json", LANGKEYS_API_KEY=key.value).failed(4)
        assert result.error["code"] == "forbidden"
    assert deployment.writes() == []


def test_keys_of_others_are_not_revoked_with_them(deployment: Deployment) -> None:
    deployment.langflow.add_user("bob")
    result = deployment.call("user", "deactivate", "bob", "--revoke-keys", "--json").failed(2)
    assert result.error["code"] == "unsupported"
    deployment.call("user", "deactivate", "bob", "--dry-run").done()
    assert deployment.writes() == []


# Doctor


def test_doctor_looks_from_outside(deployment: Deployment) -> None:
    result = deployment.call("doctor").done()
    assert {row[0] for row in result.rows} >= {"access", "transport", "server", "key", "counts"}
    deployment.langflow.auto_login = True
    result = deployment.call("doctor", "--json")
    assert result.code == 1
    found = result.json()
    assert (found["ok"], found["version"], found["url"]) == (
        False,
        "1.13.0",
        deployment.server.url,
    )
    assert found["findings"][0]["level"] == "problem"
    assert "session-of-anybody" not in result.stdout


def test_doctor_without_a_key_says_what_it_cannot_see(deployment: Deployment) -> None:
    result = deployment.call("doctor", "--json", LANGKEYS_API_KEY=None).done()
    assert result.json()["acting"] is None


def test_doctor_begins_on_a_terminal_with_how_many_problems_there_are(
    deployment: Deployment,
) -> None:
    settings = {"LANGKEYS_API_KEY": deployment.key}
    arguments = ("doctor", "--url", deployment.server.url)
    text = run_at_terminal(deployment.site, *arguments, **settings).text
    assert text.startswith(f"no problem found at {deployment.server.url}")
    deployment.langflow.auto_login = True
    with Terminal(deployment.site, *arguments, **settings) as terminal:
        assert terminal.finish(1).text.startswith("1 problem found at")
