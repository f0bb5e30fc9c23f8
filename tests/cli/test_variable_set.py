from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ..support import variable_rows
from ..support.databases import Database
from ..support.samples import CREDENTIAL, OTHER_SECRET_KEY, encrypted
from ..support.sites import Result, Site
from ..support.terminals import Terminal
from ..support.variable_rows import FIELDS, fields_of, get_row

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]

SET = ("variable", "set", "MY_TOKEN")


def set_from_stdin(call: Call, *more: str, stdin: str = CREDENTIAL) -> Result:
    return call(*SET, "--value-file", "-", *more, stdin=stdin)


# Sources of the value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"x", "x"),
        (b"x\n", "x"),
        (b"x\r\n", "x"),
        (b"x\n\n", "x\n"),
        (b" x ", " x "),
        (b"one\r\ntwo\n", "one\r\ntwo"),
        ("é€👩\n".encode(), "é€👩"),
    ],
)
def test_a_value_comes_from_a_file_but_for_one_newline(site: Site, data: bytes, value: str) -> None:
    (site.folder / "value").write_bytes(data)
    site.call(*SET, "--value-file", "value").done()
    assert get_row(site.database, "MY_TOKEN").plaintext == value


def test_a_value_comes_from_stdin_but_for_one_newline(site: Site) -> None:
    site.run(*SET, "--value-file", "-", stdin="one\r\ntwo é\n\n").done()
    assert get_row(site.database, "MY_TOKEN").plaintext == "one\r\ntwo é\n"


def test_a_value_comes_from_the_environment(call: Call, database: Database) -> None:
    call(*SET, "--from-env", MY_TOKEN=CREDENTIAL).done()
    assert get_row(database, "MY_TOKEN").plaintext == CREDENTIAL


def test_a_value_in_the_env_file_is_not_in_the_environment(site: Site) -> None:
    site.write_env(f"MY_TOKEN={CREDENTIAL}\n")
    site.call(*SET, "--from-env").failed(2, "MY_TOKEN", "variable import --only MY_TOKEN")


def test_a_value_is_asked_for_without_showing_it(site: Site) -> None:
    with Terminal(site, *SET) as terminal:
        terminal.expect("Value of MY_TOKEN: ")
        terminal.send(f"{CREDENTIAL}\n")
        terminal.finish()
        assert terminal.is_restored
    assert get_row(site.database, "MY_TOKEN").plaintext == CREDENTIAL


def test_no_value_at_the_prompt_sets_nothing(site: Site) -> None:
    for typed in ("\n", "\x04"):
        with Terminal(site, *SET) as terminal:
            terminal.expect("Value of MY_TOKEN: ")
            terminal.send(typed)
            terminal.finish(2)
    assert variable_rows.rows(site.database) == []


def test_without_a_value_and_a_terminal_nothing_is_done(call: Call, database: Database) -> None:
    call(*SET, stdin=CREDENTIAL).failed(2, "MY_TOKEN", "--value-file -")
    assert variable_rows.rows(database) == []


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        ((*SET, "--value-file", "-"), b"", 2),
        ((*SET, "--value-file", "-"), b"\n", 2),
        ((*SET, "--value-file", "-"), b"\xff\xfe", 2),
        ((*SET, "--value-file", "empty"), b"", 2),
        ((*SET, "--value-file", "missing"), b"", 1),
        ((*SET, "--value-file", "-", "--from-env"), b"x", 2),
        ((*SET, "--from-env"), b"", 2),
        ((*SET, "--value-file", "-", "--type", "Generic"), b"gAAAAAx", 2),
        ((*SET, "--value-file", "-", "--type", "credential"), b"x", 2),
        ((*SET, "--value-file", "-", "--apply-to", ""), b"x", 2),
        ((*SET, "--value-file", "-", "--user", "nobody"), b"x", 3),
        (("variable", "set", "", "--value-file", "-"), b"x", 2),
        (("variable", "set", "--value-file", "-"), b"x", 2),
        (("variable", "set", f"MY_TOKEN={CREDENTIAL}"), b"", 2),
        ((*SET, CREDENTIAL), b"", 2),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_is_written(
    site: Site, arguments: tuple[str, ...], stdin: bytes, code: int
) -> None:
    (site.folder / "empty").touch()
    if stdin.isascii():
        site.call(*arguments, stdin=stdin.decode()).failed(code)
    else:
        site.run(*arguments, stdin=stdin).failed(code)
    assert variable_rows.rows(site.database) == []


# Written rows, and messages


def test_it_says_what_it_wrote_and_where_and_nothing_to_stdout(
    call: Call, database: Database
) -> None:
    result = set_from_stdin(call).done()
    assert result.stdout == ""
    for word in ("created", "Credential", "MY_TOKEN", "administrator", str(database.path)):
        assert word in result.stderr
    result = set_from_stdin(call, "--type", "Generic", stdin="plain").done()
    assert "updated Generic MY_TOKEN" in result.stderr
    assert set_from_stdin(call, "--quiet", stdin="plain").done().stderr == ""


def test_json_is_the_variable_as_list_shows_it(call: Call) -> None:
    made = set_from_stdin(call, "--json", "--apply-to", "Password").done().json()
    assert list(made) == FIELDS
    assert (made["name"], made["value"], made["default_fields"], made["opens"]) == (
        "MY_TOKEN",
        None,
        ["Password"],
        True,
    )
    assert made["updated_at"] > made["created_at"]


def test_fields_to_apply_to_stay_until_others_are_given(call: Call, database: Database) -> None:
    set_from_stdin(call, "--apply-to", "Password", "--apply-to", "OpenAI API Key").done()
    assert fields_of(get_row(database, "MY_TOKEN")) == ["Password", "OpenAI API Key"]
    set_from_stdin(call).done()
    assert fields_of(get_row(database, "MY_TOKEN")) == ["Password", "OpenAI API Key"]
    set_from_stdin(call, "--apply-to", "Token").done()
    assert fields_of(get_row(database, "MY_TOKEN")) == ["Token"]


def test_a_variable_may_be_another_users(call: Call, database: Database) -> None:
    alice = database.add_user("alice", is_superuser=False)
    set_from_stdin(call, "--user", "alice").done()
    assert get_row(database, "MY_TOKEN").user_id == alice


def test_rows_that_a_server_made_twice_are_all_set(
    call: Call, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, "FLOW_ID", "", "Generic")
    variable_rows.add(database, superuser, "FLOW_ID", "", "Credential")
    result = call("variable", "set", "FLOW_ID", "--value-file", "-", stdin="x").done()
    assert "2 rows" in result.stderr
    assert [row.plaintext for row in variable_rows.rows(database)] == ["x", "x"]


@pytest.mark.parametrize("release", ["1.5", "1.6", "1.7"])
def test_a_generation_that_overwrites_it_is_warned_about(
    site_of: Callable[[str], Site], release: str
) -> None:
    site = site_of(release)
    result = set_from_stdin(site.call).done()
    assert f"a Langflow {release} server overwrites MY_TOKEN" in result.stderr
    off = {"LANGFLOW_STORE_ENVIRONMENT_VARIABLES": "false"}
    assert "warning" not in site.call(*SET, "--value-file", "-", stdin="x", **off).done().stderr


@pytest.mark.parametrize("release", ["1.8", "1.12", "1.13"])
def test_a_generation_that_keeps_it_is_not_warned_about(
    site_of: Callable[[str], Site], release: str
) -> None:
    assert "warning" not in set_from_stdin(site_of(release).call).done().stderr


def test_a_superuser_whom_servers_delete_is_warned_about(
    site_of: Callable[[str], Site],
) -> None:
    site = site_of("1.12")
    site.database.rows("UPDATE user SET last_login_at = NULL")
    key = site.database.add_key(site.database.add_user("ops")).plaintext
    by_key = {"LANGKEYS_API_KEY": key, "LANGFLOW_AUTO_LOGIN": "false"}
    arguments = (*SET, "--value-file", "-", "--user", "langflow")
    result = site.call(*arguments, stdin="x", **by_key).done()
    assert "warning: " in result.stderr
    assert "delete" in result.stderr


# Refusals


def test_a_secret_key_that_opens_nothing_writes_nothing(
    call: Call, database: Database, superuser: str
) -> None:
    token = encrypted("x", OTHER_SECRET_KEY)
    variable_rows.add(database, superuser, "OLD", token, is_encrypted=False)
    digest = database.digest()
    set_from_stdin(call).failed(7, str(database.path))
    assert database.digest() == digest


def test_who_may_not_act_sets_nothing(site: Site) -> None:
    site.database.rows("UPDATE user SET is_superuser = 0")
    set_from_stdin(site.call).failed(4)
    assert variable_rows.rows(site.database) == []


def test_processes_that_set_one_name_at_once_make_one_row(site: Site) -> None:
    processes = []
    for number in range(4):
        process = site.spawn(*SET, "--value-file", "-")
        assert process.stdin is not None
        process.stdin.write(f"value-{number}".encode())
        processes.append(process)
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert get_row(site.database, "MY_TOKEN").plaintext.startswith("value-")


def test_no_value_stands_in_the_arguments_of_a_process(site: Site) -> None:
    with Terminal(site, *SET) as terminal:
        terminal.expect("Value of MY_TOKEN: ")
        terminal.send(CREDENTIAL)
        shown = Path(f"/proc/{terminal.process.pid}/cmdline").read_bytes()
        assert CREDENTIAL.encode() not in shown
        terminal.send("\n")
        terminal.finish()
