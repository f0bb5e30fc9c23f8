from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.databases import Database, ago
from ..support.samples import KEY_FIELDS, OTHER_SECRET_KEY
from ..support.sites import Result, Site
from ..support.terminals import Terminal, run_at_terminal

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]


def test_a_key_is_shown_in_the_columns_of_list(
    call: Call, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci")
    database.add_key(superuser, "other")
    shown_row = call("api-key", "show", "ci").done().stdout
    assert shown_row == call("api-key", "list", "--limit", "1").done().stdout


def test_json_is_one_object_as_in_list(call: Call, database: Database, superuser: str) -> None:
    database.add_key(superuser, "ci")
    found = call("api-key", "show", "ci", "--json").done().json()
    assert list(found) == KEY_FIELDS
    assert found == call("api-key", "list", "--json").done().json()[0]


@pytest.mark.parametrize("form", ["id", "dashed", "ID", "name", "start", "id start"])
def test_every_form_of_ref_names_the_key(
    call: Call, database: Database, superuser: str, form: str
) -> None:
    database.add_key(superuser, "other", key_id="0" * 32)
    key = database.add_key(superuser, "ci", key_id="3f2a9c41" + "f" * 24)
    ref = {
        "id": key.id,
        "dashed": key.dashed,
        "ID": key.dashed.upper(),
        "name": "ci",
        "start": key.plaintext[:8],
        "id start": "3f2a",
    }[form]
    assert call("api-key", "show", ref).done().rows[0][0] == key.dashed


def test_a_leaked_key_is_shown_from_stdin_and_not_repeated(
    call: Call, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "leaked")
    for stdin in (key.plaintext, f"{key.plaintext}\n", f"  {key.plaintext}\r\n\n"):
        result = call("api-key", "show", "-", stdin=stdin).done()
        assert result.rows[0][1] == "leaked"
        assert key.plaintext not in result.stdout + result.stderr


def test_only_one_key_is_shown(call: Call, database: Database, superuser: str) -> None:
    keys = [database.add_key(superuser) for _ in range(2)]
    stdin = "".join(f"{key.plaintext}\n" for key in keys)
    call("api-key", "show", "-", stdin=stdin).failed(2, "one")


def test_an_unknown_key_among_several_is_named_by_its_line(
    call: Call, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser)
    call("api-key", "show", "-", stdin=f"{key.plaintext}\nsk-{'x' * 43}\n").failed(
        3, "line 2", "langkeys audit --key -"
    )


def test_anybodys_key_is_shown(call: Call, database: Database) -> None:
    database.add_key(database.add_user("alice", is_superuser=False), "of alice")
    assert call("api-key", "show", "of alice").done().rows[0][3] == "alice"


def test_a_key_that_does_not_open_is_shown_without_its_start(
    call: Call, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci", secret_key=OTHER_SECRET_KEY)
    assert call("api-key", "show", "ci", "--json").done().json()["api_key"] is None
    assert call("api-key", "show", "ci").done().rows[0][2] == ""


def test_several_matches_are_listed_on_stderr(
    call: Call, database: Database, superuser: str
) -> None:
    keys = [database.add_key(superuser, "ci") for _ in range(3)]
    result = call("api-key", "show", "ci").failed(3, "3 API keys")
    for key in keys:
        assert key.dashed in result.stderr


def test_at_a_terminal_a_key_is_a_line_a_field(
    site: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "ci", last_used_at=ago(days=3))
    text = run_at_terminal(site, "api-key", "show", "ci").text
    for word in (key.dashed, "ci", "administrator", "active", "3 days ago", "fernet"):
        assert word in text
    assert key.plaintext not in text


def test_at_a_terminal_the_key_is_asked_for_without_showing_it(
    site: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser, "leaked")
    with Terminal(site, "api-key", "show", "-", "--json") as terminal:
        terminal.expect("API key")
        terminal.send(f"{key.plaintext}\n")
        terminal.finish()
        assert "leaked" in terminal.text
        assert key.plaintext not in terminal.text
        assert terminal.is_restored


def test_nothing_is_written(call: Call, database: Database, superuser: str) -> None:
    key = database.add_key(superuser, "ci")
    before = database.digest()
    call("api-key", "show", "ci").done()
    call("api-key", "show", "-", stdin=key.plaintext).done()
    assert database.digest() == before
