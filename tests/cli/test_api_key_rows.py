"""One API key in several rows: a command that ends the key ends and reports all rows, or fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.answers import authenticated_username
from ..support.databases import Database, SampleKey, ago
from ..support.samples import OTHER_SECRET_KEY
from ..support.sites import Result, Site

Run = Callable[..., Result]


@pytest.fixture
def rows(database: Database, superuser: str) -> list[SampleKey]:
    """One key in rows of the superuser and of alice, with and without hash, and another key."""
    alice = database.add_user("alice", is_superuser=False)
    database.add_key(superuser, "stays")
    mine = database.add_key(superuser, "mine")
    hers = database.add_key(alice, "hers", plaintext=mine.plaintext, hashed=False)
    old = database.add_key(superuser, "old", plaintext=mine.plaintext, is_active=False)
    return [mine, hers, old]


def names(database: Database) -> list[str]:
    return [name for (name,) in database.rows("SELECT name FROM apikey ORDER BY rowid")]


@pytest.mark.parametrize("ref", ["-", "mine", "hers", "old"])
def test_revoked_by_any_name_the_key_goes_with_all_rows_and_others_are_named(
    call: Run, database: Database, rows: list[SampleKey], ref: str
) -> None:
    key = rows[0].plaintext
    asked = call("api-key", "revoke", ref, "--dry-run", stdin=key).done()
    result = call("api-key", "revoke", ref, "--yes", "--json", stdin=key).done()
    assert sorted(item["name"] for item in result.json()) == ["hers", "mine", "old"]
    assert result.json()[0]["name"] == ("mine" if ref == "-" else ref)
    assert names(database) == ["stays"]
    assert authenticated_username(database, key) is None
    meant = result.json()[0]["id"]
    for row in rows:
        if row.dashed != meant:
            assert f"API key {row.dashed}" in asked.stderr
            assert f"API key {row.dashed}" in result.stderr
    assert "(hers, alice)" in result.stderr or ref == "hers"


def test_two_refs_of_one_key_are_one_key(
    call: Run, database: Database, rows: list[SampleKey]
) -> None:
    result = call("api-key", "revoke", "hers", "mine", "--yes").done()
    assert "revoked 1 API key " in result.stderr
    assert names(database) == ["stays"]


@pytest.mark.parametrize("ref", ["-", "mine", "hers"])
@pytest.mark.parametrize("grace", [(), ("--grace", "1h")])
def test_rotated_by_any_name_the_key_ends_in_all_rows(
    call: Run, database: Database, rows: list[SampleKey], ref: str, grace: tuple[str, ...]
) -> None:
    key = rows[0].plaintext
    made = call("api-key", "rotate", ref, "--json", *grace, stdin=key).done().json()
    assert made["name"] == ("mine" if ref == "-" else ref)
    assert authenticated_username(database, made["api_key"]) is not None
    if not grace:
        assert names(database) == ["stays", made["name"]]
        assert authenticated_username(database, key) is None
        return
    ends = database.rows("SELECT DISTINCT expires_at FROM apikey WHERE name != 'stays'")
    ends.remove((None,))  # the new key
    assert len(ends) == 1
    database.rows("UPDATE apikey SET expires_at = ? WHERE expires_at NOTNULL", ("2026-01-01",))
    assert authenticated_username(database, key) is None


@pytest.mark.parametrize("ref", ["-", "mine", "hers", "old"])
def test_deactivated_by_any_name_the_key_is_refused_and_a_second_time_is_nothing(
    call: Run, database: Database, rows: list[SampleKey], ref: str
) -> None:
    key = rows[0].plaintext
    result = call("api-key", "deactivate", ref, stdin=key).done()
    assert authenticated_username(database, key) is None
    assert database.rows("SELECT sum(is_active) FROM apikey") == [(1,)]
    assert f"API key {rows[0].dashed}" in result.stderr
    assert "already" in call("api-key", "deactivate", ref, stdin=key).done().stderr


def test_of_two_rows_with_one_hash_the_second_is_not_activated(
    call: Run, database: Database, rows: list[SampleKey]
) -> None:
    before = database.content()
    call("api-key", "activate", "old").failed(5, rows[0].dashed)
    assert database.content() == before
    assert authenticated_username(database, rows[0].plaintext) == "administrator"


def test_an_expiry_is_that_of_all_rows_and_a_name_of_one(
    call: Run, database: Database, rows: list[SampleKey]
) -> None:
    call("api-key", "update", "hers", "--expires", "2099-01-01", "--name", "new").done()
    assert database.rows("SELECT name, expires_at FROM apikey") == [
        ("stays", None),
        ("mine", "2099-01-01 00:00:00.000000"),
        ("new", "2099-01-01 00:00:00.000000"),
        ("old", "2099-01-01 00:00:00.000000"),
    ]
    call("api-key", "update", "mine", "--expires", "never").done()
    assert database.rows("SELECT DISTINCT expires_at FROM apikey") == [(None,)]


@pytest.mark.parametrize(
    "arguments", [("prune", "--user", "alice", "--yes"), ("rotate", "--user", "alice", "--all")]
)
def test_a_filter_leaves_a_key_that_a_row_keeps_alive_which_does_not_match(
    call: Run, database: Database, rows: list[SampleKey], arguments: tuple[str, ...]
) -> None:
    before = database.content()
    result = call("api-key", *arguments).done()
    assert database.content() == before
    assert "left out" in result.stderr
    assert rows[0].dashed in result.stderr
    assert rows[1].dashed in result.stderr
    dry = call("api-key", *arguments, "--dry-run").done()
    assert dry.stdout == ""
    assert "left out" in dry.stderr


def test_a_filter_that_would_bring_a_key_to_life_leaves_it(
    call: Run, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "stale", created_at=ago(days=100))
    database.add_key(superuser, "twin", plaintext=key.plaintext)
    assert authenticated_username(database, key.plaintext) is None  # two rows with the same hash
    call("api-key", "prune", "--older-than", "90d", "--yes").done()
    assert authenticated_username(database, key.plaintext) is None
    assert names(database) == ["stale", "twin"]


def test_a_filter_ends_a_key_whose_other_rows_let_nobody_in(
    call: Run, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "stale", created_at=ago(days=100))
    database.add_key(superuser, "off", plaintext=key.plaintext, is_active=False)
    call("api-key", "prune", "--older-than", "90d", "--yes").done()
    assert names(database) == ["off"]


# Keys that servers still accept


ENVIRONMENT = {"LANGFLOW_API_KEY_SOURCE": "env"}


@pytest.mark.parametrize(
    ("arguments", "is_gone"),
    [
        (("revoke", "-", "--yes"), True),
        (("prune", "--older-than", "1s", "--yes"), True),
        (("deactivate", "-"), False),
    ],
)
def test_a_key_in_the_servers_environment_is_ended_in_the_database_and_that_fails(
    call: Run, database: Database, superuser: str, arguments: tuple[str, ...], is_gone: bool
) -> None:
    key = database.add_key(superuser, "ci")
    settings = {**ENVIRONMENT, "LANGFLOW_API_KEY": key.plaintext}
    result = call("api-key", *arguments, stdin=key.plaintext, **settings)
    assert result.code == 1
    assert "LANGFLOW_API_KEY" in result.stderr
    assert key.plaintext not in result.stderr
    assert authenticated_username(database, key.plaintext) is None
    assert (key.id in database.key_ids()) != is_gone


def test_such_a_key_is_not_rotated_at_once_as_that_would_not_end_it(
    call: Run, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "ci", created_at=ago(days=100))
    settings = {**ENVIRONMENT, "LANGFLOW_API_KEY": key.plaintext}
    before = database.content()
    call("api-key", "rotate", "ci", **settings).failed(1, "LANGFLOW_API_KEY", "nothing was done")
    every = call("api-key", "rotate", "--older-than", "90d", **settings).done()
    assert "LANGFLOW_API_KEY" in every.stderr
    assert database.content() == before
    call("api-key", "rotate", "ci", "--grace", "1h", **settings).done()
    # A server that does not use LANGFLOW_API_KEY refuses the key, too.
    call("api-key", "revoke", key.id, "--yes", LANGFLOW_API_KEY=key.plaintext).done()


def test_a_row_that_comes_back_is_named(call: Run, database: Database, superuser: str) -> None:
    key = database.add_key(superuser, "ci")
    database.rows(
        "CREATE TRIGGER again AFTER DELETE ON apikey BEGIN INSERT INTO apikey"
        " (id, name, user_id, api_key, api_key_hash, created_at, total_uses, is_active)"
        " VALUES ('" + "e" * 32 + "', 'back', old.user_id, old.api_key, old.api_key_hash,"
        " old.created_at, 0, 1); END"
    )
    call("api-key", "revoke", "ci", "--yes").failed(1, "back", "eeeeeeee-eeee")
    assert key.id not in database.key_ids()


def test_a_new_key_that_a_server_would_refuse_is_not_delivered(
    call: Run, database: Database, superuser: str
) -> None:
    database.rows(
        "CREATE TRIGGER twice AFTER INSERT ON apikey WHEN new.name = 'ci' BEGIN INSERT INTO apikey"
        " (id, name, user_id, api_key, api_key_hash, created_at, total_uses, is_active)"
        " VALUES ('" + "e" * 32 + "', 'twin', new.user_id, 'x' || new.api_key, new.api_key_hash,"
        " new.created_at, 0, 1); END"
    )
    result = call("api-key", "create", "--name", "ci")
    assert result.code != 0
    assert result.stdout == ""
    assert database.key_ids() == []


# Rows that cannot be read


@pytest.mark.parametrize("others", [1, 2])
def test_rows_that_cannot_be_read_are_counted(
    call: Run, database: Database, superuser: str, others: int
) -> None:
    key = database.add_key(superuser, "ci")
    for _ in range(others):
        database.add_key(superuser, hashed=False, secret_key=OTHER_SECRET_KEY)
    result = call("api-key", "revoke", "ci", "--yes").done()
    assert ("1 API key" if others == 1 else "2 API keys") in result.stderr
    assert "may hold the same key" in result.stderr
    assert key.id not in database.key_ids()
    assert len(database.key_ids()) == others


@pytest.mark.parametrize("secret_key", [None, OTHER_SECRET_KEY, "x" * 40])
def test_a_row_that_cannot_be_read_itself_goes_with_a_warning(
    call: Run, database: Database, superuser: str, secret_key: str | None
) -> None:
    for name in ("ci", "other"):
        database.add_key(superuser, name, hashed=False)
    result = call("api-key", "revoke", "ci", "--yes", LANGFLOW_SECRET_KEY=secret_key).done()
    assert "may hold the same key" in result.stderr
    assert names(database) == ["other"]


@pytest.mark.parametrize("secret_key", [None, OTHER_SECRET_KEY])
def test_without_the_secret_key_plaintext_and_hashed_rows_are_found(
    call: Run, database: Database, superuser: str, secret_key: str | None
) -> None:
    key = database.add_key(superuser, "hashed")
    database.add_key(superuser, "plain", plaintext=key.plaintext, at_rest="plaintext", hashed=False)
    call("api-key", "revoke", "hashed", "--yes", LANGFLOW_SECRET_KEY=secret_key).done()
    assert names(database) == []


@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_a_whole_key_that_is_not_found_among_unreadable_rows_is_exit_7(
    call: Run, database: Database, superuser: str, json_: tuple[str, ...]
) -> None:
    key = database.add_key(superuser, hashed=False)
    before = database.content()
    settings = {"LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY}
    stdin = key.plaintext
    result = call("api-key", "revoke", "-", "--yes", *json_, stdin=stdin, **settings).failed(7)
    assert database.content() == before
    assert key.plaintext not in result.stderr
    database.rows("DELETE FROM apikey")
    call("api-key", "revoke", "-", "--yes", stdin=stdin, **settings).failed(3)


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.9"])
def test_older_generations_know_only_deletion(site_of: Callable[[str], Site], release: str) -> None:
    site = site_of(release)
    database = site.database
    owner = str(database.rows("SELECT id FROM user")[0][0])
    key = database.add_key(owner, "ci", is_active=False, hashed=False)
    if release != "1.5":
        database.add_key(owner, "twin", plaintext=key.plaintext, hashed=False)
    assert authenticated_username(database, key.plaintext) is not None
    made = site.call("api-key", "revoke", "-", "--yes", stdin=key.plaintext).done()
    assert authenticated_username(database, key.plaintext) is None
    assert len(made.lines) == (1 if release == "1.5" else 2)


# ensure


def test_a_key_in_several_rows_is_ensured_where_a_server_lets_it_in(
    call: Run, site: Site, database: Database, rows: list[SampleKey]
) -> None:
    (site.folder / "key").write_text(rows[0].plaintext)
    arguments = ("api-key", "ensure", "app", "--value-file", "key")
    result = call(*arguments).done()
    assert "'mine'" in result.stderr
    assert sorted(names(database)) == ["app", "hers", "old", "stays"]
    assert "before" not in call(*arguments).done().stderr
    call(*arguments, "--user", "alice").failed(5, "administrator")


def test_ensure_replaces_other_keys_whole_and_never_its_own_rows(
    call: Run, site: Site, database: Database, superuser: str, rows: list[SampleKey]
) -> None:
    database.rows("UPDATE apikey SET name = 'app' WHERE name IN ('old', 'stays')")
    stays = database.rows("SELECT id FROM apikey WHERE name = 'app' ORDER BY rowid")[0][0]
    (site.folder / "key").write_text(rows[0].plaintext)
    arguments = ("api-key", "ensure", "app", "--value-file", "key", "--replace", "--json")
    described = call(*arguments).done().json()
    assert [other.replace("-", "") for other in described["others"]] == [stays]
    assert {row.id for row in rows} == set(database.key_ids())
    assert authenticated_username(database, rows[0].plaintext) == "administrator"


@pytest.mark.parametrize("state", [{}, {"is_active": False}])
def test_a_key_that_a_server_refuses_for_its_rows_is_not_ensured(
    call: Run, site: Site, database: Database, superuser: str, state: dict[str, bool]
) -> None:
    key = database.add_key(superuser, "app", is_active=state.get("is_active", True))
    database.add_key(superuser, "app", plaintext=key.plaintext, is_active=not state)
    (site.folder / "key").write_text(key.plaintext)
    before = database.content()
    call("api-key", "ensure", "app", "--value-file", "key").failed(5, key.dashed)
    assert database.content() == before


# The audit trail


def test_each_row_that_ends_is_in_the_audit_trail(
    call: Run, site: Site, database: Database, rows: list[SampleKey]
) -> None:
    log = Path(site.folder / "audit.jsonl")
    settings = {"LANGKEYS_AUDIT_LOG": str(log)}
    call("api-key", "revoke", "mine", "--yes", **settings).done()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    text = json.dumps(lines)
    assert all(row.dashed in text for row in rows)
