"""Commands on API keys whose uses a server counts at the same time."""

from __future__ import annotations

import pytest

from ..support.databases import Database
from ..support.server_databases import ServerDatabase
from ..support.sites import Site

pytestmark = pytest.mark.every_engine


def use_at_each_change(database: Database) -> None:
    """Add a trigger that counts a use after each change of a key, like a server that waited."""
    if isinstance(database, ServerDatabase):
        database.rows(
            "CREATE FUNCTION use() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
            " NEW.total_uses := OLD.total_uses + 1; NEW.last_used_at := now(); RETURN NEW; END$$"
        )
        database.rows(
            "CREATE TRIGGER used BEFORE UPDATE ON apikey FOR EACH ROW EXECUTE FUNCTION use()"
        )
    else:
        database.rows(
            "CREATE TRIGGER used AFTER UPDATE OF name, is_active, expires_at ON apikey BEGIN UPDATE"
            " apikey SET total_uses = total_uses + 1, last_used_at = '2026-06-01 12:00:00.000000'"
            " WHERE id = NEW.id; END"
        )


@pytest.mark.parametrize(
    "line",
    [
        ("api-key", "update", "ci", "--name", "other"),
        ("api-key", "update", "ci", "--expires", "3d"),
        ("api-key", "deactivate", "ci"),
        ("api-key", "rotate", "ci", "--grace", "1h"),
    ],
    ids=" ".join,
)
def test_a_use_is_no_failure_of_a_change(
    site: Site, database: Database, superuser: str, line: tuple[str, ...]
) -> None:
    database.add_key(superuser, "ci")
    use_at_each_change(database)
    site.call(*line).done()
    assert (1,) in database.rows("SELECT total_uses FROM apikey")
