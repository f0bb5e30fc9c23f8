"""api-key prune: revokes all keys that match every filter, but never the acting key."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ..support.databases import Database, ago, ahead
from ..support.sites import Result, Site

pytestmark = pytest.mark.every_engine

Run = Callable[..., Result]


def test_filters_combine_with_and(call: Run, database: Database, superuser: str) -> None:
    alice = database.add_user("alice")
    long_ago = ago(days=100)
    both = database.add_key(alice, "both", created_at=long_ago, expires_at=ago(days=1))
    database.add_key(alice, "expired only", created_at=ago(days=5), expires_at=ago(days=1))
    database.add_key(alice, "old only", created_at=long_ago)
    database.add_key(superuser, "not hers", created_at=long_ago, expires_at=ago(days=1))
    result = call(
        "api-key", "prune", "--expired", "--older-than", "90d", "--user", "alice", "--yes", "--json"
    ).done()
    assert [key["id"] for key in result.json()] == [both.dashed]
    assert len(database.key_ids()) == 3


def test_an_expired_key_that_is_inactive_too_is_expired(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "x", is_active=False, expires_at=ago(days=1))
    database.add_key(superuser, "soon", expires_at=ahead(days=1))
    call("api-key", "prune", "--expired", "--yes").done()
    assert database.rows("SELECT name FROM apikey") == [("soon",)]


def test_without_a_filter_it_refuses(call: Run, database: Database, superuser: str) -> None:
    database.add_key(superuser)
    call("api-key", "prune", "--yes").failed(2, "--expired")
    assert len(database.key_ids()) == 1


def test_the_acting_key_is_never_among_them(call: Run, database: Database, superuser: str) -> None:
    acting = database.add_key(superuser, "admin", created_at=ago(days=100))
    other = database.add_key(superuser, "other", created_at=ago(days=100))
    result = call(
        "api-key", "prune", "--older-than", "90d", "--yes", LANGKEYS_API_KEY=acting.plaintext
    ).done()
    assert [row[0] for row in result.rows] == [other.dashed]
    assert database.key_ids() == [acting.id]


def test_dry_run_lists_them_and_does_nothing(call: Run, database: Database, superuser: str) -> None:
    key = database.add_key(superuser, "old", created_at=ago(days=100))
    before = database.content()
    result = call("api-key", "prune", "--older-than", "90d", "--dry-run").done()
    assert [row[0] for row in result.rows] == [key.dashed]
    assert "1 API key would be revoked" in result.stderr
    assert database.content() == before


def test_where_nobody_can_be_asked_and_there_is_no_yes_nothing_is_done(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "old", created_at=ago(days=100))
    before = database.content()
    call("api-key", "prune", "--older-than", "90d").failed(2, "--yes")
    assert database.content() == before


def test_nothing_that_matches_is_no_error(call: Run, database: Database, superuser: str) -> None:
    database.add_key(superuser)
    result = call("api-key", "prune", "--expired", "--yes").done()
    assert result.stdout == ""
    assert re.fullmatch(r"note: no API key in \S+ matches; nothing was done\n", result.stderr)
    dry_run = call("api-key", "prune", "--expired", "--dry-run").done()
    assert dry_run.stderr == result.stderr


@pytest.mark.parametrize("disabled", [True, False])
def test_unused_needs_force_where_use_is_not_counted_and_says_why(
    call: Run, database: Database, superuser: str, disabled: bool
) -> None:
    database.add_key(superuser, "old", created_at=ago(days=100))
    settings = {}
    if disabled:
        database.add_key(superuser, "used", last_used_at=ago(days=1), total_uses=3)
        settings = {"LANGFLOW_DISABLE_TRACK_APIKEY_USAGE": "true"}
    before = database.content()
    reason = "LANGFLOW_DISABLE_TRACK_APIKEY_USAGE" if disabled else "no use of any key is counted"
    call("api-key", "prune", "--unused-for", "90d", "--yes", **settings).failed(
        2, reason, "--force"
    )
    assert database.content() == before
    call("api-key", "prune", "--unused-for", "90d", "--yes", "--force", **settings).done()
    assert ("old",) not in database.rows("SELECT name FROM apikey")


def test_unused_spares_what_was_used_or_made_since(
    call: Run, database: Database, superuser: str
) -> None:
    long_ago = ago(days=200)
    database.add_key(superuser, "used", created_at=long_ago, last_used_at=ago(days=1), total_uses=9)
    database.add_key(superuser, "new", created_at=ago(days=1))
    database.add_key(superuser, "stale", created_at=long_ago, last_used_at=ago(days=120))
    database.add_key(superuser, "never", created_at=long_ago)
    call("api-key", "prune", "--unused-for", "90d", "--yes").done()
    assert database.rows("SELECT name FROM apikey ORDER BY name") == [("new",), ("used",)]


@pytest.mark.parametrize("release", ["1.5", "1.9"])
def test_expired_matches_nothing_where_there_is_no_expiry(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    site.database.add_key(owner)
    site.call("api-key", "prune", "--expired", "--yes").done()
    assert len(site.database.key_ids()) == 1
