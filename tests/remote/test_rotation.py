"""Rotation over REST: create, verify and deliver the new key before the old one is revoked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone

import pytest

from langkeys.errors import ConflictError, FailedError, UnsupportedError
from langkeys.models import ApiKey
from langkeys.remote import api_keys, references, rotation
from langkeys.remote.rotation import Replacement

from ..support.fake_langflow import VERSIONS, FakeKey, Refused, ago
from .conftest import Deployment

PATH = api_keys.PATH
Deploy = Callable[[str], Deployment]


def chosen_by_itself(deployment: Deployment, key: FakeKey) -> references.ChosenKey:
    return references.choose_acting(deployment.server(), key.value, "line 1 of stdin")


def no_delivery(*_: object) -> None:
    raise FailedError("stdout is closed")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_that_belongs_to_no_superuser_rotates_itself(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    bob = deployment.langflow.add_user("bob")
    old = deployment.langflow.add_key(bob, "job")
    delivered: list[str] = []

    def deliver(made: Sequence[Replacement], _: set[str]) -> None:
        assert old in deployment.langflow.keys, "both work until the new one is delivered"
        delivered.extend(item.new.plaintext for item in made)

    (item,) = rotation.rotate([chosen_by_itself(deployment, old)], deliver)
    (left,) = [key for key in deployment.langflow.keys if key.user is bob]
    assert (left.name, left.value) == ("job", item.new.plaintext)
    assert delivered == [left.value]


def test_the_old_lifetime_is_kept(deployment: Deployment) -> None:
    langflow = deployment.langflow
    until = datetime.now(timezone.utc) + timedelta(days=20)
    old = langflow.add_key(langflow.superuser, "job", created_at=ago(days=70), expires_at=until)
    (item,) = rotation.rotate([chosen_by_itself(deployment, old)], lambda *_: None)
    assert item.new.row.expires_at is not None
    left = item.new.row.expires_at - datetime.now(timezone.utc)
    assert timedelta(days=89, hours=23) < left < timedelta(days=90, hours=1)


def test_a_lifetime_stays_within_the_calendar_and_is_never_past() -> None:
    moment = datetime.now(timezone.utc)

    def key(created: datetime, expires: datetime | None) -> ApiKey:
        return ApiKey("0" * 32, "x", "1" * 32, "", None, created, None, 0, True, expires)

    start = datetime(1, 1, 2, tzinfo=timezone.utc)
    end = datetime(9999, 12, 30, tzinfo=timezone.utc)
    assert rotation.new_expiry(key(moment, None), moment) is None
    long = rotation.new_expiry(key(start, end), moment)
    assert long is not None
    assert long.year == 9999
    with pytest.raises(ConflictError):
        rotation.new_expiry(key(moment, moment - timedelta(days=1)), moment)


def test_keep_old_leaves_both(deployment: Deployment) -> None:
    old = deployment.langflow.add_key(deployment.langflow.superuser, "job")
    rotation.rotate([chosen_by_itself(deployment, old)], lambda *_: None, keeps_old=True)
    assert [key.name for key in deployment.langflow.keys] == ["acting", "job", "job"]


@pytest.mark.parametrize("version", ["1.5.1", "1.8.4"])
def test_another_expiry_is_refused_where_it_would_be_dropped(deploy: Deploy, version: str) -> None:
    deployment = deploy(version)
    old = deployment.langflow.add_key(deployment.langflow.superuser, "job")
    until = datetime.now(timezone.utc) + timedelta(days=1)
    with pytest.raises(UnsupportedError):
        rotation.rotate([chosen_by_itself(deployment, old)], lambda *_: None, expires=until)
    assert deployment.writes() == []


def test_an_inactive_key_is_not_rotated(deployment: Deployment) -> None:
    deployment.langflow.add_key(deployment.langflow.superuser, "off", is_active=False)
    server = deployment.server()
    chosen = references.choose(server, api_keys.list_keys(server), "off", destroys=False)
    with pytest.raises(ConflictError):
        rotation.rotate([chosen], lambda *_: None)
    assert deployment.writes() == []


def test_what_is_not_delivered_is_taken_back_and_the_old_one_stays(deployment: Deployment) -> None:
    langflow = deployment.langflow
    olds = [langflow.add_key(langflow.superuser, name) for name in ("a", "b")]
    server = deployment.server()
    chosen = references.chosen_from(server, api_keys.list_keys(server)[1:])
    with pytest.raises(FailedError, match="stdout") as caught:
        rotation.rotate(chosen, no_delivery)
    assert caught.value.hint is not None
    removed, _, step = caught.value.hint.partition("; ")
    assert removed == "the 2 new API keys have been removed again"
    assert step == "when the cause is fixed, try again"
    assert langflow.keys == [deployment.key, *olds]


def test_what_cannot_be_taken_back_is_named(deployment: Deployment) -> None:
    old = deployment.langflow.add_key(deployment.langflow.superuser, "job")
    deployment.langflow.lose("DELETE", PATH, is_done=False, count=99)
    with pytest.raises(FailedError) as caught:
        rotation.rotate([chosen_by_itself(deployment, old)], no_delivery)
    left = deployment.langflow.keys[-1]
    assert left is not old
    assert f"langkeys api-key revoke {left.id} --url" in (caught.value.hint or "")


def test_an_answer_lost_in_the_middle_takes_back_the_others_and_names_what_is_new(
    deployment: Deployment,
) -> None:
    langflow = deployment.langflow
    olds = [langflow.add_key(langflow.superuser, name) for name in ("a", "b")]
    made = 0

    def second(method: str, _: str) -> None:
        nonlocal made
        made += method == "POST"
        if method == "POST" and made == 2:
            langflow.add_key(langflow.superuser, "b")
            raise Refused(504, "gateway timeout")

    langflow.before = second
    server = deployment.server()
    chosen = references.chosen_from(server, api_keys.list_keys(server)[1:])
    with pytest.raises(FailedError) as caught:
        rotation.rotate(chosen, lambda *_: None)
    new = langflow.keys[-1]
    assert langflow.keys == [deployment.key, *olds, new]
    hint = caught.value.hint or ""
    assert f"langkeys api-key revoke {new.id}" in hint
    assert "has been removed again" in hint


@pytest.mark.parametrize("is_done", [True, False])
def test_the_old_one_ends_though_an_answer_is_lost(deployment: Deployment, is_done: bool) -> None:
    old = deployment.langflow.add_key(deployment.langflow.superuser, "job")
    deployment.langflow.lose("DELETE", PATH, is_done=is_done)
    rotation.rotate([chosen_by_itself(deployment, old)], lambda *_: None)
    assert old not in deployment.langflow.keys


def test_an_old_one_that_cannot_be_ended_is_named_with_the_line_that_does(
    deployment: Deployment,
) -> None:
    old = deployment.langflow.add_key(deployment.langflow.superuser, "job")
    deployment.langflow.lose("DELETE", PATH, is_done=False, count=99)
    with pytest.raises(FailedError, match="0 of 1 old API keys revoked") as caught:
        rotation.rotate([chosen_by_itself(deployment, old)], lambda *_: None)
    assert f"langkeys api-key revoke {old.id} --url" in (caught.value.hint or "")
    assert "delivered" in (caught.value.hint or "")


def test_the_acting_key_rotates_itself_among_others(deployment: Deployment) -> None:
    deployment.langflow.add_key(deployment.langflow.superuser, "other")
    server = deployment.server()
    chosen = references.chosen_from(server, api_keys.list_keys(server))
    items = rotation.rotate(chosen, lambda *_: None)
    assert {key.value for key in deployment.langflow.keys} == {item.new.plaintext for item in items}
