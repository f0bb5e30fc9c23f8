"""api-key rotate: stores and delivers the new key, then ends the old one."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ..support.databases import Database, ago, ahead
from ..support.samples import decrypted
from ..support.sites import Result, Site

pytestmark = pytest.mark.every_engine

Run = Callable[..., Result]


def _row(database: Database, key_id: str) -> dict[str, object]:
    columns = "id, name, user_id, created_at, expires_at, is_active, api_key, api_key_hash"
    (row,) = database.rows(f"SELECT {columns} FROM apikey WHERE id = ?", (key_id,))
    return dict(zip(columns.split(", "), row, strict=True))


def test_the_new_key_alone_is_on_stdout_and_the_old_one_is_gone(
    call: Run, database: Database, superuser: str
) -> None:
    old = database.add_key(superuser, "ci")
    result = call("api-key", "rotate", "ci").done()
    (key,) = result.lines
    (key_id,) = database.key_ids()
    assert key_id != old.id
    assert decrypted(str(_row(database, key_id)["api_key"])) == key
    assert old.dashed in result.stderr


def test_the_new_key_has_the_old_ones_name_owner_and_lifetime(
    call: Run, database: Database
) -> None:
    owner = database.add_user("alice", is_superuser=False)
    old = database.add_key(owner, "ci", created_at=ago(days=20), expires_at=ahead(days=10))
    described = call("api-key", "rotate", old.id, "--json").done().json()
    new = _row(database, described["id"].replace("-", ""))
    assert (new["name"], new["user_id"]) == ("ci", owner)
    created, expires = (datetime.fromisoformat(str(new[c])) for c in ("created_at", "expires_at"))
    assert abs(expires - created - timedelta(days=30)) < timedelta(seconds=5)
    assert described["username"] == "alice"
    assert list(described)[-2:] == ["replaces", "replaces_expires_at"]
    assert (described["replaces"], described["replaces_expires_at"]) == (old.dashed, None)


def test_expires_counts_instead_of_the_old_lifetime(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci", expires_at=ahead(days=10))
    described = call("api-key", "rotate", "ci", "--expires", "2h", "--json").done().json()
    end = datetime.fromisoformat(described["expires_at"].replace("Z", "+00:00"))
    assert abs(end - ahead(hours=2)) < timedelta(minutes=1)


@pytest.mark.parametrize(("own_end", "ends_in"), [(None, 60), (90, 60), (10, 10)])
def test_with_a_grace_the_old_key_ends_at_the_earlier_of_its_end_and_the_grace(
    call: Run, database: Database, superuser: str, own_end: int | None, ends_in: int
) -> None:
    expires_at = None if own_end is None else ahead(minutes=own_end)
    old = database.add_key(superuser, "ci", created_at=ago(days=1), expires_at=expires_at)
    described = call("api-key", "rotate", "ci", "--grace", "60m", "--json").done().json()
    ends = datetime.fromisoformat(str(_row(database, old.id)["expires_at"]) + "+00:00")
    assert abs(ends - ahead(minutes=ends_in)) < timedelta(minutes=1)
    assert described["replaces_expires_at"][:19] == ends.isoformat()[:19]
    assert len(database.key_ids()) == 2


def test_a_name_means_the_one_key_of_that_name_that_works(
    call: Run, database: Database, superuser: str
) -> None:
    # Expired keys of nightly rotations, more than the number of listed candidates.
    expired = [database.add_key(superuser, "ci", expires_at=ago(hours=1)) for _ in range(12)]
    working = database.add_key(superuser, "ci")
    described = call("api-key", "rotate", "ci", "--json").done().json()
    assert described["replaces"] == working.dashed
    assert {key.id for key in expired} < set(database.key_ids())


def test_two_working_keys_of_one_name_are_ambiguous_and_nothing_is_done(
    call: Run, database: Database, superuser: str
) -> None:
    keys = [database.add_key(superuser, "ci") for _ in range(2)]
    before = database.content()
    call("api-key", "rotate", "ci").failed(3, keys[0].dashed, keys[1].dashed)
    assert database.content() == before


def test_an_inactive_key_is_not_brought_back(call: Run, database: Database, superuser: str) -> None:
    database.add_key(superuser, "ci", is_active=False)
    before = database.content()
    call("api-key", "rotate", "ci").failed(5, "inactive")
    assert database.content() == before


def test_an_expired_key_that_is_named_gets_a_new_one(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci", created_at=ago(days=2), expires_at=ago(days=1))
    described = call("api-key", "rotate", "ci", "--json").done().json()
    assert described["status"] == "active"


def test_write_to_replaces_the_file_and_stdout_stays_empty(
    call: Run, site: Site, database: Database, superuser: str
) -> None:
    old = database.add_key(superuser, "ci")
    path = site.folder / "key"
    path.write_text(old.plaintext + "\n")
    path.chmod(0o600)
    result = call("api-key", "rotate", "-", "--write-to", str(path), stdin=path.read_text())
    assert result.done().stdout == ""
    assert path.read_text().rstrip("\n") == decrypted(
        str(_row(database, database.key_ids()[0])["api_key"])
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_where_the_new_key_cannot_be_delivered_it_is_taken_back_and_the_old_one_stays(
    run: Run, database: Database, superuser: str
) -> None:
    old = database.add_key(superuser, "ci")
    with Path("/dev/full").open("wb") as full:
        result = run("api-key", "rotate", "ci", stdout=full)
    assert result.code == 1
    assert "removed again" in result.stderr
    assert database.key_ids() == [old.id]


def test_a_folder_that_is_missing_is_found_out_before_the_database_is_touched(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci")
    before = database.content()
    call("api-key", "rotate", "ci", "--write-to", "nowhere/key").failed(1, "nowhere/key")
    assert database.content() == before


@pytest.mark.only_sqlite("its trigger is in SQLite's SQL")
def test_where_the_old_key_cannot_be_ended_the_error_says_that_both_work(
    site: Site, database: Database, superuser: str
) -> None:
    old = database.add_key(superuser, "ci")
    # A trigger that prevents changes to the old row, but allows new rows.
    database.rows(
        "CREATE TRIGGER fast BEFORE DELETE ON apikey BEGIN SELECT RAISE(FAIL, 'disk I/O error');"
        " END"
    )
    result = site.call("api-key", "rotate", "ci", "--write-to", "key")
    result.failed(5, old.dashed, "the old keys were not revoked")
    assert len(database.key_ids()) == 2
    key = (site.folder / "key").read_text().rstrip()
    site.call("whoami", "--api-key", "-", stdin=key).done()


def test_what_a_broken_off_rotation_left_is_reported_by_the_next(
    call: Run, database: Database, superuser: str
) -> None:
    old = database.add_key(superuser, "ci", created_at=ago(days=3))
    left = database.add_key(superuser, "ci", created_at=ago(days=2))
    result = call("api-key", "rotate", old.id).done()
    assert f"API key {left.dashed}" in result.stderr
    assert left.id in database.key_ids()


def test_many_are_rotated_all_or_none_with_a_pair_of_ids_each(
    call: Run, database: Database
) -> None:
    owner = database.add_user("alice", is_superuser=False)
    olds = [database.add_key(owner, f"key {n}") for n in range(3)]
    inactive = database.add_key(owner, "off", is_active=False)
    expired = database.add_key(owner, "late", expires_at=ago(days=1))
    described = call("api-key", "rotate", "--user", "alice", "--all", "--json").done().json()
    assert [item["replaces"] for item in described] == [key.dashed for key in olds]
    assert all(
        item["api_key"].startswith("sk-") and "*" not in item["api_key"] for item in described
    )
    assert {inactive.id, expired.id} < set(database.key_ids())


def test_older_than_means_everybodys_keys_unless_a_user_is_named(
    call: Run, database: Database, superuser: str
) -> None:
    owner = database.add_user("alice", is_superuser=False)
    hers = database.add_key(owner, "hers", created_at=ago(days=100))
    mine = database.add_key(superuser, "mine", created_at=ago(days=100))
    database.add_key(superuser, "new", created_at=ago(days=1))
    listed = call("api-key", "rotate", "--older-than", "90d", "--dry-run").done()
    assert [row[0] for row in listed.rows] == [hers.dashed, mine.dashed]
    only = call("api-key", "rotate", "--older-than", "90d", "--user", "alice", "--json").done()
    assert [item["replaces"] for item in only.json()] == [hers.dashed]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--user", "alice"),
        ("--all",),
        ("ci", "--all", "--user", "alice"),
        ("ci", "--older-than", "1d"),
    ],
)
def test_a_selection_that_says_nothing_or_two_things_is_a_usage_error(
    call: Run, database: Database, superuser: str, arguments: tuple[str, ...]
) -> None:
    database.add_key(superuser, "ci")
    call("api-key", "rotate", *arguments).failed(2, "--older-than")


def test_the_acting_key_is_rotated_only_with_yes(
    call: Run, database: Database, superuser: str
) -> None:
    acting = database.add_key(superuser, "admin")
    by_key = {"LANGKEYS_API_KEY": acting.plaintext}
    before = database.content()
    call("api-key", "rotate", "admin", **by_key).failed(2, acting.dashed, "--yes")
    assert database.content() == before
    result = call("api-key", "rotate", "admin", "--yes", **by_key).done()
    assert "LANGKEYS_API_KEY" in result.stderr
    assert acting.id not in database.key_ids()


@pytest.mark.parametrize("release", ["1.5", "1.8", "1.9"])
def test_a_grace_is_unsupported_where_the_server_knows_no_expiry(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    site.database.add_key(owner, "ci")
    before = site.database.content()
    result = site.call("api-key", "rotate", "ci", "--grace", "1h", "--json")
    result.failed(2)
    assert result.error["code"] == "unsupported"
    assert site.database.content() == before
    site.call("api-key", "rotate", "ci").done()


@pytest.mark.only_sqlite("takes SQLite's write lock")
def test_a_rotation_waits_for_a_writer_and_holds_no_lock_while_it_delivers(
    site: Site, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci")
    database.use_wal()
    with closing(sqlite3.connect(database.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM apikey").fetchall()
        site.call("api-key", "rotate", "ci").done()


def test_all_keys_need_a_user(site: Site) -> None:
    stderr = site.call("api-key", "rotate", "--all").failed(2).stderr
    assert stderr.startswith("error: --all requires --user USER\n")


def test_the_hint_activates_the_inactive_owner(site: Site, database: Database) -> None:
    alice = database.add_user("alice b", is_superuser=False, is_active=False)
    database.add_key(alice, "laptop")
    stderr = site.call("api-key", "rotate", "laptop").failed(5).stderr
    assert "hint: activate the user first: langkeys user activate 'alice b'\n" in stderr


def test_the_entry_of_the_secret_is_not_the_secret_key(site: Site) -> None:
    for verb in ("rotate", "create"):
        said = " ".join(site.call("api-key", verb, "--help").done().stdout.split())
        assert "entry in the Secret's data, not LANGFLOW_SECRET_KEY" in said
