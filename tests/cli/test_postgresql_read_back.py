"""Messages if a write on PostgreSQL cannot be read back through a second connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from langkeys.store.postgresql.transactions import Transactions

from ..support.server_databases import ServerDatabase
from ..support.sites import Site

LINES = (
    ("api-key", "create", "--name", "new"),
    ("api-key", "create", "--count", "3"),
    ("api-key", "update", "ci", "--name", "other"),
    ("api-key", "rotate", "ci"),
    ("api-key", "revoke", "ci", "--yes"),
    ("variable", "set", "TOKEN", "--value-file", "-"),
    ("variable", "delete", "OLD", "--yes"),
    ("user", "create", "carol", "--random"),
    ("user", "set-password", "bob", "--random"),
    ("user", "demote", "bob"),
)


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def server(server: ServerDatabase, superuser: str) -> Iterator[ServerDatabase]:
    server.add_key(superuser, "ci")
    server.add_variable(superuser, "OLD", "x")
    server.add_user("bob")
    yield server
    name = server.name
    server.cluster.rows(f"ALTER DATABASE {name} CONNECTION LIMIT -1 ALLOW_CONNECTIONS true")


def content(server: ServerDatabase) -> str:
    """Return the content of the tables, even if only administrators may connect."""
    tables = ("user", "apikey", "variable")
    name = server.name
    return repr(
        [server.cluster.rows(f'SELECT t::text FROM "{t}" t', database=name) for t in tables]
    )


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_with_one_connection_a_write_is_read_back_through_it(
    site: Site, server: ServerDatabase, line: tuple[str, ...]
) -> None:
    before = content(server)
    server.cluster.rows(f"ALTER DATABASE {server.name} CONNECTION LIMIT 1")
    result = site.call(*line, stdin="value").done()
    assert result.stderr.count("read back through the connection that wrote it") == 1
    assert "it has no connection left" in result.stderr
    assert content(server) != before


@pytest.mark.parametrize("line", LINES[2:3] + LINES[5:], ids=" ".join)
def test_if_the_server_is_gone_after_the_commit_the_error_says_that_it_was_written(
    site: Site,
    server: ServerDatabase,
    line: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = Transactions._commit

    def commit_and_lose(store: Transactions) -> None:
        commit(store)
        run = server.cluster.rows
        run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND pid != pg_backend_pid() AND usesysid IS NOT NULL",
            (server.name,),
        )
        run(f"ALTER DATABASE {server.name} CONNECTION LIMIT 0")

    before = content(server)
    monkeypatch.setattr(Transactions, "_commit", commit_and_lose)
    result = site.call(*line, stdin="value")
    result.failed(6, "the change was written, but could not be read back", server.location)
    assert "look at what is stored" in result.stderr
    assert content(server) != before
