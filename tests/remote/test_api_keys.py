"""API keys over REST: create, verify, list, select and revoke, even if answers are lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from langkeys.errors import (
    AmbiguousError,
    FailedError,
    InvalidKeyError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from langkeys.models import dashed
from langkeys.remote import api_keys, creation, references, rotation
from langkeys.remote.api_keys import matching_keys
from langkeys.times import now

from ..support.fake_langflow import VERSIONS, Refused, ago
from .conftest import Deployment

PATH = api_keys.PATH
Deploy = Callable[[str], Deployment]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_key_works_and_is_listed(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    new = creation.create(deployment.server(), "ci")
    assert new.plaintext not in repr(new)
    (made,) = [key for key in deployment.langflow.keys if key.name == "ci"]
    assert (made.value, made.id) == (new.plaintext, dashed(new.row.id))
    listed = api_keys.list_keys(deployment.server(new.plaintext))
    assert [item.key.name for item in listed] == ["acting", "ci"]
    assert {item.key.username for item in listed} == {"administrator"}
    assert {item.key.at_rest for item in listed} == {None}


@pytest.mark.parametrize(("version", "honours"), list(zip(VERSIONS, (0, 0, 1, 1), strict=True)))
def test_an_expiry_is_kept_or_refused_before_any_deed(
    deploy: Deploy, version: str, honours: int
) -> None:
    deployment = deploy(version)
    until = datetime.now(timezone.utc) + timedelta(days=90)
    if not honours:
        with pytest.raises(UnsupportedError, match=version.replace(".", r"\.")):
            creation.create(deployment.server(), "ci", until)
        assert deployment.writes() == []
        return
    new = creation.create(deployment.server(), "ci", until)
    assert new.row.expires_at is not None
    assert abs(new.row.expires_at - until) < timedelta(seconds=1)


def test_a_server_that_drops_the_expiry_all_the_same_loses_the_key(deployment: Deployment) -> None:
    def drop(method: str, _: str) -> None:
        for key in deployment.langflow.keys:
            key.expires_at = None

    deployment.langflow.before = drop
    with pytest.raises(FailedError, match="expiry") as caught:
        creation.create(deployment.server(), "ci", now() + timedelta(days=1))
    assert "removed again" in (caught.value.hint or "")
    assert [key.name for key in deployment.langflow.keys] == ["acting"]


def test_a_new_key_that_is_not_let_in_is_taken_back(deployment: Deployment) -> None:
    def refuse(method: str, path: str) -> None:
        if method == "GET":
            for key in deployment.langflow.keys[1:]:
                key.is_active = False

    deployment.langflow.before = refuse
    with pytest.raises(FailedError, match="not accepted") as caught:
        creation.create(deployment.server(), "ci")
    assert "removed again" in (caught.value.hint or "")
    assert [key.name for key in deployment.langflow.keys] == ["acting"]


def test_an_answer_lost_after_the_deed_names_the_new_ids_and_deletes_nothing(
    deployment: Deployment,
) -> None:
    old = deployment.langflow.add_key(deployment.langflow.superuser, "ci")
    deployment.langflow.lose("POST", PATH, is_done=True)

    def somebody_else(method: str, _: str) -> None:
        if method == "POST":
            deployment.langflow.add_key(deployment.langflow.superuser, "ci")
            deployment.langflow.add_key(deployment.langflow.superuser, "other")

    deployment.langflow.before = somebody_else
    with pytest.raises(FailedError) as caught:
        creation.create(deployment.server(), "ci")
    assert caught.value.exit_code == 1
    new = [key.id for key in deployment.langflow.keys if key.name == "ci" and key is not old]
    assert len(new) == 2
    assert f"langkeys api-key revoke {' '.join(new)} --url" in (caught.value.hint or "")
    assert [line.split()[0] for line in caught.value.candidates] == new
    assert deployment.writes() == [f"POST {PATH}"]


def test_an_answer_lost_before_the_deed_says_that_nothing_is_there(deployment: Deployment) -> None:
    deployment.langflow.lose("POST", PATH, is_done=False)
    with pytest.raises(FailedError, match="no new API key 'ci'") as caught:
        creation.create(deployment.server(), "ci")
    assert caught.value.hint == "run the command again"


def test_where_nothing_can_be_looked_up_any_more_that_is_said(deployment: Deployment) -> None:
    deployment.langflow.lose("POST", PATH, is_done=True)

    def break_down(method: str, path: str) -> None:
        if method == "POST":
            deployment.langflow.lose("GET", PATH, is_done=False, count=99)

    deployment.langflow.before = break_down
    with pytest.raises(FailedError, match="it is unknown whether"):
        creation.create(deployment.server(), "ci")


def test_a_new_key_that_the_server_does_not_list_is_an_error(deployment: Deployment) -> None:
    listed = type(deployment.langflow)._listed
    deployment.langflow._listed = (  # type: ignore[method-assign]
        lambda item: listed(deployment.langflow, item) | {"id": deployment.key.id}
    )
    server = deployment.server()
    with pytest.raises(FailedError, match=f"is not among those that {server.location} lists"):
        creation.create(server, "ci")


def test_an_answer_to_a_new_key_that_is_none_counts_as_lost(deployment: Deployment) -> None:
    def bad_gateway(method: str, _: str) -> None:
        if method == "POST":
            deployment.langflow.add_key(deployment.langflow.superuser, "ci")
            raise Refused(502, "bad gateway")

    deployment.langflow.before = bad_gateway
    with pytest.raises(FailedError, match="of that name") as caught:
        creation.create(deployment.server(), "ci")
    assert len(caught.value.candidates) == 1


# Revoking


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("is_done", [True, False])
def test_a_lost_answer_to_a_deletion_is_asked_for_again(
    deploy: Deploy, version: str, is_done: bool
) -> None:
    deployment = deploy(version)
    key = deployment.langflow.add_key(deployment.langflow.superuser, "ci")
    deployment.langflow.lose("DELETE", PATH, is_done=is_done)
    server = deployment.server()
    chosen = references.choose(server, api_keys.list_keys(server), "ci", destroys=True)
    rotation.revoke([chosen])
    assert key not in deployment.langflow.keys
    assert len(deployment.writes()) == 2


@pytest.mark.parametrize("is_done", [True, False])
def test_a_key_that_ends_itself_is_dead_though_the_answer_is_lost(
    deployment: Deployment, is_done: bool
) -> None:
    key = deployment.langflow.add_key(deployment.langflow.superuser, "leaked")
    deployment.langflow.lose("DELETE", PATH, is_done=is_done)
    rotation.revoke([references.choose_acting(deployment.server(), key.value, "line 1")])
    assert key not in deployment.langflow.keys


def test_deletions_that_are_never_answered_leave_it_open(deployment: Deployment) -> None:
    key = deployment.langflow.add_key(deployment.langflow.superuser, "ci")
    deployment.langflow.lose("DELETE", PATH, is_done=False, count=99)
    with pytest.raises(FailedError, match="it is unknown whether"):
        api_keys.end(deployment.server(), key.id.replace("-", ""), key.name)
    assert key in deployment.langflow.keys


def test_a_key_that_was_gone_before_is_not_found(deployment: Deployment) -> None:
    with pytest.raises(NotFoundError):
        api_keys.end(deployment.server(), uuid.uuid4().hex, None)


def test_a_key_that_another_row_lets_in_is_no_success(deployment: Deployment) -> None:
    key = deployment.langflow.add_key(deployment.langflow.superuser, "leaked")
    chosen = references.choose_acting(deployment.server(), key.value, "line 1")
    other = deployment.langflow.add_key(deployment.langflow.superuser, "copy")
    other.value = key.value
    with pytest.raises(FailedError, match="still accepts it"):
        rotation.revoke([chosen])
    assert key not in deployment.langflow.keys


def test_a_gateways_refusal_proves_nothing(deployment: Deployment) -> None:
    key = deployment.langflow.add_key(deployment.langflow.superuser, "leaked")
    chosen = references.choose_acting(deployment.server(), key.value, "line 1")

    def firewall(method: str, path: str) -> None:
        if path.endswith("whoami"):
            raise Refused(403, None)

    deployment.langflow.before = firewall
    with pytest.raises(FailedError, match="it is unknown whether"):
        rotation.revoke([chosen])


def test_of_several_it_is_told_which_were_revoked(deployment: Deployment) -> None:
    for name in ("a", "b", "c"):
        deployment.langflow.add_key(deployment.langflow.superuser, name)
    server = deployment.server()
    keys = api_keys.list_keys(server)
    chosen = [references.choose(server, keys, name, destroys=True) for name in "abc"]
    gone = deployment.langflow.keys.pop(2)
    with pytest.raises(NotFoundError, match=f"1 of 3 API keys revoked, {gone.id} failed") as caught:
        rotation.revoke(chosen)
    assert [line.split()[-1] for line in caught.value.candidates] == ["revoked", "failed", "tried"]


def test_up_to_1_7_the_hole_is_not_used(deploy: Deploy) -> None:
    deployment = deploy("1.5.1")
    bob = deployment.langflow.add_user("bob")
    key = deployment.langflow.add_key(bob, "of-bob")
    server = deployment.server()
    with pytest.raises(NotFoundError):
        references.choose(server, api_keys.list_keys(server), key.id, destroys=True)
    assert deployment.writes() == []


# Selecting


def test_a_key_is_chosen_by_id_name_visible_start_and_start_of_id(deployment: Deployment) -> None:
    key = deployment.langflow.add_key(deployment.langflow.superuser, "ci")
    server = deployment.server()
    keys = api_keys.list_keys(server)
    refs = [
        key.id,
        key.id.replace("-", "").upper(),
        "ci",
        key.value[:8],
        key.value[:23],
        f"{key.value[:8]}…",
        f"{key.value[:8]}...",
        f"{key.value[:8]}{'*' * 38}",
        key.id[:9],
    ]
    for ref in refs:
        chosen = references.choose(server, keys, ref, destroys=True)
        assert dashed(chosen.key_id) == key.id, ref
        assert chosen.whole is None
    assert references.choose(server, keys, "acting", destroys=True).whole == deployment.key.value
    with pytest.raises(NotFoundError, match="no API key") as caught:
        references.choose(server, keys, key.id[:5], destroys=True)
    assert caught.value.message == (
        f"no API key of {server.acting.username} matches {key.id[:5]!r} in {server.location}"
    )
    assert "8 digits" in (caught.value.hint or "")
    for length in (7, 24):
        with pytest.raises(UsageError, match="5 to 20 characters after sk-") as refused:
            references.choose(server, keys, f"{key.value[:length]}...", destroys=True)
        assert key.value[:length] not in refused.value.message


@pytest.mark.parametrize("length", [0, 8, 12])
def test_a_name_that_is_another_keys_start_is_used_with_a_warning(
    deployment: Deployment, length: int
) -> None:
    langflow = deployment.langflow
    other = langflow.add_key(langflow.superuser, "deploy")
    named = langflow.add_key(langflow.superuser, other.value[:length] or other.id[:8])
    server, warnings = deployment.server(), list[str]()
    chosen = references.choose(
        server,
        api_keys.list_keys(server),
        str(named.name),
        destroys=True,
        warn=warnings.append,
    )
    assert dashed(chosen.key_id) == named.id
    assert f"{other.id} (deploy)" in warnings[0]


def test_a_name_of_several_is_ambiguous_unless_one_alone_works(deployment: Deployment) -> None:
    langflow = deployment.langflow
    langflow.add_key(langflow.superuser, "ci", expires_at=ago(days=1))
    works = langflow.add_key(langflow.superuser, "ci")
    server = deployment.server()
    keys = api_keys.list_keys(server)
    with pytest.raises(AmbiguousError) as caught:
        references.choose(server, keys, "ci", destroys=True)
    assert len(caught.value.candidates) == 2
    chosen = references.choose(server, keys, "ci", destroys=False, working=True)
    assert dashed(chosen.key_id) == works.id


def test_a_whole_key_is_looked_for_among_its_own_users_keys(deployment: Deployment) -> None:
    bob = deployment.langflow.add_user("bob")
    key = deployment.langflow.add_key(bob, "of-bob")
    chosen = references.choose_acting(deployment.server(), key.value, "line 1 of stdin")
    assert (dashed(chosen.key_id), chosen.listed.key.username) == (key.id, "bob")
    assert key.value not in repr(chosen)
    with pytest.raises(InvalidKeyError, match="line 2 of stdin"):
        references.choose_acting(deployment.server(), "sk-unknown", "line 2 of stdin")


def test_a_key_of_the_servers_own_environment_is_no_stored_one(deployment: Deployment) -> None:
    key = deployment.langflow.add_key(deployment.langflow.superuser, "env")
    deployment.langflow._listed = lambda _: {}  # type: ignore[method-assign, assignment]
    listed = type(deployment.langflow)._listed
    deployment.langflow._listed = (  # type: ignore[method-assign]
        lambda item: listed(deployment.langflow, item) | {"api_key": "sk-other***"}
    )
    with pytest.raises(NotFoundError, match="accepts the key") as caught:
        references.choose_acting(deployment.server(), key.value, "line 1")
    assert "LANGFLOW_API_KEY" in (caught.value.hint or "")


def test_filters_are_those_of_a_store(deployment: Deployment) -> None:
    langflow, moment = deployment.langflow, now().replace(microsecond=0)
    langflow.keys.clear()
    langflow.keys.append(deployment.key)
    owner = langflow.superuser
    langflow.add_key(owner, "old", created_at=ago(days=200))
    langflow.add_key(owner, "used", created_at=ago(days=200), last_used_at=ago(days=1))
    langflow.add_key(owner, "ended", created_at=ago(days=10), expires_at=ago(days=1))
    langflow.add_key(owner, "soon", expires_at=moment + timedelta(days=3))
    langflow.add_key(owner, "now", expires_at=moment)  # still accepted at this moment
    langflow.add_key(owner, "off", is_active=False)
    keys = api_keys.list_keys(deployment.server())

    def names(**conditions: object) -> set[str | None]:
        return {item.key.name for item in matching_keys(keys, moment, **conditions)}  # type: ignore[arg-type]

    assert names(unused_since=ago(days=90)) == {"old"}
    assert names(created_before=ago(days=90)) == {"old", "used"}
    assert names(is_expired=True) == {"ended"}
    assert names(status="expired") == {"ended"}
    assert names(status="inactive") == {"off"}
    assert names(expires_before=moment + timedelta(days=7)) == {"now", "soon"}
    assert names(expires_before=moment) == {"now"}
    assert names(created_before=ago(days=90), unused_since=ago(days=90)) == {"old"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 5),
        ("id", "x"),
        ("name", 7),
        ("api_key", None),
        ("created_at", "soon"),
        ("total_uses", "many"),
        ("total_uses", True),
        ("is_active", "yes"),
        ("expires_at", 0),
    ],
)
def test_a_list_of_other_types_is_no_langflow_servers(
    deployment: Deployment, field: str, value: object
) -> None:
    listed = type(deployment.langflow)._listed
    deployment.langflow._listed = (  # type: ignore[method-assign]
        lambda item: listed(deployment.langflow, item) | {field: value}
    )
    with pytest.raises(FailedError, match=field):
        api_keys.list_keys(deployment.server())


def test_a_server_that_lists_whole_keys_does_not_make_us_show_them(deployment: Deployment) -> None:
    listed = type(deployment.langflow)._listed
    deployment.langflow._listed = (  # type: ignore[method-assign]
        lambda item: listed(deployment.langflow, item) | {"api_key": item.value}
    )
    (item,) = api_keys.list_keys(deployment.server())
    assert item.value == deployment.key.value[:8] + "*" * (len(deployment.key.value) - 8)
