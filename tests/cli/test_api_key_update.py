"""api-key update, activate and deactivate."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.databases import Database, ahead
from ..support.sites import Result, Site

pytestmark = pytest.mark.every_engine

Run = Callable[..., Result]


def test_name_and_end_change_and_the_key_stays(
    call: Run, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "ci")
    before = database.rows("SELECT api_key, api_key_hash, created_at, total_uses FROM apikey")
    described = (
        call("api-key", "update", "ci", "--name", "build", "--expires", "2099-01-01", "--json")
        .done()
        .json()
    )
    assert (described["id"], described["name"]) == (key.dashed, "build")
    assert described["expires_at"] == "2099-01-01T00:00:00Z"
    assert database.rows("SELECT name, expires_at FROM apikey") == [
        ("build", "2099-01-01 00:00:00.000000")
    ]
    assert (
        database.rows("SELECT api_key, api_key_hash, created_at, total_uses FROM apikey") == before
    )


def test_never_takes_the_end_away(call: Run, database: Database, superuser: str) -> None:
    database.add_key(superuser, "ci", expires_at=ahead(days=1))
    call("api-key", "update", "ci", "--expires", "never").done()
    assert database.rows("SELECT expires_at FROM apikey") == [(None,)]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--expires", "yesterday"),
        ("--expires", "2001-01-01"),
        ("--name", ""),
        ("--name", "a\x1bb"),
    ],
)
def test_nothing_to_update_or_nonsense_is_a_usage_error(
    call: Run, database: Database, superuser: str, arguments: tuple[str, ...]
) -> None:
    database.add_key(superuser, "ci")
    before = database.content()
    call("api-key", "update", "ci", *arguments).failed(2)
    assert database.content() == before


def test_a_key_is_turned_off_and_on_again(call: Run, database: Database, superuser: str) -> None:
    database.add_key(superuser, "ci")
    assert call("api-key", "deactivate", "ci", "--json").done().json()["status"] == "inactive"
    assert database.rows("SELECT is_active FROM apikey") == [(0,)]
    again = call("api-key", "deactivate", "ci").done()
    assert "already" in again.stderr
    assert call("api-key", "activate", "ci", "--json").done().json()["status"] == "active"
    assert database.rows("SELECT is_active FROM apikey") == [(1,)]


@pytest.mark.parametrize("release", ["1.5", "1.6", "1.7", "1.8", "1.9"])
@pytest.mark.parametrize(
    "arguments", [("activate", "ci"), ("deactivate", "ci"), ("update", "ci", "--expires", "1d")]
)
def test_what_the_server_ignores_is_unsupported_and_nothing_is_written(
    site_of: Callable[[str], Site], release: str, arguments: tuple[str, ...]
) -> None:
    site = site_of(release)
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    site.database.add_key(owner, "ci")
    before = site.database.content()
    result = site.call("api-key", *arguments, "--json")
    result.failed(2)
    assert result.error["code"] == "unsupported"
    assert "revoke" in result.error["hint"]
    assert site.database.content() == before
