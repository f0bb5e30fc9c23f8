from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.databases import Database, SampleKey
from ..support.samples import KEY_FIELDS, OTHER_SECRET_KEY
from ..support.sites import Result, Site
from ..support.terminals import Terminal

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]


@pytest.fixture
def keys(database: Database, superuser: str) -> list[SampleKey]:
    alice = database.add_user("alice", is_superuser=False)
    return [
        database.add_key(superuser, "ci", key_id="3f2a9c41" + "0" * 24),
        database.add_key(alice, "of alice", key_id="4f2a9c41" + "0" * 24),
        database.add_key(superuser, "stays", key_id="5f2a9c41" + "0" * 24),
    ]


def left(database: Database) -> list[str]:
    return [name for (name,) in database.rows("SELECT name FROM apikey ORDER BY rowid")]


def test_with_yes_a_key_is_deleted_and_refused_at_once(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    result = call("api-key", "revoke", "ci", "--yes").done()
    assert left(database) == ["of alice", "stays"]
    assert "1 API key" in result.stderr
    assert str(database.path) in result.stderr
    call("whoami", "--api-key", "-", stdin=keys[0].plaintext).failed(4)


def test_revoked_keys_are_shown_in_the_columns_of_list(call: Call, keys: list[SampleKey]) -> None:
    before = call("api-key", "list", "--all-users").done().lines
    result = call("api-key", "revoke", "stays", "ci", "--yes").done()
    assert result.lines == [before[2], before[0]]


def test_json_is_an_array_of_the_objects_of_list(call: Call, keys: list[SampleKey]) -> None:
    before = call("api-key", "list", "--all-users", "--json").done().json()
    result = call("api-key", "revoke", "ci", "--yes", "--json").done()
    assert result.json() == before[:1]
    assert list(result.json()[0]) == KEY_FIELDS


@pytest.mark.parametrize(
    "ref",
    [
        "3f2a9c41" + "0" * 24,
        "3f2a9c41-0000-0000-0000-000000000000",
        "3F2A9C41-0000-0000-0000-000000000000",
        "ci",
        "3f2a9c41",
        "3f2a9c41-00",
    ],
)
def test_every_form_of_ref_names_the_key(
    call: Call, database: Database, keys: list[SampleKey], ref: str
) -> None:
    call("api-key", "revoke", ref, "--yes").done()
    assert left(database) == ["of alice", "stays"]


def test_the_visible_start_names_the_key(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    call("api-key", "revoke", keys[0].plaintext[:8], "--yes").done()
    assert left(database) == ["of alice", "stays"]


@pytest.mark.parametrize("ref", ["3f2a", "3f2a9c4"])
def test_a_start_of_the_id_below_8_digits_revokes_nothing(
    call: Call, database: Database, keys: list[SampleKey], ref: str
) -> None:
    call("api-key", "revoke", ref, "--yes").failed(3, "8 digits")
    assert len(left(database)) == 3


def test_several_refs_go_together(call: Call, database: Database, keys: list[SampleKey]) -> None:
    result = call("api-key", "revoke", "ci", "4f2a9c41", "--yes").done()
    assert left(database) == ["stays"]
    assert "2 API keys" in result.stderr


def test_a_key_named_twice_is_revoked_once(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    result = call("api-key", "revoke", "ci", "3f2a9c41", "--yes").done()
    assert len(result.lines) == 1
    assert "1 API key " in result.stderr


@pytest.mark.parametrize("bad", ["nothing", "sk-nothing"])
def test_one_ref_that_matches_nothing_revokes_none(
    call: Call, database: Database, keys: list[SampleKey], bad: str
) -> None:
    before = database.digest()
    call("api-key", "revoke", "ci", bad, "of alice", "--yes").failed(3, bad)
    assert database.digest() == before


def test_one_ref_that_is_ambiguous_revokes_none(
    call: Call, database: Database, superuser: str, keys: list[SampleKey]
) -> None:
    database.add_key(superuser, "ci")
    call("api-key", "revoke", "stays", "ci", "--yes").failed(3)
    assert len(left(database)) == 4


@pytest.mark.only_sqlite("its trigger is in SQLite's SQL")
def test_a_failure_of_one_row_revokes_none(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    database.rows(
        "CREATE TRIGGER refuse BEFORE DELETE ON apikey WHEN old.name = 'stays'"
        " BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    result = call("api-key", "revoke", "ci", "stays", "--yes")
    assert result.code != 0
    assert result.stdout == ""
    assert len(left(database)) == 3


@pytest.mark.only_sqlite("its trigger is in SQLite's SQL")
def test_a_key_that_is_still_there_after_all_is_a_failure(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    database.rows(
        "CREATE TRIGGER again AFTER DELETE ON apikey"
        " BEGIN INSERT INTO apikey (id, name, user_id, api_key, total_uses, is_active)"
        " VALUES (old.id, old.name, old.user_id, old.api_key, 0, 1); END"
    )
    call("api-key", "revoke", "ci", "--yes").failed(1, keys[0].dashed)


def test_leaked_keys_are_revoked_from_stdin(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    stdin = "".join(f"{key.plaintext}\n" for key in keys[:2])
    result = call("api-key", "revoke", "-", "--yes", stdin=stdin).done()
    assert left(database) == ["stays"]
    for key in keys:
        assert key.plaintext not in result.stdout + result.stderr


def test_an_unknown_key_on_stdin_revokes_none(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    stdin = f"{keys[0].plaintext}\nsk-{'x' * 43}\n"
    call("api-key", "revoke", "-", "--yes", stdin=stdin).failed(3, "line 2")
    assert len(left(database)) == 3


# The question


def test_without_a_terminal_and_without_yes_nothing_is_done(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    before = database.digest()
    result = call("api-key", "revoke", "ci", "--json").failed(2)
    assert result.error["code"] == "usage"
    assert "--yes" in result.error["hint"]
    assert database.digest() == before
    # An answer from a pipe does not count either.
    call("api-key", "revoke", "ci", stdin="y\n").failed(2)
    assert database.digest() == before


@pytest.mark.parametrize("answer", ["y\n", "Y\n", "yes\n", " YES \n"])
def test_a_yes_at_the_terminal_revokes(
    site: Site, database: Database, keys: list[SampleKey], answer: str
) -> None:
    with Terminal(site, "api-key", "revoke", "ci", piped=True) as terminal:
        terminal.expect("[y/N]")
        for word in (keys[0].dashed, "ci", "administrator"):
            assert word in terminal.text
        terminal.send(answer)
        terminal.finish()
    assert left(database) == ["of alice", "stays"]
    assert terminal.stdout.startswith(keys[0].dashed)


@pytest.mark.parametrize("answer", ["n\n", "\n", "no\n", "yep\n", "\x04"])
def test_anything_else_at_the_terminal_declines(
    site: Site, database: Database, keys: list[SampleKey], answer: str
) -> None:
    before = database.digest()
    with Terminal(site, "api-key", "revoke", "ci", piped=True) as terminal:
        terminal.expect("[y/N]")
        terminal.send(answer)
        terminal.finish(1)
    assert terminal.stdout == ""
    assert "cancelled" in terminal.text
    assert database.digest() == before


def test_declining_in_json_is_one_error_object(
    site: Site, database: Database, keys: list[SampleKey]
) -> None:
    with Terminal(site, "api-key", "revoke", "ci", "--json", piped=True) as terminal:
        terminal.expect("[y/N]")
        terminal.send("n\n")
        terminal.finish(1)
    assert '"code": "declined"' in terminal.text
    assert terminal.stdout == ""


def test_the_question_names_how_many_where_they_are_too_many_to_list(
    site: Site, database: Database, superuser: str
) -> None:
    keys = [database.add_key(superuser, f"key {number}") for number in range(12)]
    with Terminal(site, "api-key", "revoke", *(key.id for key in keys)) as terminal:
        terminal.expect("[y/N]")
        assert "2 more" in terminal.text
        terminal.send("n\n")
        terminal.finish(1)


# Dry runs


def test_a_dry_run_shows_what_would_be_revoked_and_does_nothing(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    before = database.digest()
    result = call("api-key", "revoke", "ci", "of alice", "--dry-run").done()
    assert [row[1] for row in result.rows] == ["ci", "of alice"]
    assert "2 API keys would be revoked" in result.stderr
    assert database.digest() == before


# The acting key


def acting(keys: list[SampleKey]) -> dict[str, str]:
    return {"LANGKEYS_API_KEY": keys[0].plaintext, "LANGFLOW_AUTO_LOGIN": "false"}


def test_the_key_that_langkeys_acts_by_needs_yes(
    site: Site, database: Database, keys: list[SampleKey]
) -> None:
    with Terminal(site, "api-key", "revoke", "stays", "ci", **acting(keys)) as terminal:
        terminal.finish(2)
    assert "--yes" in terminal.text
    assert "[y/N]" not in terminal.text
    assert len(left(database)) == 3


def test_the_key_that_langkeys_acts_by_is_revoked_with_yes(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    call("api-key", "revoke", "ci", "--yes", **acting(keys)).done()
    assert left(database) == ["of alice", "stays"]
    call("api-key", "list", **acting(keys)).failed(4)


# The wrong secret key


def test_under_the_wrong_secret_key_a_key_is_revoked_all_the_same(
    call: Call, database: Database, keys: list[SampleKey]
) -> None:
    settings = {"LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY}
    result = call("api-key", "revoke", "ci", "--yes", **settings).done()
    assert "cannot decrypt" in result.stderr
    assert "ci" not in [row[0] for row in database.rows("SELECT name FROM apikey")]
