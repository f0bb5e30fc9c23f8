"""Run api-key rotate with the same filter every night; some keys are skipped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from ..support.clocks import Clock, clock  # noqa: F401 - a fixture
from ..support.databases import Database, ago, ahead
from ..support.sites import Result, Site

Run = Callable[..., Result]
NIGHTLY = ("api-key", "rotate", "--older-than", "90d", "--grace", "7d")
DAY = timedelta(days=1)


def _keys(database: Database) -> dict[str, tuple[str, datetime, datetime | None]]:
    rows = database.rows("SELECT id, name, created_at, expires_at FROM apikey ORDER BY rowid")
    return {
        key_id: (name, _moment(created), None if expires is None else _moment(expires))
        for key_id, name, created, expires in rows
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def test_every_night_for_months_each_key_is_replaced_once_and_keeps_its_lifetime(
    call: Run,
    database: Database,
    superuser: str,
    clock: Clock,  # noqa: F811
) -> None:
    start = datetime(2026, 1, 1, 3, tzinfo=timezone.utc)
    lifetimes = {"never": None, "a year": 365 * DAY, "a hundred days": 100 * DAY}
    for name, lifetime in lifetimes.items():
        expires = None if lifetime is None else start + lifetime
        database.add_key(superuser, name, created_at=start, expires_at=expires)
    # Two keys with the same name, and an expiry that is not from a grace period.
    database.add_key(superuser, "never", created_at=start + timedelta(hours=1))
    made: dict[str, int] = {}
    for night in range(1, 220):
        clock.set(start + night * DAY + timedelta(minutes=night))
        before = _keys(database)
        call(*NIGHTLY).done()
        for key_id, (name, created, expires) in _keys(database).items():
            if key_id not in before:
                made[name] = made.get(name, 0) + 1
                lifetime = lifetimes[name]
                assert (None if expires is None else expires - created) == lifetime
    # 219 nights: the first rotation after 90 days, the second after another 90.
    assert made == {"never": 4, "a year": 2, "a hundred days": 2}


def test_what_lives_on_in_its_grace_is_left_out_and_that_is_said(
    call: Run, database: Database, superuser: str
) -> None:
    old = database.add_key(superuser, "ci", created_at=ago(days=100))
    first = call(*NIGHTLY, "--json").done().json()
    assert [item["replaces"] for item in first] == [old.dashed]
    before = database.content()
    again = call(*NIGHTLY).done()
    assert again.stdout == ""
    assert f"left out: API key {old.dashed}" in again.stderr
    assert first[0]["id"] in again.stderr
    everything = call("api-key", "rotate", "--user", "administrator", "--all", "--dry-run").done()
    assert [row[0] for row in everything.rows] == [first[0]["id"]]
    assert old.dashed in everything.stderr
    by_name = call("api-key", "rotate", "ci", "--dry-run").done()
    assert [row[0] for row in by_name.rows] == [first[0]["id"]]
    assert old.dashed in by_name.stderr
    assert database.content() == before
    # The old key can still be rotated by its id; the new key gets the lifetime of the newer one.
    third = call("api-key", "rotate", old.id, "--json").done().json()
    assert (third["replaces"], third["expires_at"]) == (old.dashed, None)


@pytest.mark.parametrize("count", [2, 12])
def test_several_in_their_grace_are_one_note(
    call: Run, database: Database, superuser: str, count: int
) -> None:
    for number in range(count):
        database.add_key(superuser, f"ci-{number}", created_at=ago(days=100))
    call(*NIGHTLY).done()
    (said,) = [line for line in call(*NIGHTLY).done().stderr.splitlines() if "left out" in line]
    assert said.startswith(f"note: left out {count} API keys that were already replaced")
    assert said.count("(ci-") == min(count, 10)
    assert ("and 2 more" in said) == (count == 12)


def test_several_of_one_name_in_their_grace_are_one_note(
    call: Run, database: Database, superuser: str
) -> None:
    first = database.add_key(superuser, "ci", created_at=ago(days=100))
    second = call("api-key", "rotate", "ci", "--grace", "7d", "--json").done().json()
    third = call("api-key", "rotate", "ci", "--grace", "7d", "--json").done().json()
    assert third["replaces"] == second["id"]
    result = call("api-key", "rotate", "ci", "--dry-run").done()
    assert [row[0] for row in result.rows] == [third["id"]]
    (said,) = [line for line in result.stderr.splitlines() if "left out" in line]
    assert said.startswith("note: 2 API keys named 'ci' are left out")
    assert first.dashed in said
    assert second["id"] in said


@pytest.mark.parametrize("arguments", [NIGHTLY, ("api-key", "rotate", "--user", "alice", "--all")])
def test_a_filter_that_matches_nothing_is_done(
    call: Run, database: Database, superuser: str, arguments: tuple[str, ...]
) -> None:
    database.add_user("alice")
    database.add_key(superuser, "ci")
    before = database.content()
    assert "nothing was done" in call(*arguments).done().stderr
    assert call(*arguments, "--json").done().json() == []
    call("api-key", "rotate", "nobody has this name").failed(3)
    assert database.content() == before


def test_the_grace_ends_whole_seconds_after_the_new_key_was_made(
    call: Run, database: Database, superuser: str
) -> None:
    for name, expires_at in (("free", None), ("soon", ahead(hours=2)), ("late", ahead(days=90))):
        old = database.add_key(superuser, name, expires_at=expires_at)
        described = call("api-key", "rotate", old.id, "--grace", "1d", "--json").done().json()
        keys = _keys(database)
        _, created, _ = keys[described["id"].replace("-", "")]
        _, _, ends = keys[old.id]
        assert ends is not None
        assert (ends - created) % timedelta(seconds=1) == timedelta(0)
        if expires_at is None or name == "late":
            assert ends - created == DAY
        else:
            assert timedelta(0) <= expires_at - ends < timedelta(seconds=1)
        assert (
            datetime.fromisoformat(described["replaces_expires_at"].replace("Z", "+00:00")) == ends
        )


@pytest.mark.parametrize(
    ("created", "expires"),
    [
        ("2026-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999"),
        ("0001-01-01 00:00:00.000000", "9999-12-31 00:00:00.000000"),
        ("9999-01-01 00:00:00.000000", "9998-12-31 00:00:00.000000"),
        ("0001-01-01 00:00:00.000000", None),
        ("9999-12-31 23:59:59.999999", None),
    ],
)
@pytest.mark.parametrize("grace", [(), ("--grace", "999w")])
def test_no_time_of_the_calendar_stops_a_rotation_of_all(
    site: Site, database: Database, superuser: str, created: str, expires: str | None,
    grace: tuple[str, ...],
) -> None:  # fmt: skip
    odd = database.add_key(superuser, "odd")
    database.rows("UPDATE apikey SET created_at = ?, expires_at = ?", (created, expires))
    plain = database.add_key(superuser, "plain")
    arguments = ("api-key", "rotate", "--user", "administrator", "--all", "--json", *grace)
    made = site.call(*arguments).done().json()
    assert {item["replaces"] for item in made} == {odd.dashed, plain.dashed}
    for item in made:
        assert item["status"] == "active"
        site.call("whoami", "--api-key", "-", stdin=item["api_key"]).done()


def test_a_key_that_ended_before_it_was_made_is_not_replaced_by_an_expired_one(
    call: Run, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "odd", created_at=ago(days=1), expires_at=ago(days=2))
    before = database.content()
    call("api-key", "rotate", key.id).failed(5, "--expires")
    assert database.content() == before
    described = call("api-key", "rotate", key.id, "--expires", "never", "--json").done().json()
    assert (described["expires_at"], described["status"]) == (None, "active")


@pytest.mark.parametrize("ends", ["never", "2h"])
def test_expires_may_be_never(call: Run, database: Database, superuser: str, ends: str) -> None:
    database.add_key(superuser, "ci", expires_at=ahead(days=10))
    described = call("api-key", "rotate", "ci", "--expires", ends, "--json").done().json()
    assert (described["expires_at"] is None) == (ends == "never")


def test_what_servers_refuse_anyway_does_not_stop_the_others(
    call: Run, database: Database, superuser: str
) -> None:
    owner = database.add_user("alice", is_active=False)
    hers = database.add_key(owner, "hers", created_at=ago(days=100))
    nobodys = database.add_key("0" * 32, "nobody's", created_at=ago(days=100))
    mine = database.add_key(superuser, "mine", created_at=ago(days=100))
    result = call("api-key", "rotate", "--older-than", "90d", "--json").done()
    assert [item["replaces"] for item in result.json()] == [mine.dashed]
    assert hers.dashed in result.stderr
    assert nobodys.dashed in result.stderr
    assert {hers.id, nobodys.id} < set(database.key_ids())
    call("api-key", "rotate", hers.id).failed(5, "inactive")
