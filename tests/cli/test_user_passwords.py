"""user create and user set-password: sources of a password, and its delivery."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from langkeys.crypto import passwords

from ..conftest import SUPERUSER
from ..support.databases import Database
from ..support.samples import PASSWORD, WRONG_PASSWORD, assert_no_secret, new_api_key
from ..support.sites import Result, Site
from ..support.terminals import Terminal, run_at_terminal

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]
FIELDS = [
    "id",
    "username",
    "profile_image",
    "store_api_key",
    "is_active",
    "is_superuser",
    "create_at",
    "updated_at",
    "last_login_at",
    "optins",
    "api_keys",
    "variables",
]
LONG = "0123456789" * 8


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use cheap hashes in this process; other processes use the normal cost."""
    defaults = passwords.hash_password.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "rounds", 4)


@pytest.fixture(params=["create", "set-password"])
def verb(request: pytest.FixtureRequest, database: Database) -> tuple[str, ...]:
    """The command that gives alice a password, as a new or as an existing user."""
    if request.param == "set-password":
        database.add_user("alice", is_superuser=False)
    return ("user", str(request.param), "alice")


def stored(database: Database, name: str = "alice") -> str:
    ((found,),) = database.rows("SELECT password FROM user WHERE username = ?", (name,))
    return str(found)


def counts(database: Database, password: str, name: str = "alice") -> bool:
    return passwords.matches(password, stored(database, name))


# Sources


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_password_comes_on_stdin_without_its_newline(
    call: Call, database: Database, verb: tuple[str, ...], ending: str
) -> None:
    call(*verb, "--password-file", "-", stdin=f" {PASSWORD}  {ending}").done()
    assert counts(database, f" {PASSWORD}  ")


def test_a_password_comes_from_a_file(site: Site, verb: tuple[str, ...]) -> None:
    (site.folder / "password").write_text(f"{PASSWORD}\n")
    site.call(*verb, "--password-file", "password").done()
    assert counts(site.database, PASSWORD)


@pytest.mark.parametrize("content", ["", "\n", "langflow", "langflow\n", "one\ntwo\n", "a\0b"])
def test_a_password_that_nobody_should_have_is_refused_and_nothing_is_written(
    site: Site, verb: tuple[str, ...], content: str
) -> None:
    before = site.database.digest()
    (site.folder / "password").write_text(content)
    assert site.call(*verb, "--password-file", "password").code in (1, 2)
    site.call(*verb, "--password-file", "-", stdin=content).failed(2)
    assert site.database.digest() == before


def test_a_password_file_that_cannot_be_read_is_named(site: Site, verb: tuple[str, ...]) -> None:
    site.call(*verb, "--password-file", "missing").failed(1, "missing")
    (site.folder / "bytes").write_bytes(b"\xff\xfe")
    site.call(*verb, "--password-file", "bytes").failed(1, "bytes", "UTF-8")


def test_without_a_password_or_a_terminal_nothing_is_done(
    call: Call, database: Database, verb: tuple[str, ...]
) -> None:
    before = database.digest()
    result = call(*verb, "--json", stdin=f"{PASSWORD}\n{PASSWORD}\n").failed(2)
    assert result.error["code"] == "usage"
    assert "--password-file" in result.error["hint"]
    call(*verb, "--random", "--password-file", "-", stdin=PASSWORD).failed(
        2, "cannot be used together"
    )
    assert database.digest() == before


def test_a_password_is_no_argument(call: Call, verb: tuple[str, ...]) -> None:
    call(*verb, PASSWORD).failed(2)
    call(*verb, "--password", PASSWORD).failed(2)


def test_at_a_terminal_it_is_asked_for_twice_whatever_stdout_is(
    site: Site, verb: tuple[str, ...]
) -> None:
    with Terminal(site, *verb, piped=True) as terminal:
        terminal.expect("New password for alice: ")
        terminal.send(f"{PASSWORD}\n")
        terminal.expect("Repeat the password: ")
        terminal.send(f"{PASSWORD}\n")
        terminal.finish()
        assert terminal.is_restored
    assert terminal.stdout.split("\t")[1] == "alice"
    assert counts(site.database, PASSWORD)


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ([PASSWORD, WRONG_PASSWORD], "do not match"),
        ([PASSWORD, ""], "do not match"),
        ([""], "empty"),
        (["langflow"], "langflow"),
    ],
)
def test_what_is_typed_wrong_changes_nothing(
    site: Site, verb: tuple[str, ...], typed: list[str], word: str
) -> None:
    before = site.database.digest()
    with Terminal(site, *verb, piped=True) as terminal:
        for prompt, text in zip(
            ("New password for alice: ", "Repeat the password: "), typed, strict=False
        ):
            terminal.expect(prompt)
            terminal.send(f"{text}\n")
        terminal.finish(2)
    assert word in terminal.text
    assert terminal.stdout == ""
    assert site.database.digest() == before


def test_the_end_of_a_very_long_password_does_not_count_and_that_is_said(
    call: Call, database: Database, verb: tuple[str, ...]
) -> None:
    result = call(*verb, "--password-file", "-", stdin=LONG).done()
    assert "warning: the password is longer than 72 bytes" in result.stderr
    assert counts(database, LONG[:72])
    assert LONG[:20] not in result.stderr


# Delivery


def test_a_password_that_is_made_up_is_alone_in_a_pipe(
    run: Call, database: Database, verb: tuple[str, ...]
) -> None:
    result = run(*verb, "--random").done()
    password = result.stdout.removesuffix("\n")
    assert len(password) == 32
    assert counts(database, password)
    assert stored(database).startswith("$2b$12$")
    assert password not in result.stderr
    assert "alice" in result.stderr


def test_a_password_that_is_made_up_is_the_last_field_in_json(
    call: Call, database: Database, verb: tuple[str, ...]
) -> None:
    described = call(*verb, "--random", "--json").done().json()
    assert [name for name in described if name != "optins"] == [
        *(name for name in FIELDS if name != "optins"),
        "password",
    ]
    assert counts(database, described["password"])


def test_a_password_that_was_given_is_never_shown(site: Site, verb: tuple[str, ...]) -> None:
    result = site.call(*verb, "--password-file", "-", "--json", stdin=PASSWORD).done()
    assert_no_secret(result.stdout)
    assert "password" not in result.json()


def test_at_a_terminal_a_panel_shows_it_once(site: Site, verb: tuple[str, ...]) -> None:
    terminal = run_at_terminal(site, *verb, "--random")
    assert "Password for alice, shown only once" in terminal.text
    (line,) = (
        line.strip()
        for line in terminal.text.splitlines()
        if len(line.strip()) == 32 and set(line.strip()) != {"─"}
    )
    assert counts(site.database, line)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_password_that_nobody_received_is_taken_back(
    site: Site, verb: tuple[str, ...], options: tuple[str, ...]
) -> None:
    undone = {
        "create": "the new user has been removed again",
        "set-password": "the old password is valid again",
    }[verb[1]]
    before = site.database.content()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone, Path("/dev/full").open("wb") as full:
        for out in (gone, full):
            result = site.run(*verb, "--random", *options, stdout=out)
            assert result.code == 1
            assert undone in result.stderr
            assert "when the cause is fixed, try again" in result.stderr
            assert site.database.content() == before


# Refusals


@pytest.mark.parametrize("case", ["acting", "reader"])
def test_where_langkeys_may_not_write_there_is_no_new_password(
    site: Site, database: Database, superuser: str, verb: tuple[str, ...], case: str
) -> None:
    database.add_key(superuser)
    key = database.add_key(database.add_user("reader", is_superuser=False)).plaintext
    settings, code = {
        "acting": ({"LANGKEYS_API_KEY": new_api_key()}, 4),
        "reader": ({"LANGKEYS_API_KEY": key}, 4),
    }[case]
    before = database.digest()
    site.call(*verb, "--random", **settings).failed(code)
    assert database.digest() == before


def test_a_name_that_is_taken_is_a_conflict_before_a_password_is_asked_for(site: Site) -> None:
    before = site.database.digest()
    result = site.call("user", "create", SUPERUSER.upper(), "--random", "--json").failed(5)
    assert result.error["code"] == "conflict"
    assert SUPERUSER in result.error["message"]
    with Terminal(site, "user", "create", SUPERUSER) as terminal:
        terminal.finish(5)
    assert "New password" not in terminal.text
    assert site.database.digest() == before


def test_of_ten_that_make_one_user_at_once_one_does(site: Site, database: Database) -> None:
    database.use_wal()
    names = ["alice", "Alice", "ALICE", "aLICE", "alicE"] * 2
    processes = [
        site.spawn("user", "create", name, "--random", stdout=subprocess.DEVNULL) for name in names
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0] + [5] * 9, errors
    assert database.rows("SELECT count(*) FROM user WHERE lower(username) = 'alice'") == [(1,)]


def test_the_password_of_somebody_whom_nobody_knows_is_not_set(call: Call) -> None:
    assert call("user", "set-password", "nobody", "--random", "--json").failed(3).error["code"] == (
        "not_found"
    )


def test_a_user_is_named_by_id_too(call: Call, database: Database, superuser: str) -> None:
    password = call("user", "set-password", superuser, "--random").done().stdout.strip()
    assert counts(database, password, SUPERUSER)


def test_a_superuser_is_made_where_that_is_asked_for(call: Call, database: Database) -> None:
    call("user", "create", "plain", "--random").done()
    call("user", "create", "super", "--superuser", "--random").done()
    assert database.rows("SELECT username, is_superuser FROM user ORDER BY username") == [
        (SUPERUSER, 1),
        ("plain", 0),
        ("super", 1),
    ]


# Messages


def test_the_setting_that_is_stale_now_is_named_and_langkeys_acts_by_the_new_one(
    site: Site,
) -> None:
    site.settings["LANGFLOW_AUTO_LOGIN"] = "false"
    site.write_env(f"LANGFLOW_SUPERUSER_PASSWORD='{PASSWORD}'\n")
    password = site.folder / "new"
    password.write_text("another-password-of-the-superuser")
    arguments = ("user", "set-password", SUPERUSER, "--password-file", "new")
    result = site.call(*arguments).done()
    assert f"LANGFLOW_SUPERUSER_PASSWORD ({site.folder / '.env'}) is out of date" in result.stderr
    site.call("user", "list").failed(4)
    site.call("user", "list", LANGFLOW_SUPERUSER_PASSWORD=password.read_text()).done()
    # If the new password is that of the setting, the setting is not out of date.
    result = site.call(
        "user",
        "set-password",
        SUPERUSER,
        "--password-file",
        "-",
        stdin=PASSWORD,
        LANGFLOW_SUPERUSER_PASSWORD=password.read_text(),
    ).done()
    assert "(environment) is out of date" in result.stderr
    result = site.call("user", "set-password", SUPERUSER, "--password-file", "-", stdin=PASSWORD)
    assert "is out of date" not in result.done().stderr


def test_an_inactive_user_with_a_new_password_is_still_out(call: Call, database: Database) -> None:
    database.add_user("alice", is_active=False)
    assert "alice is inactive" in call("user", "set-password", "alice", "--random").done().stderr


def test_a_superuser_whom_servers_delete_is_warned_about(
    site_of: Callable[[str], Site],
) -> None:
    site = site_of("1.8")
    site.database.rows("DELETE FROM user WHERE username = 'langflow'")
    site.settings |= {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD}
    result = site.call("user", "create", "langflow", "--superuser", "--random").done()
    assert "warning: with LANGFLOW_AUTO_LOGIN=false Langflow 1.8 servers delete" in result.stderr
