from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ..support.databases import SHAPES, Database, ago
from ..support.samples import KEY_FIELDS, assert_no_secret, decrypted, hash_of
from ..support.sites import LANGKEYS, Result, Site
from ..support.terminals import run_at_terminal

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]

KEY = re.compile(r"sk-[A-Za-z0-9_-]{43}")
COLUMNS = "name, api_key, api_key_hash, total_uses, is_active, expires_at, last_used_at, user_id"


# One key


def test_a_piped_key_is_alone_on_stdout(run: Call, database: Database, superuser: str) -> None:
    result = run("api-key").done()
    assert KEY.fullmatch(result.stdout.rstrip("\n"))
    assert result.stdout.count("\n") == 1
    ((name, stored, key_hash, *state, owner),) = database.rows(f"SELECT {COLUMNS} FROM apikey")
    assert (name, owner, state) == ("CLI", superuser, [0, 1, None, None])
    assert decrypted(stored) == result.stdout.strip()
    assert key_hash == hash_of(result.stdout.strip())


def test_a_new_key_is_named_with_its_owner_and_database_on_stderr(
    call: Call, database: Database
) -> None:
    result = call("api-key", "create", "--name", "ci").done()
    for word in ("ci", "administrator", str(database.path)):
        assert word in result.stderr


def test_a_new_key_works_at_once(call: Call) -> None:
    key = call("api-key").done().stdout
    result = call("whoami", "--api-key", "-", "--json", stdin=key).done()
    assert result.json()["username"] == "administrator"


def test_existing_keys_stay(call: Call, database: Database, superuser: str) -> None:
    before = [database.add_key(superuser, "CLI").id for _ in range(3)]
    call("api-key").done()
    assert database.key_ids()[:3] == before
    assert len(database.key_ids()) == 4


def test_json_has_langflows_fields_in_order_and_the_whole_key(
    call: Call, database: Database, superuser: str
) -> None:
    made = call("api-key", "create", "--name", "ci", "--json").done().json()
    assert list(made) == KEY_FIELDS
    assert KEY.fullmatch(made["api_key"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["id"])
    assert made["id"].replace("-", "") == database.key_ids()[0]
    assert made["user_id"].replace("-", "") == superuser
    assert made["created_at"].endswith("Z")
    known = ("name", "last_used_at", "total_uses", "is_active", "expires_at", "username", "status")
    assert [made[name] for name in known] == ["ci", None, 0, True, None, "administrator", "active"]
    assert made["at_rest"] == "fernet"


def test_a_key_may_be_for_another_user_by_name_or_id(
    call: Call, database: Database, superuser: str
) -> None:
    alice = database.add_user("alice", is_superuser=False)
    for user in ("alice", alice, alice.upper()):
        assert call("api-key", "--user", user, "--json").done().json()["username"] == "alice"
    assert database.rows("SELECT DISTINCT user_id FROM apikey") == [(alice,)]


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ("2999-01-31", "2999-01-31 00:00:00.000000"),
        ("2999-01-31T18:00:00+02:00", "2999-01-31 16:00:00.000000"),
        ("2999-01-31T18:00:00.5Z", "2999-01-31 18:00:00.500000"),
    ],
)
def test_a_key_may_expire_at_a_time(
    call: Call, database: Database, expires: str, expected: str
) -> None:
    call("api-key", "--expires", expires).done()
    assert database.rows("SELECT expires_at FROM apikey") == [(expected,)]


def test_a_key_may_expire_after_a_span(call: Call) -> None:
    made = call("api-key", "--expires", "90d", "--json").done().json()
    expires = datetime.fromisoformat(made["expires_at"].replace("Z", "+00:00"))
    distance = expires - datetime.now(timezone.utc)
    assert timedelta(days=89, hours=23) < distance <= timedelta(days=90)


def test_a_key_is_stored_as_its_generation_wants_it(site_of: Callable[[str], Site]) -> None:
    site = site_of("1.7")
    key = site.call("api-key").done().stdout.strip()
    assert site.database.rows("SELECT api_key FROM apikey") == [(key,)]


@pytest.mark.parametrize("release", SHAPES)
def test_a_key_of_every_generation_is_made_listed_and_revoked(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    key = site.call("api-key", "--name", "ci").done().stdout
    site.call("whoami", "--api-key", "-", stdin=key).done()
    (row,) = site.call("api-key", "list").done().rows
    assert (row[1], row[2][:8]) == ("ci", key[:8])
    site.call("api-key", "revoke", "ci", "--yes").done()
    site.call("whoami", "--api-key", "-", stdin=key).failed(4)


def test_a_newline_in_the_secret_key_file_is_as_harmless_as_to_the_server(
    site_of: Callable[[str], Site],
) -> None:
    # Langflow 1.5 and 1.6 add four = to such a secret key although none is missing, so its newline
    # is ignored; tested with langflow-base 0.5.1 and 0.6.9.
    site = site_of("1.6")
    secret_key = site.settings.pop("LANGFLOW_SECRET_KEY")
    (site.folder / "secret_key").write_text(f"{secret_key}\n")
    owner = site.database.add_user("ops")
    key = site.database.add_key(owner, at_rest="fernet")
    site.call("api-key", "create", LANGFLOW_CONFIG_DIR=str(site.folder)).done()
    (row, _) = site.call("api-key", "list", "--all-users", LANGFLOW_CONFIG_DIR=".").done().rows
    assert row[2].rstrip("*") == key.plaintext[:8]


# Several


def test_several_keys_are_a_line_each(call: Call, database: Database) -> None:
    result = call("api-key", "--count", "3").done()
    assert len(set(result.lines)) == 3
    assert all(KEY.fullmatch(line) for line in result.lines)
    assert len(database.key_ids()) == 3


@pytest.mark.parametrize("count", [1, 3])
def test_with_a_count_json_is_an_array(call: Call, count: int) -> None:
    made = call("api-key", "--count", str(count), "--json").done().json()
    assert len({key["api_key"] for key in made}) == count
    assert all(list(key) == KEY_FIELDS for key in made)


@pytest.mark.only_sqlite("its trigger is in SQLite's SQL")
def test_many_keys_are_stored_all_or_none(call: Call, database: Database) -> None:
    database.rows(
        "CREATE TRIGGER refuse BEFORE INSERT ON apikey"
        " WHEN (SELECT count(*) FROM apikey) >= 5"
        " BEGIN SELECT RAISE(ABORT, 'no more'); END"
    )
    call("api-key", "--count", "8").failed(5)
    assert database.key_ids() == []


# Keys that cannot be delivered are removed again


def undelivered(site: Site, *arguments: str) -> list[Result]:
    """Run ``create`` with a closed pipe as stdout, and with a full disk."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone, Path("/dev/full").open("wb") as full:
        return [site.run("api-key", "create", *arguments, stdout=out) for out in (gone, full)]


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--count", "3"), ("--count", "2000")])
def test_a_key_that_nobody_received_is_taken_back(
    site: Site, superuser: str, arguments: tuple[str, ...]
) -> None:
    kept = site.database.add_key(superuser).id
    for result in undelivered(site, *arguments):
        assert result.code == 1
        assert "removed again" in result.stderr
        assert site.database.key_ids() == [kept]


def test_a_key_that_has_arrived_in_its_file_stays_and_works(site: Site) -> None:
    # --json with --write-to: the key is delivered to the file, only its description to stdout.
    path = site.folder / "key"
    for result in undelivered(site, "--write-to", "key", "--replace", "--json"):
        assert result.code == 1
        assert "removed again" not in result.stderr
        key = path.read_text()
        site.call("whoami", "--api-key", "-", stdin=key).done()


@pytest.mark.only_sqlite("its trigger is in SQLite's SQL")
def test_a_key_that_does_not_read_back_as_written_is_taken_back(site: Site) -> None:
    site.database.rows(
        "CREATE TRIGGER meddle AFTER INSERT ON apikey"
        " BEGIN UPDATE apikey SET api_key_hash = 'another' WHERE id = new.id; END"
    )
    site.call("api-key").failed(1, "was not stored as written", "removed again")
    assert site.database.key_ids() == []


def test_a_second_working_key_of_a_name_is_noted(site: Site, superuser: str) -> None:
    said = (
        "note: another working API key of administrator is named 'gateway': commands that use the"
        " name will need an id\n"
    )
    line = ("api-key", "create", "--name", "gateway")
    site.database.add_key(site.database.add_user("alice", is_superuser=False), "gateway")
    site.database.add_key(superuser, "gateway", expires_at=ago(days=1))
    assert "another" not in site.call(*line).done().stderr
    assert site.call(*line).done().stderr.endswith(said)
    assert site.call(*line, "-q").done().stderr == ""
    site.call("api-key", "show", "gateway").failed(3)
    for _ in range(2):  # CLI, the default, is no name that anybody chose
        assert "another" not in site.call("api-key").done().stderr


# On a terminal


def test_at_a_terminal_a_panel_shows_the_key_once_with_a_line_to_try_it(site: Site) -> None:
    terminal = run_at_terminal(site, "api-key", "--name", "ci", columns=60)
    found = KEY.findall(terminal.text)
    assert len(set(found)) == 1
    # Neither the key nor the command is wrapped, so that both can be copied.
    lines = [line.strip() for line in terminal.text.splitlines()]
    assert found[0] in lines
    command = lines.index("langkeys whoami --api-key - --url http://localhost:7860")
    assert lines[command - 1] == "To try it against the running server:"
    assert len(found) == 1  # the key is not in the command: it would be in the shell's history
    assert "once" in terminal.text
    assert site.database.rows("SELECT api_key_hash FROM apikey") == [(hash_of(found[0]),)]


def test_the_line_to_try_it_by_names_the_server_of_the_settings(site: Site) -> None:
    terminal = run_at_terminal(site, "api-key", LANGFLOW_URL="https://langflow.example.com")
    assert "whoami --api-key - --url https://langflow.example.com" in terminal.text


def test_at_a_terminal_several_keys_are_a_line_each(site: Site) -> None:
    terminal = run_at_terminal(site, "api-key", "--count", "2")
    assert len([line for line in terminal.text.splitlines() if KEY.fullmatch(line)]) == 2


# Owners at risk


def test_an_owner_that_a_server_would_remove_is_warned_about(site: Site) -> None:
    site.database.add_user("langflow")
    settings = {
        "LANGFLOW_AUTO_LOGIN": "false",
        "LANGKEYS_API_KEY": site.call("api-key", "-q").done().stdout.strip(),
    }
    result = site.call("api-key", "--user", "langflow", **settings).done()
    assert "warning: " in result.stderr
    assert "langflow" in result.stderr
    quiet = site.call("api-key", "-q", "--user", "administrator", **settings).done()
    assert quiet.stderr == ""


def test_nothing_secret_is_on_stderr(site: Site, superuser: str) -> None:
    site.database.add_key(superuser, expires_at=ago(days=1))
    result = site.run("api-key", "--count", "2", command=(*LANGKEYS,))
    assert_no_secret(result.done().stderr)
