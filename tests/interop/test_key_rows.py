"""One key in several rows, grace periods and lifetimes, with a real server."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from langkeys.crypto.cipher import Cipher

from .database import Database
from .expectations import Expected
from .langflow_server import LangflowServer
from .langkeys_process import Langkeys

FORMS = ("hashed", "unhashed", "plaintext")
PAIRS = [
    (one, is_one, two, is_two)
    for (one, two), is_one, is_two in itertools.product(
        itertools.product(FORMS, FORMS), (True, False), (True, False)
    )
    if (one, two) != ("plaintext", "plaintext") and (is_one or is_two)
]


@pytest.fixture(autouse=True)
def _with_hashes(expected: Expected) -> None:
    if not expected.has_hash:
        pytest.skip("this server stores no hashes, so all rows of a key have the same form")


class Rows:
    """Creates keys that have two rows in a server's database."""

    def __init__(self, server: LangflowServer, langkeys: Langkeys, database: Database) -> None:
        self._server, self._langkeys, self._database = server, langkeys, database

    def key(self, name: str, pair: tuple[str, bool, str, bool]) -> str:
        """Create a key with the two rows that ``pair`` describes, and return it."""
        made = self._langkeys("api-key", "create", "--name", name, "--json").done().json()
        first, first_is_active, second, second_is_active = pair
        row = self._database.key(made["id"])
        self._database.execute("DELETE FROM apikey WHERE id = ?", row["id"])
        for form, is_active in ((first, first_is_active), (second, second_is_active)):
            self._add(row, made["api_key"], form, is_active=is_active)
        return str(made["api_key"])

    def _add(self, row: dict[str, Any], key: str, form: str, *, is_active: bool) -> None:
        secret_key = (self._server.config_dir / "secret_key").read_text()
        cells = {
            **row,
            "id": uuid.uuid4().hex,
            "api_key": key
            if form == "plaintext"
            else Cipher(secret_key, source="test").encrypt(key),
            "api_key_hash": hashlib.sha256(key.encode()).hexdigest() if form == "hashed" else None,
            "is_active": int(is_active),
        }
        marks = ", ".join("?" for _ in cells)
        self._database.execute(
            f"INSERT INTO apikey ({', '.join(cells)}) VALUES ({marks})", *cells.values()
        )


@pytest.fixture
def rows(server: LangflowServer, langkeys: Langkeys, database: Database) -> Iterator[Rows]:
    """Create rows that no server writes, and remove them, because tests share the server."""
    before = {row["id"] for row in database.query("SELECT id FROM apikey")}
    yield Rows(server, langkeys, database)
    for row in database.query("SELECT id FROM apikey"):
        if row["id"] not in before:
            database.execute("DELETE FROM apikey WHERE id = ?", row["id"])


def test_langkeys_answers_as_the_server_for_every_pair_of_rows(
    server: LangflowServer, langkeys: Langkeys, rows: Rows, name: str
) -> None:
    for number, pair in enumerate(PAIRS):
        key = rows.key(f"{name}-{number}", pair)
        # First langkeys, because a server adds a missing hash when it accepts a key.
        here = langkeys("whoami", "--api-key", "-", "--json", stdin=key).returncode
        assert (server.rest.whoami(key).status, here) in ((200, 0), (403, 4)), pair


def test_revoked_by_its_value_a_key_is_refused_whatever_rows_it_had(
    server: LangflowServer, langkeys: Langkeys, database: Database, rows: Rows, name: str
) -> None:
    for number, pair in enumerate(PAIRS):
        key = rows.key(f"{name}-{number}", pair)
        langkeys("api-key", "revoke", "-", "--yes", stdin=key).done()
        assert server.rest.whoami(key).status == 403, pair
        assert database.query("SELECT id FROM apikey WHERE name = ?", f"{name}-{number}") == []


def test_deactivated_or_rotated_a_key_is_refused_whatever_rows_it_had(
    server: LangflowServer, langkeys: Langkeys, rows: Rows, expected: Expected, name: str
) -> None:
    if not expected.honours_inactive_key:
        pytest.skip("this server ignores whether a key is active")
    for number, pair in enumerate(PAIRS[::3]):
        key = rows.key(f"{name}-{number}", pair)
        langkeys("api-key", "deactivate", "-", stdin=key).done()
        assert server.rest.whoami(key).status == 403, pair
        key = rows.key(f"{name}-rotated-{number}", pair)
        new = langkeys("api-key", "rotate", "-", stdin=key).done().stdout.strip()
        assert (server.rest.whoami(key).status, server.rest.whoami(new).status) == (403, 200), pair


def test_of_two_rows_the_one_that_is_revoked_takes_the_other_with_it(
    server: LangflowServer, langkeys: Langkeys, database: Database, rows: Rows, name: str
) -> None:
    # A server refuses a hash in two active rows, but would accept the key with one of them deleted.
    key = rows.key(name, ("hashed", True, "hashed", True))
    assert server.rest.whoami(key).status == 403
    one, _ = database.query("SELECT id FROM apikey WHERE name = ?", name)
    langkeys("api-key", "revoke", one["id"], "--yes").done()
    assert server.rest.whoami(key).status == 403


def test_the_second_row_is_not_activated_beside_the_first(
    server: LangflowServer, langkeys: Langkeys, database: Database, rows: Rows, name: str
) -> None:
    key = rows.key(name, ("hashed", True, "hashed", False))
    (off,) = database.query("SELECT id FROM apikey WHERE name = ? AND NOT is_active", name)
    langkeys("api-key", "activate", off["id"]).refused(5)
    assert server.rest.whoami(key).status == 200


def test_a_key_that_is_replaced_is_so_once_and_hands_on_its_lifetime(
    server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    if not expected.has_expiry:
        pytest.skip("this server does not support expiry")
    made = langkeys("api-key", "create", "--name", name, "--expires", "30d", "--json").done().json()
    arguments = ("api-key", "rotate", name, "--grace", "1h", "--json")
    first = langkeys(*arguments).done().json()
    assert first["replaces"] == made["id"]
    second = langkeys(*arguments).done().json()
    assert second["replaces"] == first["id"]
    for item in (first, second):
        assert server.rest.whoami(item["api_key"]).status == 200
        created, expires = (
            datetime.fromisoformat(item[field].replace("Z", "+00:00"))
            for field in ("created_at", "expires_at")
        )
        assert abs((expires - created).total_seconds() - 30 * 86400) < 5
    assert server.rest.whoami(made["api_key"]).status == 200


def test_a_key_that_lives_for_ever_is_rotated_to_one_that_the_server_takes(
    server: LangflowServer, langkeys: Langkeys, expected: Expected, name: str
) -> None:
    if not expected.has_expiry:
        pytest.skip("this server does not support expiry")
    langkeys("api-key", "create", "--name", name, "--expires", "9999-12-31").done()
    new = langkeys("api-key", "rotate", name).done().stdout.strip()
    assert server.rest.whoami(new).status == 200
