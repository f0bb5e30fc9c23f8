"""``langkeys api-key ... --url URL``: a job with one key, and no database."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ..support.deployments import Deploy, Deployment
from ..support.fake_langflow import VERSIONS, ago
from ..support.samples import KEY_FIELDS
from ..support.sites import Site
from ..support.terminals import run_at_terminal

# A job that has one key


@pytest.mark.parametrize("version", VERSIONS)
def test_a_job_rotates_its_own_key_in_place(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    bob = deployment.langflow.add_user("bob")
    old = deployment.langflow.add_key(bob, "job")
    file = deployment.site.folder / "key"
    file.write_text(old.value)
    result = deployment.job(
        "api-key", "rotate", "-", "--write-to", "key", stdin=file.read_text()
    ).done()
    assert result.stdout == ""
    (new,) = [key for key in deployment.langflow.keys if key.user is bob]
    assert file.read_text().strip() == new.value
    assert (new.name, new is old) == ("job", False)
    assert f"replaces {old.id}" in result.stderr
    assert "and refused" in result.stderr
    assert deployment.job("whoami", "--api-key", "-", stdin=old.value).code == 4


def test_a_job_gets_the_key_alone_in_a_pipe_and_an_object_in_json(deployment: Deployment) -> None:
    old = deployment.add("job")
    result = deployment.job("api-key", "rotate", "-", stdin=old.value).done()
    new = deployment.langflow.keys[-1]
    assert result.stdout == f"{new.value}\n"
    found = deployment.job("api-key", "rotate", "-", "--json", stdin=new.value).done().json()
    assert list(found) == [*KEY_FIELDS, "replaces", "replaces_expires_at"]
    assert found["api_key"] == deployment.langflow.keys[-1].value
    assert (found["replaces"], found["at_rest"]) == (new.id, None)


def test_keep_old_takes_the_place_of_a_grace(deployment: Deployment) -> None:
    old = deployment.add("job")
    result = deployment.job("api-key", "rotate", "-", "--grace", "1h", stdin=old.value).failed(2)
    assert "--keep-old" in result.stderr
    assert deployment.names() == ["acting", "job"]
    result = deployment.job("api-key", "rotate", "-", "--keep-old", stdin=old.value).done()
    assert deployment.names() == ["acting", "job", "job"]
    assert f"langkeys api-key revoke {old.id}" in result.stderr


def test_keep_old_is_for_a_server(site: Site) -> None:
    site.call("api-key", "rotate", "ci", "--keep-old").failed(2, "--url")


def test_a_leaked_key_ends_itself(deployment: Deployment) -> None:
    bob = deployment.langflow.add_user("bob")
    leaked = [deployment.langflow.add_key(bob, f"leaked-{number}") for number in range(2)]
    text = "".join(f"{key.value}\n" for key in leaked)
    deployment.job("api-key", "revoke", "-", stdin=text).failed(2, "--yes")
    result = deployment.job("api-key", "revoke", "-", "--yes", stdin=text).done()
    assert [row[0] for row in result.rows] == [key.id for key in leaked]
    assert deployment.names() == ["acting"]
    assert "now refuses them" in result.stderr
    again = deployment.job("api-key", "revoke", "-", "--yes", "--json", stdin=text).failed(4)
    assert again.error["code"] == "invalid_key"


def test_one_key_of_several_that_is_dead_stops_it_before_any_deed(deployment: Deployment) -> None:
    live = deployment.add("live")
    text = f"{live.value}\nsk-{'x' * 43}\n"
    deployment.job("api-key", "revoke", "-", "--yes", stdin=text).failed(4, "line 2 of stdin")
    assert deployment.names() == ["acting", "live"]


def test_a_lost_answer_names_the_new_id_and_the_line_that_revokes_it(
    deployment: Deployment,
) -> None:
    old = deployment.add("job")
    deployment.langflow.lose("POST", "/api/v1/api_key/", is_done=True)
    result = deployment.job("api-key", "rotate", "-", stdin=old.value).failed(1)
    new = deployment.langflow.keys[-1]
    assert deployment.names() == ["acting", "job", "job"]
    assert f"langkeys api-key revoke {new.id} --url {deployment.server.url}" in result.stderr


def test_a_key_that_cannot_be_delivered_is_taken_back(deployment: Deployment) -> None:
    old = deployment.add("job")
    with Path("/dev/full").open("wb") as full:
        process = deployment.site.spawn(
            "api-key", "rotate", "-", "--url", deployment.server.url,
            stdin=subprocess.PIPE, stdout=full,
        )  # fmt: skip
        _, err = process.communicate(old.value.encode(), timeout=60)
    assert process.returncode == 1
    assert b"removed again" in err
    assert deployment.langflow.keys[1:] == [old]


def test_a_key_that_is_in_its_file_stays_though_stdout_is_full(deployment: Deployment) -> None:
    old = deployment.add("job")
    with Path("/dev/full").open("wb") as full:
        process = deployment.site.spawn(
            "api-key", "rotate", "-", "--url", deployment.server.url, "--write-to", "key", "--json",
            stdin=subprocess.PIPE, stdout=full,
        )  # fmt: skip
        process.communicate(old.value.encode(), timeout=60)
    assert process.returncode == 1
    (_, new) = deployment.langflow.keys
    assert (deployment.site.folder / "key").read_text().strip() == new.value


def test_a_file_that_cannot_be_written_is_found_out_before_any_request(
    deployment: Deployment,
) -> None:
    old = deployment.add("job")
    missing = str(deployment.site.folder / "missing" / "key")
    deployment.job("api-key", "rotate", "-", "--write-to", missing, stdin=old.value).failed(1)
    assert deployment.names() == ["acting", "job"]
    assert [asked for asked in deployment.server.requests if asked.method != "GET"] == []


# Acting by LANGKEYS_API_KEY


def test_a_key_is_made_and_listed(deployment: Deployment) -> None:
    result = deployment.call("api-key", "create", "--name", "ci").done()
    made = deployment.langflow.keys[-1]
    assert (result.stdout, made.name) == (f"{made.value}\n", "ci")
    rows = deployment.call("api-key", "list").done().rows
    assert [row[1] for row in rows] == ["acting", "ci"]
    listed = deployment.call("api-key", "list", "--json").done().json()
    assert [list(item) for item in listed] == [KEY_FIELDS, KEY_FIELDS]
    assert made.value not in str(listed)
    found = deployment.call("api-key", "show", "ci", "--json").done().json()
    assert (found["id"], found["at_rest"]) == (made.id, None)


def test_several_keys_are_an_array(deployment: Deployment) -> None:
    found = deployment.call("api-key", "create", "--count", "3", "--json").done().json()
    assert [item["api_key"] for item in found] == [k.value for k in deployment.langflow.keys[1:]]


def test_a_key_goes_into_a_file_and_is_masked_on_stdout(deployment: Deployment) -> None:
    arguments = ("api-key", "create", "--write-to", "key", "--json")
    found = deployment.call(*arguments).done().json()
    made = deployment.langflow.keys[-1]
    assert (deployment.site.folder / "key").read_text().strip() == made.value
    assert found["api_key"] == made.value[:8] + "*" * (len(made.value) - 8)
    assert found["written_to"] == str(deployment.site.folder / "key")


@pytest.mark.parametrize("version", ["1.5.1", "1.8.4"])
def test_an_expiry_that_would_be_dropped_is_refused(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    result = deployment.call("api-key", "create", "--expires", "90d", "--json").failed(2)
    assert result.error["code"] == "unsupported"
    assert version in result.error["message"]
    assert deployment.names() == ["acting"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--user", "bob"),
        ("list", "--user", "bob"),
        ("list", "--all-users"),
        ("prune", "--user", "bob", "--yes"),
        ("rotate", "--user", "bob", "--all"),
    ],
)
def test_nobody_elses_keys_are_there(deployment: Deployment, arguments: tuple[str, ...]) -> None:
    deployment.langflow.add_user("bob")
    result = deployment.call("api-key", *arguments, "--json").failed(2)
    assert result.error["code"] == "unsupported"
    assert deployment.names() == ["acting"]


def test_ones_own_name_is_no_other_user(deployment: Deployment) -> None:
    for user in ("administrator", deployment.langflow.superuser.id):
        assert len(deployment.call("api-key", "list", "--user", user).done().rows) == 1


def test_filters_are_applied_here(deployment: Deployment) -> None:
    deployment.add("old", created_at=ago(days=100))
    deployment.add("ended", expires_at=ago(days=1))
    rows = deployment.call("api-key", "list", "--unused-for", "90d").done().rows
    assert [row[1] for row in rows] == ["old"]
    rows = deployment.call("api-key", "list", "--status", "expired").done().rows
    assert [row[1] for row in rows] == ["ended"]
    rows = deployment.call("api-key", "list", "--limit", "1", "--offset", "1").done().rows
    assert len(rows) == 1


def test_prune_spares_the_acting_key(deployment: Deployment) -> None:
    deployment.acting.created_at = ago(days=200)
    for name in ("a", "b"):
        deployment.add(name, created_at=ago(days=100))
    deployment.add("new")
    arguments = ("api-key", "prune", "--older-than", "90d")
    assert len(deployment.call(*arguments, "--dry-run").done().rows) == 2
    deployment.call(*arguments).failed(2, "--yes")
    assert len(deployment.names()) == 4
    deployment.call(*arguments, "--yes").done()
    assert deployment.names() == ["acting", "new"]
    assert deployment.call(*arguments, "--yes").done().rows == []


def test_the_acting_key_needs_yes(deployment: Deployment) -> None:
    deployment.call("api-key", "revoke", "acting").failed(2, "--yes")
    deployment.call("api-key", "rotate", "acting").failed(2, "--yes")
    result = deployment.call("api-key", "rotate", "acting", "--yes").done()
    assert "LANGKEYS_API_KEY" in result.stderr
    new = deployment.langflow.keys[-1]
    settings = {"LANGKEYS_API_KEY": new.value}
    deployment.add("other")
    deployment.call("api-key", "revoke", new.id, "other", "--yes", **settings).done()
    assert deployment.langflow.keys == []


def test_several_are_rotated_at_once(deployment: Deployment) -> None:
    for name in ("a", "b"):
        deployment.add(name, created_at=ago(days=100))
    result = deployment.call("api-key", "rotate", "--older-than", "90d").done()
    assert result.lines == [key.value for key in deployment.langflow.keys[1:]]
    result = deployment.call("api-key", "rotate", "--all", "--dry-run").done()
    assert len(result.rows) == 3
    assert len(deployment.names()) == 3


def test_a_newer_key_that_was_never_used_may_be_in_use(deployment: Deployment) -> None:
    old = deployment.add("ci", created_at=ago(days=9))
    newer = deployment.add("ci", created_at=ago(days=2))
    result = deployment.call("api-key", "rotate", old.id).done()
    assert (
        f"was created 2 days ago and never used. It may be left over from an interrupted rotation."
        f" Revoke it only if nobody uses it: langkeys api-key revoke {newer.id} --url"
    ) in result.stderr


def test_who_or_what_is_unknown_has_a_next_step(deployment: Deployment) -> None:
    url = deployment.server.url
    stderr = deployment.call("api-key", "show", "ACTING").failed(3).stderr
    assert (
        f"hint: there is 'acting'; to see ids and names: langkeys api-key list --url {url}"
        in stderr
    )
    stderr = deployment.call("api-key", "show", "e5c").failed(3).stderr
    assert "hint: the start of an id needs at least 4 digits; to see ids and names: " in stderr
    stderr = deployment.call("user", "show", "nobody").failed(3).stderr
    assert f"hint: to see names and ids: langkeys user list --url {url}" in stderr


def test_a_name_that_is_another_keys_start_is_shown_with_a_warning(deployment: Deployment) -> None:
    other = deployment.langflow.add_key(deployment.langflow.superuser, "deploy")
    deployment.langflow.add_key(deployment.langflow.superuser, other.id[:8])
    result = deployment.call("api-key", "show", other.id[:8]).done()
    assert f"warning: '{other.id[:8]}' is the name of" in result.stderr
    assert other.id in result.stderr


def test_what_is_not_there_is_not_found(deployment: Deployment) -> None:
    result = deployment.call("api-key", "revoke", "nothing", "--yes", "--json").failed(3)
    assert result.error["code"] == "not_found"


def test_a_terminal_gets_a_panel_that_names_the_server(deployment: Deployment) -> None:
    settings = {"LANGKEYS_API_KEY": deployment.acting.value, "LANGFLOW_AUTO_LOGIN": None}
    text = run_at_terminal(
        deployment.site, "api-key", "create", "--url", deployment.server.url, **settings
    ).text
    assert "shown only once" in text
    assert deployment.server.url in text
