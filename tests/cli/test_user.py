"""user list, show, activate, deactivate, promote and demote: their output and messages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..conftest import SUPERUSER
from ..support.databases import Database, ago
from ..support.samples import PASSWORD, WRONG_PASSWORD
from ..support.sites import Result, Site
from ..support.terminals import Terminal, run_at_terminal
from .test_user_passwords import FIELDS

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]


@pytest.fixture
def alice(database: Database) -> str:
    """The id of an ordinary user with two keys and a variable, who has logged in."""
    user_id = database.add_user(
        "alice", is_superuser=False, last_login_at=ago(days=2), optins='{"github_starred": true}'
    )
    for name in ("one", "two"):
        database.add_key(user_id, name)
    database.add_variable(user_id, "NAME", "value", "Generic")
    return user_id


def state(database: Database, name: str = "alice") -> tuple[int, int]:
    sql = "SELECT is_active, is_superuser FROM user WHERE username = ?"
    ((is_active, is_superuser),) = database.rows(sql, (name,))
    return is_active, is_superuser


# list and show


def test_piped_columns_are_in_their_documented_order(call: Call, alice: str) -> None:
    rows = call("user", "list").done().rows
    assert [row[1] for row in rows] == [SUPERUSER, "alice"]
    assert rows[0][2:6] == ["true", "true", "0", "0"]
    assert rows[0][7] == ""
    assert rows[1][0].replace("-", "") == alice
    assert rows[1][2:7] == ["true", "false", "2", "1", "2026-01-01T00:00:00Z"]
    assert rows[1][7].endswith("Z")
    assert call("user", "show", "alice").done().rows == rows[1:]


def test_json_has_langflows_fields_in_order_and_then_the_counts(
    call: Call, alice: str, superuser: str, database: Database
) -> None:
    listed = call("user", "list", "--json").done().json()
    # optins are only shown if they are stored, as in whoami.
    assert [list(user) for user in listed] == [[f for f in FIELDS if f != "optins"], FIELDS]
    assert listed[1]["optins"] == {"github_starred": True}
    assert (listed[1]["api_keys"], listed[1]["variables"]) == (2, 1)
    assert listed[1]["store_api_key"] is None
    assert call("user", "show", alice, "--json").done().json() == listed[1]
    whoami = call("whoami", "--json").done().json()
    assert whoami == {name: listed[0][name] for name in whoami}


def test_a_list_is_cut_and_continued(call: Call, database: Database) -> None:
    for number in range(4):
        database.add_user(f"user {number}")
    rows = call("user", "list", "--limit", "2", "--offset", "2").done().rows
    assert [row[1] for row in rows] == ["user 1", "user 2"]
    assert call("user", "list", "--limit", "0", "--json").done().json() == []
    call("user", "list", "--limit", "-1").failed(2)


def test_tab_newline_and_backslash_are_escaped_in_a_row(call: Call, database: Database) -> None:
    database.add_user("tab\there\nnew line\\backslash")
    assert call("user", "list").done().rows[1][1] == "tab\\there\\nnew line\\\\backslash"


def test_no_stored_secret_shows(site: Site, alice: str) -> None:
    site.database.rows("UPDATE user SET store_api_key = 'gAAAAABsecret'")
    for arguments in (
        ("list",),
        ("list", "--json"),
        ("show", "alice"),
        ("show", "alice", "--json"),
    ):
        text = site.call("user", *arguments).done().stdout
        assert "$2b$" not in text
        assert "gAAAAA" not in text


def test_at_a_terminal_users_are_a_table_and_a_user_is_a_card(site: Site, alice: str) -> None:
    table = run_at_terminal(site, "user", "list", columns=80).text
    assert "LAST LOGIN" in table
    assert "2d ago" in table
    card = run_at_terminal(site, "user", "show", "alice").text
    for word in ("username", "alice", "api_keys", "2 days ago"):
        assert word in card


def test_a_user_whom_nobody_knows_is_not_found(call: Call, alice: str) -> None:
    for verb in ("show", "activate", "deactivate", "promote", "demote"):
        result = call("user", verb, "Alice", "--json").failed(3)
        assert result.error["code"] == "not_found"
        hint = "there is 'alice'; to see names and ids: langkeys user list"
        assert result.error["hint"] == hint
    for line in (("user", "show"), ("api-key", "list", "--user"), ("api-key", "--user")):
        stderr = call(*line, "nobody").failed(3).stderr
        assert stderr.endswith("hint: to see names and ids: langkeys user list\n")


def test_only_an_active_superuser_may(call: Call, database: Database, alice: str) -> None:
    key = database.add_key(alice).plaintext
    before = database.digest()
    for verb in ("list", "show alice", "activate alice", "deactivate alice", "promote alice"):
        result = call("user", *verb.split(), "--json", LANGKEYS_API_KEY=key).failed(4)
        assert result.error["code"] == "forbidden"
    assert database.digest() == before


# activate, deactivate, promote, demote

VERBS = {
    "activate": ((0, 0), (1, 0)),
    "deactivate": ((1, 0), (0, 0)),
    "promote": ((1, 0), (1, 1)),
    "demote": ((1, 1), (1, 0)),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_change_is_made_shown_and_said(
    call: Call, database: Database, alice: str, verb: str
) -> None:
    before, after = VERBS[verb]
    database.rows("UPDATE user SET is_active = ?, is_superuser = ? WHERE id = ?", (*before, alice))
    result = call("user", verb, "alice").done()
    assert state(database) == after
    assert result.rows[0][1:4] == ["alice", *(str(bool(flag)).lower() for flag in after)]
    assert str(database.path) in result.stderr
    assert f"{verb}d alice" in result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_so_already_is_said_and_left(
    call: Call, database: Database, alice: str, verb: str
) -> None:
    _, after = VERBS[verb]
    database.rows("UPDATE user SET is_active = ?, is_superuser = ? WHERE id = ?", (*after, alice))
    before = database.digest()
    described = call("user", verb, "alice", "--json").done().json()
    assert (described["is_active"], described["is_superuser"]) == after
    assert "already" in call("user", verb, "alice").done().stderr
    assert database.digest() == before


@pytest.mark.parametrize("verb", ["deactivate", "demote"])
def test_the_superuser_whom_the_server_needs_stays(
    call: Call, database: Database, verb: str
) -> None:
    before = database.digest()
    result = call("user", verb, SUPERUSER, "--json").failed(5)
    assert result.error["code"] == "conflict"
    assert "LANGFLOW_SUPERUSER" in result.error["message"]
    database.add_user("second")
    key = database.add_key(database.add_user("third")).plaintext
    before = database.digest()
    call("user", verb, SUPERUSER).failed(5)
    call("user", verb, "third", LANGKEYS_API_KEY=key).failed(5, "acts as")
    assert database.digest() == before


def test_keys_of_an_inactive_owner_are_refused_and_stay(
    call: Call, database: Database, alice: str
) -> None:
    key = database.add_key(alice).plaintext
    result = call("user", "deactivate", "alice", "--json").done()
    assert result.json()["revoked_keys"] == []
    assert result.stderr == ""
    call("whoami", "--api-key", "-", stdin=key).failed(4, "inactive")
    call("user", "activate", "alice").done()
    call("whoami", "--api-key", "-", stdin=key).done()


# Generations in which the keys of an inactive owner still run flows


@pytest.fixture
def old(site_of: Callable[[str], Site]) -> Site:
    """A site of 1.8 with bob, his two keys, one of them inactive, and a key of another user."""
    site = site_of("1.8")
    bob = site.database.add_user("bob", is_superuser=False)
    site.database.add_key(bob, "one")
    site.database.add_key(bob, "two", is_active=False)
    site.database.add_key(site.database.add_user("carol"), "hers")
    return site


def names(database: Database) -> list[str]:
    return [row[0] for row in database.rows("SELECT name FROM apikey ORDER BY name")]


def test_without_a_terminal_it_is_said_that_the_keys_still_run_flows(old: Site) -> None:
    result = old.call("user", "deactivate", "bob").done()
    assert "warning: Langflow 1.8 lets API keys of inactive users run flows" in result.stderr
    assert "'bob' has 2 API keys" in result.stderr
    assert "--revoke-keys" in result.stderr
    assert state(old.database, "bob") == (0, 0)
    assert names(old.database) == ["hers", "one", "two"]


def test_with_revoke_keys_they_go_in_one_with_it(old: Site) -> None:
    result = old.call("user", "deactivate", "bob", "--revoke-keys", "--json").done()
    assert len(result.json()["revoked_keys"]) == 2
    assert result.json()["api_keys"] == 0
    assert "run flows" not in result.stderr
    assert names(old.database) == ["hers"]
    # This also works if the user is already inactive.
    assert old.call("user", "deactivate", "bob", "--revoke-keys").done()


def test_with_revoke_keys_a_key_goes_with_another_users_row_of_it(old: Site) -> None:
    owner = old.database.rows("SELECT user_id FROM apikey WHERE name = 'one'")[0][0]
    key = old.database.add_key(owner, "shared")
    twin = old.database.add_key(old.database.add_user("dave"), "twin", plaintext=key.plaintext)
    result = old.call("user", "deactivate", "bob", "--revoke-keys", "--json").done()
    assert twin.dashed in result.json()["revoked_keys"]
    assert twin.dashed in result.stderr
    assert names(old.database) == ["hers"]


def test_a_dry_run_says_how_many_and_does_nothing(old: Site) -> None:
    before = old.database.digest()
    result = old.call("user", "deactivate", "bob", "--revoke-keys", "--dry-run").done()
    assert "would be inactive, 2 API keys would be revoked; nothing was done" in result.stderr
    described = old.call("user", "deactivate", "bob", "--dry-run", "--json").done().json()
    assert (described["is_active"], described["revoked_keys"]) == (True, [])
    assert "run flows" in old.call("user", "deactivate", "bob", "--dry-run").done().stderr
    old.call("user", "deactivate", "langflow", "--dry-run").failed(5)
    assert old.database.digest() == before


@pytest.mark.parametrize(("answer", "left"), [("y\n", ["hers"]), ("n\n", ["hers", "one", "two"])])
def test_at_a_terminal_it_is_asked_whether_to_revoke_them(
    old: Site, answer: str, left: list[str]
) -> None:
    with Terminal(old, "user", "deactivate", "bob", piped=True) as terminal:
        terminal.expect("[y/N]")
        asked = f"Revoke all of the user's API keys in {old.database.location}? [y/N]"
        assert asked in " ".join(terminal.text.split())
        assert "'bob' has 2 API keys" in terminal.text
        terminal.send(answer)
        terminal.finish()
    assert state(old.database, "bob") == (0, 0)
    assert names(old.database) == left
    assert ("--revoke-keys" in terminal.text) == (len(left) > 1)


def test_nobody_is_asked_about_a_user_who_has_no_keys_or_must_stay(old: Site) -> None:
    old.database.add_user("dave", is_superuser=False)
    assert "[y/N]" not in run_at_terminal(old, "user", "deactivate", "dave").text
    with Terminal(old, "user", "deactivate", "langflow") as terminal:
        terminal.finish(5)
    assert "[y/N]" not in terminal.text


@pytest.mark.parametrize(("release", "open_keys"), [("1.9", 3), ("1.10", 1), ("1.11", 0)])
def test_only_keys_that_the_server_would_let_in_are_counted(
    site_of: Callable[[str], Site], release: str, open_keys: int
) -> None:
    site = site_of(release)
    bob = site.database.add_user("bob")
    site.database.add_key(bob, "active")
    site.database.add_key(bob, "inactive", is_active=False)
    site.database.add_key(bob, "expired", expires_at=ago(days=1))
    said = site.call("user", "deactivate", "bob").done().stderr
    if open_keys:
        assert f"'bob' has {open_keys} API key" in said
    else:
        assert "run flows" not in said


# For start-up scripts


def test_a_user_who_is_missing_is_made_and_one_who_is_there_is_left(site: Site) -> None:
    line = ("user", "create", "ops", "--superuser", "--password-file", "-", "--if-missing")
    made = site.call(*line, "--json", stdin=PASSWORD).done().json()
    assert (made["username"], made["changed"]) == ("ops", True)
    before = site.database.content()
    # A second start has a different password, or none at all: this does not matter.
    for again in (line, ("user", "create", "ops", "--superuser", "--if-missing")):
        result = site.call(*again, "--json", stdin=WRONG_PASSWORD).done()
        assert (result.json()["id"], result.json()["changed"]) == (made["id"], False)
    assert site.call("user", "create", "ops", "--random", "--if-missing").done().rows[0][1] == "ops"
    assert site.database.content() == before
    site.call("user", "create", "new", "--if-missing").failed(2, "password")
    site.call("user", "create", "OPS", "--random", "--if-missing").failed(5, "ops")


def test_what_is_not_as_it_was_asked_for_is_said(site: Site) -> None:
    site.database.add_user("alice", is_superuser=False, is_active=False)
    result = site.call("user", "create", "alice", "--superuser", "--if-missing", "--random").done()
    assert "langkeys user promote alice" in result.stderr
    assert "inactive" in result.stderr
