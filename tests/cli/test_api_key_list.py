from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from ..support.databases import SHAPES, Database, SampleKey, ago, ahead
from ..support.samples import KEY_FIELDS, OTHER_SECRET_KEY, PASSWORD
from ..support.sites import Result, Site
from ..support.terminals import run_at_terminal

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]


def names(call: Call, *options: str) -> list[str]:
    """Return the names in the piped lines of ``list``; assert that JSON has the same."""
    piped = [row[1] for row in call("api-key", "list", *options).done().rows]
    assert [key["name"] for key in call("api-key", "list", *options, "--json").json()] == piped
    return piped


# Output formats


def test_a_person_sees_that_an_owner_is_inactive(
    call: Call, site: Site, database: Database, superuser: str
) -> None:
    alice = database.add_user("alice", is_active=False)
    database.add_key(superuser, "works")
    database.add_key(alice, "hers")
    database.add_key(alice, "over", expires_at=ago(days=1))
    database.add_key(alice, "off", is_active=False)
    table = run_at_terminal(site, "api-key", "list", "--all-users", columns=120).text
    lines = {line.split()[1]: line for line in table.splitlines() if "…" in line}
    assert {name for name, line in lines.items() if "owner inactive" in line} == {"hers"}
    assert "expired" in lines["over"]
    piped = call("api-key", "list", "--all-users").done().rows
    assert [row[4] for row in piped] == ["active", "active", "expired", "inactive"]
    found = call("api-key", "list", "--all-users", "--json").done().json()
    assert [key["status"] for key in found] == [row[4] for row in piped]
    for command in (("show", "hers"), ("revoke", "hers", "works", "--dry-run")):
        assert "owner inactive" in run_at_terminal(site, "api-key", *command, columns=120).text


def test_piped_columns_are_in_their_documented_order(
    call: Call, database: Database, superuser: str
) -> None:
    key = database.add_key(
        superuser,
        "ci",
        created_at=datetime(2026, 6, 1, 12, tzinfo=timezone.utc),
        last_used_at=datetime(2026, 6, 2, 12, 0, 0, 500_000, tzinfo=timezone.utc),
        expires_at=datetime(2999, 1, 31, tzinfo=timezone.utc),
        total_uses=7,
    )
    assert call("api-key", "list").done().rows == [
        [
            key.dashed,
            "ci",
            key.plaintext[:8] + "*" * 38,
            "administrator",
            "active",
            "2026-06-01T12:00:00Z",
            "2026-06-02T12:00:00.500000Z",
            "7",
            "2999-01-31T00:00:00Z",
        ]
    ]


def test_json_has_langflows_fields_in_order_and_then_ours(
    call: Call, database: Database, superuser: str
) -> None:
    key = database.add_key(
        superuser,
        "ci",
        created_at=datetime(2026, 6, 1, 12, tzinfo=timezone.utc),
        expires_at=datetime(2026, 6, 2, tzinfo=timezone.utc),
        at_rest="plaintext",
    )
    (found,) = call("api-key", "list", "--json").done().json()
    assert list(found) == KEY_FIELDS
    assert list(found.values()) == [
        key.dashed,
        "ci",
        key.plaintext[:8] + "*" * 38,
        f"{superuser[:8]}-{superuser[8:12]}-{superuser[12:16]}-{superuser[16:20]}-{superuser[20:]}",
        "2026-06-01T12:00:00Z",
        None,
        0,
        True,
        "2026-06-02T00:00:00Z",
        "administrator",
        "expired",
        "plaintext",
    ]


def test_a_whole_key_is_never_listed(site: Site, database: Database, superuser: str) -> None:
    keys = [database.add_key(superuser, at_rest=form) for form in ("fernet", "plaintext")]
    outputs = [
        site.call("api-key", "list").done().stdout,
        site.call("api-key", "list", "--json").done().stdout,
        run_at_terminal(site, "api-key", "list").text,
    ]
    for output in outputs:
        for key in keys:
            assert key.plaintext[:8] in output
            assert key.plaintext[8:12] not in output


def test_a_row_that_the_secret_key_does_not_open_is_listed_without_its_start(
    site: Site, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "opens")
    database.add_key(superuser, "does not open", secret_key=OTHER_SECRET_KEY)
    result = site.call("api-key", "list").done()
    assert [(row[1], bool(row[2])) for row in result.rows] == [
        ("opens", True),
        ("does not open", False),
    ]
    assert "warning: " in result.stderr
    assert " 1 " in result.stderr
    described = site.call("api-key", "list", "--json").done().json()
    assert described[1]["api_key"] is None
    assert "(cannot decrypt)" in run_at_terminal(site, "api-key", "list").text


def test_a_list_where_nothing_opens_is_still_shown(
    call: Call, database: Database, superuser: str
) -> None:
    database.add_key(superuser, secret_key=OTHER_SECRET_KEY)
    assert len(call("api-key", "list").done().rows) == 1


def test_plaintext_keys_are_listed_without_a_secret_key(
    site_of: Callable[[str], Site],
) -> None:
    site = site_of("1.7")
    site.database.add_key(site.database.add_user("alice"), "plain")
    result = site.call("api-key", "list", "--all-users", LANGFLOW_SECRET_KEY=None).done()
    assert result.rows[0][1] == "plain"


# Owners


@pytest.fixture
def three_owners(database: Database, superuser: str) -> str:
    database.add_key(superuser, "mine")
    alice = database.add_user("alice", is_superuser=False)
    database.add_key(alice, "of alice")
    database.add_key("0" * 32, "of nobody")
    return alice


@pytest.mark.only_sqlite("has rows of users who are not there")
@pytest.mark.usefixtures("three_owners")
def test_by_default_the_acting_users_keys_are_listed(call: Call) -> None:
    assert names(call) == ["mine"]


@pytest.mark.only_sqlite("has rows of users who are not there")
def test_a_users_keys_are_listed_by_name_or_id(call: Call, three_owners: str) -> None:
    assert names(call, "--user", "alice") == ["of alice"]
    assert names(call, "--user", three_owners) == ["of alice"]


@pytest.mark.only_sqlite("has rows of users who are not there")
@pytest.mark.usefixtures("three_owners")
def test_everybodys_keys_are_listed_even_those_of_nobody(call: Call) -> None:
    assert names(call, "--all-users") == ["mine", "of alice", "of nobody"]


@pytest.mark.only_sqlite("has rows of users who are not there")
def test_who_acts_decides_whose_keys_are_listed(site: Site, three_owners: str) -> None:
    site.database.rows("UPDATE user SET is_superuser = 1")
    result = site.call(
        "api-key",
        "list",
        LANGFLOW_AUTO_LOGIN="false",
        LANGFLOW_SUPERUSER="alice",
        LANGFLOW_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert [row[1] for row in result.done().rows] == ["of alice"]


# Filters


@pytest.fixture
def keys(database: Database, superuser: str) -> list[SampleKey]:
    """Keys of every state, oldest first."""
    return [
        database.add_key(
            superuser, "used lately", created_at=ago(days=99), last_used_at=ago(days=1)
        ),
        database.add_key(
            superuser, "used once", created_at=ago(days=99), last_used_at=ago(days=50)
        ),
        database.add_key(superuser, "never used", created_at=ago(days=99)),
        database.add_key(superuser, "new", created_at=ago(minutes=5)),
        database.add_key(superuser, "expired", expires_at=ago(seconds=1)),
        database.add_key(superuser, "expires soon", expires_at=ahead(days=3)),
        database.add_key(superuser, "expires late", expires_at=ahead(days=300)),
        database.add_key(superuser, "inactive", is_active=False),
        database.add_key(superuser, "inactive, expired", is_active=False, expires_at=ago(days=1)),
    ]


@pytest.mark.only_sqlite("its rows were not added in the order of their creation times")
@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ("--status", "active"),
            ["used lately", "used once", "never used", "new", "expires soon", "expires late"],
        ),
        (("--status", "expired"), ["expired"]),
        (("--status", "inactive"), ["inactive", "inactive, expired"]),
        (("--unused-for", "30d"), ["used once", "never used"]),
        (("--unused-for", "60d"), ["never used"]),
        (("--expires-within", "7d"), ["expires soon"]),
        (("--expires-within", "52w"), ["expires soon", "expires late"]),
        (("--expires-within", "1h"), []),
        (("--unused-for", "30d", "--status", "inactive"), []),
        (("--limit", "2"), ["used lately", "used once"]),
        (("--limit", "2", "--offset", "3"), ["new", "expired"]),
        (("--offset", "7"), ["inactive", "inactive, expired"]),
        (("--offset", "99"), []),
        (("--limit", "0"), []),
        (("--status", "active", "--limit", "1", "--offset", "4"), ["expires soon"]),
    ],
)
def test_filters_find_what_they_say(
    call: Call, options: tuple[str, ...], expected: list[str]
) -> None:
    assert names(call, *options) == expected


@pytest.mark.usefixtures("keys")
def test_every_key_has_one_status_and_the_filters_share_them_out(call: Call) -> None:
    by_filter = {
        name: status
        for status in ("active", "expired", "inactive")
        for name in names(call, "--status", status)
    }
    rows = call("api-key", "list").done().rows
    assert by_filter == {row[1]: row[4] for row in rows}


def test_more_keys_than_a_page_are_all_listed_in_order(
    call: Call, database: Database, superuser: str
) -> None:
    call("api-key", "--count", "1050", "-q").done()
    assert len(call("api-key", "list").done().rows) == 1050
    shown_ids = [row[0].replace("-", "") for row in call("api-key", "list").done().rows]
    assert shown_ids == database.key_ids()
    last = call("api-key", "list", "--offset", "1040", "--limit", "100", "--json").done().json()
    assert [key["id"].replace("-", "") for key in last] == database.key_ids()[1040:]


@pytest.mark.parametrize("release", ["1.5", "1.9"])
def test_where_keys_do_not_expire_none_is_expired(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    site.call("api-key").done()
    assert names(site.call, "--status", "expired") == []
    assert names(site.call, "--expires-within", "52w") == []
    assert names(site.call, "--status", "active") == ["CLI"]
    assert site.call("api-key", "list", "--json").json()[0]["expires_at"] is None


@pytest.mark.parametrize("release", SHAPES)
def test_keys_of_every_generation_are_listed(site_of: Callable[[str], Site], release: str) -> None:
    site = site_of(release)
    site.database.add_key(site.database.add_user("alice"), "theirs")
    assert names(site.call, "--user", "alice") == ["theirs"]


def test_an_unknown_generation_is_noted(site: Site) -> None:
    site.database.rows("UPDATE alembic_version SET version_num = '0123456789ab'")
    result = site.call("api-key", "list").done()
    assert result.stderr.startswith("note: ")
    assert "0123456789ab" in result.stderr


def test_nothing_is_written(call: Call, database: Database, superuser: str) -> None:
    database.add_key(superuser)
    before = database.digest()
    call("api-key", "list", "--all-users").done()
    assert database.digest() == before


def test_an_empty_list_at_a_terminal_says_so(site: Site) -> None:
    assert "no API keys" in run_at_terminal(site, "api-key", "list").text


def test_a_person_is_told_that_other_users_have_keys(
    site: Site, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "mine")
    others = [database.add_user(name, is_superuser=False) for name in ("alice", "bob")]
    assert "other users" not in run_at_terminal(site, "api-key", "list").text
    database.add_key(others[0])
    said = "note: 1 API key of other users is not shown; to see it: --all-users"
    assert said in run_at_terminal(site, "api-key", "list").text
    database.add_key(others[1])
    said = "note: 2 API keys of other users are not shown; to see them: --all-users"
    assert said in run_at_terminal(site, "api-key", "list", "--limit", "1").text
    for options in (
        ("-q",), ("--all-users",), ("--user", "administrator"), ("--expired",), ("--json",),
        ("--status", "active"), ("--older-than", "1s"),
    ):  # fmt: skip
        assert "other users" not in run_at_terminal(site, "api-key", "list", *options).text
    assert "other users" not in site.call("api-key", "list").done().stderr
    more = (
        f"('{number:032x}', 'x', '{others[0]}', 'sk-{number}', TRUE, 0, '2026-01-01 00:00:00')"
        for number in range(1000)
    )
    database.rows(
        "INSERT INTO apikey (id, name, user_id, api_key, is_active, total_uses, created_at)"
        f" VALUES {', '.join(more)}"
    )
    said = "note: more than 1000 API keys of other users are not shown; to see them: --all-users"
    assert said in run_at_terminal(site, "api-key", "list").text
