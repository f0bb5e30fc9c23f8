"""doctor finds each problem, even if there are several, and writes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from ..support.databases import Database, ago
from ..support.other_users import SERVER, give, needs_root
from ..support.samples import OTHER_SECRET_KEY, PASSWORD, SECRET_KEY, WRONG_PASSWORD, encrypted
from ..support.sites import Result, Site

Run = Callable[..., Result]


def _report(result: Result, code: int) -> dict[str, Any]:
    assert result.code == code, result
    report = result.json()
    assert report["ok"] is (code == 0)
    return dict(report)


def _messages(report: dict[str, Any], level: str, section: str | None = None) -> list[str]:
    return [
        finding["message"]
        for finding in report["findings"]
        if finding["level"] == level and section in (None, finding["section"])
    ]


@pytest.fixture
def by_password(site: Site) -> Site:
    """A site as recommended: AUTO_LOGIN is off, and the superuser has a password."""
    site.settings |= {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD}
    return site


def test_a_sound_deployment_has_no_problem(
    by_password: Site, database: Database, superuser: str
) -> None:
    database.add_key(superuser)
    database.add_variable(superuser, "OPENAI_API_KEY", encrypted("value"))
    report = _report(by_password.call("doctor", "--json"), 0)
    assert _messages(report, "problem") == []
    assert report["generation"]["release"] == "1.13"
    assert report["acting"]["username"] == "administrator"
    assert report["encrypted"] == {
        "apikey.api_key": {"opens": 1, "fails": 0},
        "variable.value": {"opens": 1, "fails": 0},
    }
    assert report["counts"]["API keys"] == 1


def test_every_setting_shows_with_its_source_and_secrets_as_fingerprints(
    by_password: Site,
) -> None:
    by_password.write_env("LANGFLOW_URL=http://u:hidden-word@localhost:7860\n")
    result = by_password.call("doctor", "--json")
    settings = {item["name"]: item for item in _report(result, 0)["settings"]}
    assert settings["LANGFLOW_SECRET_KEY"]["value"].startswith("fingerprint ")
    assert settings["LANGFLOW_SUPERUSER_PASSWORD"]["value"].startswith("fingerprint ")
    assert settings["LANGFLOW_AUTO_LOGIN"] == {
        "name": "LANGFLOW_AUTO_LOGIN", "value": "false", "source": "environment",
    }  # fmt: skip
    assert settings["LANGFLOW_URL"]["source"] == str(by_password.folder / ".env")
    assert settings["LANGKEYS_API_KEY"]["value"] is None
    for secret in (SECRET_KEY, PASSWORD, "hidden-word"):
        assert secret not in result.stdout + result.stderr


def test_each_value_that_does_not_open_is_named_by_table_row_and_name(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "fine")
    closed = database.add_key(superuser, "closed", secret_key=OTHER_SECRET_KEY)
    database.add_variable(superuser, "TOKEN", encrypted("x", OTHER_SECRET_KEY))
    report = _report(call("doctor", "--json"), 1)
    problems = _messages(report, "problem", "encrypted")
    assert any(f"apikey.api_key of row {closed.dashed} (closed)" in text for text in problems)
    assert any("variable.value" in text and "(TOKEN)" in text for text in problems)
    assert report["encrypted"]["apikey.api_key"] == {"opens": 1, "fails": 1}


@pytest.mark.parametrize(
    ("settings", "section", "words"),
    [
        (
            {"LANGFLOW_SECRET_KEY": OTHER_SECRET_KEY},
            "secret key",
            "cannot decrypt the only encrypted value",
        ),
        ({"LANGFLOW_SECRET_KEY": None}, "secret key", "no secret key"),
        ({"LANGFLOW_SECRET_KEY": "x" * 40}, "secret key", "not a valid Fernet key"),
        ({"LANGFLOW_SUPERUSER_PASSWORD": WRONG_PASSWORD}, "acting", "wrong name or password"),
        ({"LANGFLOW_SUPERUSER": "nobody"}, "acting", "wrong name or password"),
        ({"LANGFLOW_SUPERUSER": "nobody", "LANGFLOW_SUPERUSER_PASSWORD": None}, "acting", "nobody"),
        ({"LANGKEYS_API_KEY": "sk-wrong"}, "acting", "not valid"),
        ({"LANGFLOW_AUTO_LOGIN": "perhaps"}, "settings", "LANGFLOW_AUTO_LOGIN"),
        ({"LANGFLOW_DATABASE_URL": "sqlite:///nowhere.db"}, "database", "nowhere.db"),
    ],
)
def test_it_works_with_what_is_wrong_and_says_which(
    by_password: Site,
    database: Database,
    superuser: str,
    settings: dict[str, str | None],
    section: str,
    words: str,
) -> None:
    database.add_key(superuser)
    before = database.content()
    report = _report(by_password.call("doctor", "--json", **settings), 1)
    assert any(words in text for text in _messages(report, "problem", section)), report["findings"]
    assert database.content() == before


def test_a_locked_database_is_said_to_be_locked(by_password: Site, database: Database) -> None:
    with closing(sqlite3.connect(database.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        report = _report(by_password.call("doctor", "--json"), 1)
    assert any("locked" in text for text in _messages(report, "problem", "database"))


def test_a_missing_password_is_a_note_and_nobody_is_asked(by_password: Site) -> None:
    report = _report(by_password.call("doctor", "--json", LANGFLOW_SUPERUSER_PASSWORD=None), 0)
    assert any("asked for" in text for text in _messages(report, "note", "acting"))


def test_an_unknown_newer_revision_is_a_note(by_password: Site, database: Database) -> None:
    database.rows("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    report = _report(by_password.call("doctor", "--json"), 0)
    assert any("ffffffffffff" in text for text in _messages(report, "note", "database"))


def test_secret_files_that_others_can_read_are_problems_and_the_database_a_note(
    by_password: Site,
) -> None:
    (by_password.folder / "langflow.db").chmod(0o644)
    report = _report(by_password.call("doctor", "--json"), 0)
    assert any("langflow.db" in text for text in _messages(report, "note", "files"))
    env = by_password.write_env(f"LANGFLOW_SUPERUSER_PASSWORD='{PASSWORD}'\n")
    env.chmod(0o644)
    report = _report(by_password.call("doctor", "--json"), 1)
    assert any(str(env) in text for text in _messages(report, "problem", "files"))
    env.chmod(0o640)
    assert _messages(_report(by_password.call("doctor", "--json"), 0), "problem") == []


def test_a_newline_at_the_end_of_the_secret_key_file_is_a_problem(by_password: Site) -> None:
    config = by_password.folder / "config"
    config.mkdir()
    path = config / "secret_key"
    path.write_text(SECRET_KEY + "\n")
    path.chmod(0o600)
    settings = {"LANGFLOW_SECRET_KEY": None, "LANGFLOW_CONFIG_DIR": str(config)}
    report = _report(by_password.call("doctor", "--json", **settings), 1)
    assert any("newline" in text for text in _messages(report, "problem", "secret key"))


def test_plaintext_keys_are_a_problem_only_where_the_server_encrypts(
    site_of: Callable[[str], Site],
) -> None:
    site = site_of("1.7")
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    site.database.add_key(owner)
    report = _report(site.call("doctor", "--json"), 0)
    assert any("plaintext" in text for text in _messages(report, "note", "API keys"))


def test_a_plaintext_key_left_from_before_1_8_is_a_problem(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, at_rest="plaintext", hashed=False)
    report = _report(call("doctor", "--json"), 1)
    assert any("plaintext" in text for text in _messages(report, "problem", "API keys"))


def test_keys_of_the_account_that_servers_remove_are_at_risk(
    by_password: Site, database: Database
) -> None:
    database.add_key(database.add_user("langflow"), "doomed")
    report = _report(by_password.call("doctor", "--json"), 1)
    assert any("at risk" in text for text in _messages(report, "problem", "API keys"))
    database.rows(
        "UPDATE user SET last_login_at = '2026-01-01 00:00:00.000000' WHERE username = 'langflow'"
    )
    _report(by_password.call("doctor", "--json"), 0)


@pytest.mark.parametrize(
    ("release", "settings", "words", "absent"),
    [
        ("1.13", {}, ["is false"], ["anybody"]),
        ("1.12", {"LANGFLOW_AUTO_LOGIN": None}, ["own default", "anybody"], ["without a key"]),
        ("1.5", {"LANGFLOW_AUTO_LOGIN": "true"}, ["anybody", "without a key", "MCP"], []),
        ("1.6", {"LANGFLOW_AUTO_LOGIN": "true"}, ["anybody", "MCP"], ["without a key run"]),
        (
            "1.13",
            {"LANGFLOW_AUTO_LOGIN": "true", "LANGFLOW_SKIP_AUTH_AUTO_LOGIN": "true"},
            ["anybody", "without a key run"],
            ["MCP"],
        ),
        ("1.8", {"LANGFLOW_AUTO_LOGIN": "false"}, ["webhooks"], ["MCP", "anybody"]),
        (
            "1.13",
            {"LANGFLOW_API_KEY_SOURCE": "env", "LANGFLOW_API_KEY": "sk-of-the-environment"},
            ["LANGFLOW_API_KEY acts as administrator"],
            [],
        ),
        ("1.5", {"LANGFLOW_API_KEY_SOURCE": "env"}, ["has no effect"], []),
    ],
)
def test_it_says_who_could_call_the_server_without_a_key(
    site_of: Callable[[str], Site],
    release: str,
    settings: dict[str, str | None],
    words: list[str],
    absent: list[str],
) -> None:
    site = site_of(release)
    site.settings |= {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD}
    result = site.call("doctor", "--json", **settings)
    text = " ".join(
        item["message"] for item in result.json()["findings"] if item["section"] == "access"
    )
    for word in words:
        assert word in text
    for word in absent:
        assert word not in text


def test_an_inactive_key_is_a_problem_where_the_server_lets_it_in(
    site_of: Callable[[str], Site],
) -> None:
    site = site_of("1.8")
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    site.database.add_key(owner, is_active=False)
    report = _report(site.call("doctor", "--json"), 1)
    assert any("accepts them" in text for text in _messages(report, "problem", "API keys"))


def test_piped_it_is_one_row_a_finding_and_exit_1_still_prints(
    call: Run, database: Database, superuser: str
) -> None:
    database.add_key(superuser, expires_at=ago(days=1), secret_key=OTHER_SECRET_KEY)
    result = call("doctor")
    assert result.code == 1
    assert {row[1] for row in result.rows} <= {"setting", "ok", "note", "problem"}
    assert all(len(row) == 4 for row in result.rows)
    assert result.stderr == ""


@pytest.mark.parametrize("secret_key", [OTHER_SECRET_KEY, None, "x" * 40])
def test_a_lost_secret_key_is_one_finding_and_the_first(
    call: Run, database: Database, superuser: str, secret_key: str | None
) -> None:
    for number in range(3):
        database.add_key(superuser, f"key-{number}")
    report = _report(call("doctor", "--json", LANGFLOW_SECRET_KEY=secret_key), 1)
    first = report["findings"][0]
    assert (first["section"], first["level"]) == ("secret key", "problem")
    assert "3 encrypted values" in first["message"]
    assert first["hint"].index("the old key") < first["hint"].index("revoke")
    assert first["hint"].index("revoke") < first["hint"].index("--accept-secret-key")
    assert _messages(report, "problem", "encrypted") == []
    assert report["encrypted"]["apikey.api_key"] == {"opens": 0, "fails": 3}


def test_a_malformed_secret_key_is_found_where_nothing_is_stored(call: Run) -> None:
    report = _report(call("doctor", "--json", LANGFLOW_SECRET_KEY="x" * 40), 1)
    assert any(
        "not a valid Fernet key" in text for text in _messages(report, "problem", "encrypted")
    )


@needs_root
def test_what_the_servers_user_could_not_use_is_a_problem(site: Site) -> None:
    config = site.folder / "config"
    config.mkdir(mode=0o755)
    (config / "secret_key").write_text(SECRET_KEY)
    (config / "secret_key").chmod(0o600)
    settings = {"LANGFLOW_SECRET_KEY": None, "LANGFLOW_CONFIG_DIR": str(config)}
    sound = _report(site.call("doctor", "--json", **settings), 0)
    assert _messages(sound, "problem") == []
    assert f"config folder {config}, mode 0755, of root (uid 0)" in _messages(sound, "ok", "files")
    give(site.folder, SERVER)
    problems = _messages(_report(site.call("doctor", "--json", **settings), 1), "problem")
    said = "\n".join(problems)
    for path in (config, config / "secret_key", site.database.path):
        assert str(path) in said
    assert f"cannot read the secret key {config / 'secret_key'}" in said
    assert f"cannot write to the database {site.database.path}" in said
    for path in (config, config / "secret_key", site.database.path):
        give(path, SERVER)
    assert _messages(_report(site.call("doctor", "--json", **settings), 0), "problem") == []
