"""Errors and hints if a role on PostgreSQL lacks rights, or cannot see all rows."""

from __future__ import annotations

import pytest

from ..support.server_databases import ServerDatabase
from ..support.sites import Site

WRITTEN = 'GRANT SELECT, INSERT, UPDATE, DELETE ON apikey, variable, "user" TO clerk'


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def server(server: ServerDatabase, superuser: str) -> ServerDatabase:
    server.add_key(superuser, "ci")
    return server


def url(server: ServerDatabase) -> str:
    return server.cluster.url(server.name, "clerk")


@pytest.mark.parametrize(
    "line",
    [
        ("api-key", "list"),
        ("api-key", "revoke", "ci", "--yes"),
        ("api-key", "create"),
        ("whoami",),
        ("secret-key", "check"),
        ("backup", "copy"),
    ],
    ids=" ".join,
)
def test_hidden_rows_are_not_taken_for_missing_ones(
    site: Site, server: ServerDatabase, line: tuple[str, ...]
) -> None:
    server.rows("ALTER TABLE apikey ENABLE ROW LEVEL SECURITY")
    server.rows("ALTER TABLE apikey FORCE ROW LEVEL SECURITY")
    server.rows("CREATE POLICY others ON apikey USING (name != 'ci')")
    result = site.call(*line).failed(6, "row-level security may hide rows", "(apikey)")
    assert "BYPASSRLS" in result.stderr


def test_hidden_rows_of_other_tables_stop_only_what_reads_all_tables(
    site: Site, server: ServerDatabase
) -> None:
    server.rows("ALTER TABLE message ENABLE ROW LEVEL SECURITY")
    server.rows("ALTER TABLE message FORCE ROW LEVEL SECURITY")
    site.call("api-key", "list").done()
    site.call("api-key", "revoke", "ci", "--yes").done()
    for line in (
        ("secret-key", "check"),
        ("secret-key", "rotate", "--yes", "--new-key-file", "new"),
    ):
        site.call(*line).failed(6, "row-level security may hide rows", "(message)")


def test_hidden_rows_are_a_problem_for_doctor(site: Site, server: ServerDatabase) -> None:
    server.rows("ALTER TABLE message ENABLE ROW LEVEL SECURITY")
    site.call("doctor").done()  # the owner is exempt
    server.rows("GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk")
    result = site.call("doctor", LANGFLOW_DATABASE_URL=url(server))
    assert result.code == 1
    assert "row-level security may hide rows" in result.stdout
    assert "(message)" in result.stdout


def test_a_schema_that_may_not_be_used_is_named(site: Site, server: ServerDatabase) -> None:
    server.cluster.rows("REVOKE USAGE ON SCHEMA public FROM PUBLIC", database=server.name)
    result = site.call("api-key", "list", LANGFLOW_DATABASE_URL=url(server))
    result.failed(6, "may not use the schema", "public", "GRANT USAGE ON SCHEMA public TO clerk")


def test_the_hint_for_a_table_that_is_only_read_grants_reading_it(
    site: Site, server: ServerDatabase
) -> None:
    server.rows(WRITTEN)
    result = site.call("api-key", "list", LANGFLOW_DATABASE_URL=url(server))
    result.failed(6, "alembic_version", "GRANT SELECT ON ALL TABLES")
    server.rows("GRANT SELECT ON alembic_version TO clerk")
    server.rows("REVOKE DELETE ON apikey FROM clerk")
    result = site.call("api-key", "revoke", "ci", "--yes", LANGFLOW_DATABASE_URL=url(server))
    result.failed(6, "permission denied for table apikey", "GRANT SELECT, INSERT, UPDATE, DELETE")


def test_a_user_that_only_reads_by_default_is_told_of_that_setting(
    site: Site, server: ServerDatabase
) -> None:
    server.rows(f"ALTER DATABASE {server.name} SET default_transaction_read_only = on")
    result = site.call("api-key", "revoke", "ci", "--yes")
    result.failed(6, "is read-only", "nothing was written", "default_transaction_read_only")
    site.call("api-key", "list").done()


def test_doctor_notes_a_schema_that_every_role_may_create_functions_in(
    site: Site, server: ServerDatabase
) -> None:
    words = "every role may create functions in the schema public"
    assert words not in site.call("doctor").done().stdout
    server.cluster.rows("GRANT CREATE ON SCHEMA public TO PUBLIC", database=server.name)
    assert words in site.call("doctor").done().stdout
