from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from langkeys import errors

from ..support.databases import SHAPES, ago
from ..support.samples import OTHER_SECRET_KEY, PASSWORD, WRONG_PASSWORD, encrypted, new_api_key
from ..support.sites import Result, Site

# The codes that the contract fixes.
CODES = {
    "failed": 1,
    "declined": 1,
    "usage": 2,
    "config": 2,
    "unsupported": 2,
    "not_found": 3,
    "ambiguous": 3,
    "unauthenticated": 4,
    "forbidden": 4,
    "invalid_key": 4,
    "conflict": 5,
    "store": 6,
    "secret_key": 7,
    "interrupted": 130,
}


def test_the_errors_are_those_of_the_contract() -> None:
    found = {
        error.code: error.exit_code
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.LangkeysError)
    }
    assert found == CODES


@dataclass
class Case:
    """A command line that fails, and the preparation of the site for it."""

    code: str
    arguments: tuple[str, ...]
    prepare: Callable[[Site], object] = lambda site: None
    settings: dict[str, str | None] = field(default_factory=dict)
    stdin: str = ""
    has_hint: bool = True


def _owner(site: Site) -> str:
    return str(site.database.rows("SELECT id FROM user")[0][0])


def _two_of_one_name(site: Site) -> None:
    for _ in range(2):
        site.database.add_key(_owner(site), "ci")


def _refusing_trigger(site: Site) -> None:
    site.database.rows(
        "CREATE TRIGGER refuse BEFORE INSERT ON apikey BEGIN SELECT RAISE(ABORT, 'exists'); END"
    )


def _key_under_another_secret(site: Site) -> None:
    site.database.add_key(_owner(site), secret_key=OTHER_SECRET_KEY)


def _variable_under_another_secret(site: Site) -> None:
    site.database.add_variable(_owner(site), "TOKEN", encrypted("x", OTHER_SECRET_KEY))


def _no_superuser(site: Site) -> None:
    site.database.rows("UPDATE user SET is_superuser = 0")


def _an_old_generation(site: Site) -> None:
    old = SHAPES["1.9"]
    for statement in (
        "UPDATE user SET username = 'langflow'",
        "ALTER TABLE apikey DROP COLUMN expires_at",
        "ALTER TABLE variable DROP COLUMN is_environment_managed",
        f"UPDATE alembic_version SET version_num = '{old.revision}'",
    ):
        site.database.rows(statement)


PASSWORD_ONLY = {"LANGFLOW_AUTO_LOGIN": "false"}
CASES = {
    "a file to read that is missing": Case(
        "failed", ("whoami", "--api-key-file", "missing"), has_hint=True
    ),
    "an unknown option": Case("usage", ("api-key", "list", "--nonsense")),
    "an unknown command": Case("usage", ("nonsense",)),
    "an unknown verb": Case("usage", ("api-key", "nonsense")),
    "a missing argument": Case("usage", ("api-key", "show")),
    "a value that is no number": Case("usage", ("api-key", "list", "--limit", "many")),
    "a number below the least": Case("usage", ("api-key", "create", "--count", "0")),
    "a number beyond SQLite's": Case("usage", ("api-key", "list", "--offset", "9" * 25)),
    "a choice that is none": Case("usage", ("api-key", "list", "--status", "sleepy")),
    "a span that is none": Case("usage", ("api-key", "list", "--unused-for", "long")),
    "a time that has passed": Case(
        "usage", ("api-key", "create", "--expires", "2020-01-01"), has_hint=False
    ),
    "options that exclude each other": Case(
        "usage", ("api-key", "list", "--user", "x", "--all-users"), has_hint=False
    ),
    "revoking without a terminal and --yes": Case(
        "usage", ("api-key", "revoke", "sample"), lambda site: site.database.add_key(_owner(site))
    ),
    "nothing on stdin": Case("usage", ("api-key", "show", "-"), has_hint=False),
    "a boolean that is none": Case(
        "config", ("api-key", "list"), settings={"LANGFLOW_AUTO_LOGIN": "maybe"}
    ),
    "a boolean that is none, and not needed": Case(
        "config", ("api-key", "list"), settings={"LANGFLOW_FALLBACK_TO_ENV_VAR": "maybe"}
    ),
    "a missing settings file": Case("config", ("whoami", "--env-file", "missing.env")),
    "a malformed settings file": Case(
        "config", ("whoami",), lambda site: site.write_env("LANGFLOW_URL x\n")
    ),
    "a database URL that names no file": Case("config", ("whoami", "--database", "sqlite://")),
    "no address for --remote": Case("config", ("whoami", "--remote")),
    "another database engine": Case("unsupported", ("whoami", "--database", "mysql://h/d")),
    "an expiry on an old generation": Case(
        "unsupported", ("api-key", "create", "--expires", "1d"), _an_old_generation
    ),
    "a key that is not there": Case("not_found", ("api-key", "show", "nothing")),
    "an owner who is not there": Case("not_found", ("api-key", "create", "--user", "nobody")),
    "a whole key that is not there": Case(
        "not_found", ("api-key", "show", "-"), stdin=new_api_key()
    ),
    "an argument of bytes that are no text": Case(
        "usage", ("api-key", "show", "\udcff"), has_hint=False
    ),
    "two keys of one name": Case("ambiguous", ("api-key", "show", "ci"), _two_of_one_name),
    "no password": Case("unauthenticated", ("api-key", "list"), settings=PASSWORD_ONLY),
    "a wrong password": Case(
        "unauthenticated",
        ("api-key", "list"),
        settings={**PASSWORD_ONLY, "LANGFLOW_SUPERUSER_PASSWORD": WRONG_PASSWORD},
    ),
    "an unknown superuser": Case(
        "unauthenticated",
        ("api-key", "list"),
        settings={
            **PASSWORD_ONLY,
            "LANGFLOW_SUPERUSER": "nobody",
            "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD,
        },
    ),
    "a user who is no superuser": Case("forbidden", ("api-key", "list"), _no_superuser),
    "an unknown key to act by": Case(
        "invalid_key", ("api-key", "list"), settings={"LANGKEYS_API_KEY": new_api_key()}
    ),
    "an unknown key presented": Case(
        "invalid_key", ("whoami", "--api-key", "-"), stdin=new_api_key()
    ),
    "a constraint of the database": Case(
        "conflict", ("api-key", "create"), _refusing_trigger, has_hint=False
    ),
    "no database": Case("store", ("api-key", "list", "--database", "missing.db")),
    "an empty database": Case(
        "store",
        ("api-key", "list", "--database", "empty.db"),
        lambda site: (site.folder / "empty.db").touch(),
    ),
    "a text file for a database": Case(
        "store",
        ("api-key", "list", "--database", "text.db"),
        lambda site: (site.folder / "text.db").write_text("nothing but text\n" * 99),
    ),
    "a folder for a database": Case(
        "store", ("api-key", "list", "--database", "."), has_hint=False
    ),
    "a truncated database": Case(
        "store", ("api-key", "list"), lambda site: os.truncate(site.database.path, 5000)
    ),
    "no secret key": Case(
        "secret_key", ("api-key", "create"), settings={"LANGFLOW_SECRET_KEY": None}
    ),
    "a missing file of the secret key": Case(
        "secret_key",
        ("api-key", "create"),
        settings={"LANGFLOW_SECRET_KEY": None, "LANGFLOW_SECRET_KEY_FILE": "missing"},
    ),
    "a secret key that is no Fernet key": Case(
        "secret_key", ("api-key", "create"), settings={"LANGFLOW_SECRET_KEY": "x" * 40}
    ),
    "another secret key than that of the keys": Case(
        "secret_key", ("api-key", "create"), _key_under_another_secret
    ),
    "another secret key than that of the variables": Case(
        "secret_key", ("api-key", "create"), _variable_under_another_secret
    ),
}


def failing(site: Site, case: Case, *more: str) -> Result:
    case.prepare(site)
    arguments = (*case.arguments, *more)
    result = site.call(*arguments, stdin=case.stdin, **case.settings)
    return result.failed(CODES[case.code])


def test_every_error_is_tried_here_or_at_a_terminal() -> None:
    # The two that need a terminal are in tests/cli/test_prompts.py.
    assert {case.code for case in CASES.values()} | {"declined", "interrupted"} == set(CODES)


@pytest.mark.parametrize("name", CASES)
def test_an_error_says_what_went_wrong_and_the_next_step(site: Site, name: str) -> None:
    case = CASES[name]
    lines = failing(site, case).stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines[0]) > len("error: 123456789")
    assert lines[-1].startswith("hint: ") == case.has_hint
    assert not any(line.startswith(("error: ", "hint: ")) for line in lines[1:-1])


@pytest.mark.parametrize("name", CASES)
def test_an_error_in_json_is_one_object_on_stderr(site: Site, name: str) -> None:
    case = CASES[name]
    result = failing(site, case, "--json")
    error = json.loads(result.stderr)["error"]
    reason = ["reason"] if case.code == "invalid_key" else []
    assert list(error) == ["code", "message", "hint", *reason]
    assert error["code"] == case.code
    assert error["message"]
    assert bool(error["hint"]) == case.has_hint


@pytest.mark.parametrize("name", ["a key that is not there", "no database", "a wrong password"])
def test_an_error_is_the_same_from_a_process_of_its_own(site: Site, name: str) -> None:
    case = CASES[name]
    case.prepare(site)
    result = site.run(*case.arguments, stdin=case.stdin, **case.settings)
    assert result == site.call(*case.arguments, stdin=case.stdin, **case.settings)
    assert result.code == CODES[case.code]


def test_an_error_with_candidates_lists_them_on_stderr(site: Site) -> None:
    _two_of_one_name(site)
    result = site.call("api-key", "show", "ci").failed(3)
    assert len([line for line in result.stderr.splitlines() if line.startswith("  ")]) == 2
    described = json.loads(site.call("api-key", "show", "ci", "--json").failed(3).stderr)
    assert len(described["candidates"]) == 2


def test_a_warning_before_an_error_keeps_the_json_one_object(site: Site) -> None:
    site.write_env("AUTO_LOGIN=true\n")
    described = json.loads(site.call("api-key", "show", "nothing", "--json").failed(3).stderr)
    assert described["error"]["code"] == "not_found"
    assert "LANGFLOW_AUTO_LOGIN" in json.dumps(described["warnings"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LANGFLOW_SUPERUSER_PASSWORD", "\udcff"),
        ("LANGKEYS_API_KEY", "sk-\udcff"),
        ("LANGFLOW_SECRET_KEY", "\udcff" * 9),
        ("LANGFLOW_SECRET_KEY", "\udcff" * 40),
        ("LANGFLOW_SUPERUSER", "\udcff"),
    ],
    ids=["password", "key to act by", "short secret key", "long secret key", "superuser"],
)
def test_a_setting_of_bytes_that_are_no_text_is_refused_in_words(
    site: Site, name: str, value: str
) -> None:
    # Environment variables are bytes; Python decodes invalid UTF-8 as lone surrogates.
    settings = {**PASSWORD_ONLY} if name == "LANGFLOW_SUPERUSER_PASSWORD" else {}
    result = site.call("api-key", "create", "--json", **{**settings, name: value})
    assert result.code in (2, 4, 7)
    assert result.stdout == ""
    assert name in result.error["message"]
    assert site.database.key_ids() == []


def test_a_key_on_stdin_of_bytes_that_are_no_text_is_refused_in_words(site: Site) -> None:
    for arguments in (("api-key", "show", "-"), ("whoami", "--api-key", "-")):
        result = site.run(*arguments, stdin=b"sk-\xff\xfe" + b"x" * 40 + b"\n")
        assert result.code in (2, 3, 4)
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")


def test_an_expired_key_to_act_by_is_named_as_expired(site: Site) -> None:
    key = site.database.add_key(_owner(site), expires_at=ago(days=1))
    result = site.call("api-key", "list", "--json", LANGKEYS_API_KEY=key.plaintext).failed(4)
    assert "expired" in result.error["message"]


def test_an_unsupported_generation_is_refused(site: Site) -> None:
    # Older than 1.5: without the columns of later versions, and with an unknown revision.
    _an_old_generation(site)
    for statement in (
        "DROP INDEX ix_apikey_api_key_hash",
        "ALTER TABLE apikey DROP COLUMN api_key_hash",
        "DROP TABLE sso_config",
        "UPDATE alembic_version SET version_num = '0123456789ab'",
    ):
        site.database.rows(statement)
    assert site.call("api-key", "list", "--json").failed(2).error["code"] == "unsupported"


_IN_NO_FOLDER = (
    "import os; os.rmdir(os.getcwd()); from langkeys.cli import main; raise SystemExit(main())"
)


def test_a_working_folder_that_is_gone_is_an_error_in_words(empty_site: Site) -> None:
    for arguments in (("init",), ("api-key", "list", "--database", "relative.db")):
        gone = empty_site.folder / "gone"
        gone.mkdir()
        result = Site(gone).run(*arguments, command=(sys.executable, "-c", _IN_NO_FOLDER))
        assert result.code in (1, 2, 6)
        assert result.stderr.startswith("error: ")
