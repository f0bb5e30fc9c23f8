"""``langkeys audit`` on PostgreSQL: lines belong to a database by its host, port and name."""

from __future__ import annotations

from pathlib import Path

import pytest

from langkeys.config.server_urls import place_of

from ..support.clusters import PASSWORD
from ..support.server_databases import ServerDatabase
from ..support.sites import Site


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


def actions(site: Site, *arguments: str, **settings: str) -> list[str]:
    entries = site.call("audit", "--json", *arguments, **settings).done().json()
    return [entry["command"] for entry in entries]


def test_every_filter_chooses_lines_of_this_database(site: Site, tmp_path: Path) -> None:
    server = site.database
    assert isinstance(server, ServerDatabase)
    created = site.call("api-key", "create", "--name", "ci").done().stdout
    site.call("user", "create", "bob", "--random").done()
    site.call("api-key", "create", "--name", "bobs", "--user", "bob").done()
    site.call("user", "create", "bob", "--random").failed(5)
    site.call("api-key", "revoke", "-", "--yes", stdin=created).done()
    made, user = "api-key create", "user create"
    everything = [made, user, made, user, "api-key revoke"]
    assert actions(site) == everything
    assert actions(site, "--command", "user create") == [user, user]
    assert actions(site, "--failed") == [user]
    assert actions(site, "--key", "ci") == [made, "api-key revoke"]
    assert actions(site, "--user", "administrator") == everything
    assert actions(site, "--since", "1h", "--limit", "2") == everything[-2:]
    assert actions(site, "--since", "2999-01-01") == []
    (entry, *_) = site.call("audit", "--json").done().json()
    assert entry["database"] == server.location
    assert PASSWORD not in site.call("audit").done().stdout
    # The same database without the password in its URL, and another one on the same server.
    url = server.url.replace(f":{PASSWORD}@", "@")
    assert actions(site, LANGFLOW_DATABASE_URL=url) == everything
    other = server.url.replace(server.name, "other")
    assert actions(site, LANGFLOW_DATABASE_URL=other) == []
    assert actions(site, "--all-databases", LANGFLOW_DATABASE_URL=other) == everything


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("postgresql://a@db/x", "postgresql://***@DB:5432/x", True),
        ("postgresql://db/x", "postgresql://db:5433/x", False),
        ("postgresql://a@h1,h2/x", "postgresql://h1:5432,h2:5432/x", True),
        ("postgresql:///x?host=/run", "postgresql://a@/x?host=/run", True),
        ("postgresql://db/x", "postgresql://db/y", False),
    ],
)
def test_a_place_is_the_same_whoever_connects(one: str, other: str, is_same: bool) -> None:
    assert (place_of(one) == place_of(other)) is is_same
