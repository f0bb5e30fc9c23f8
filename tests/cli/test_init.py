from __future__ import annotations

import re
import signal
import stat
import sys
from pathlib import Path

import dotenv
import pytest

from ..support import databases, unprivileged
from ..support.databases import Database
from ..support.samples import OTHER_SECRET_KEY, PASSWORD, SECRET_KEY, WRONG_PASSWORD
from ..support.sites import Result, Site
from ..support.terminals import Terminal

NAMES = [
    "LANGFLOW_DATABASE_URL",
    "LANGFLOW_SECRET_KEY",
    "LANGFLOW_AUTO_LOGIN",
    "LANGFLOW_SUPERUSER",
    "LANGFLOW_SUPERUSER_PASSWORD",
    "LANGKEYS_AUDIT_LOG",
]


def env_of(site: Site) -> dict[str, str | None]:
    return dotenv.dotenv_values(site.folder / ".env")


def names_in(folder: Path) -> list[str]:
    """Return the files in a folder, except the audit log."""
    return sorted(p.name for p in folder.iterdir() if p.name != "langkeys-audit.jsonl")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def works(site: Site, **settings: str | None) -> None:
    """Assert that the first command after ``init`` creates a key that is accepted."""
    key = site.call("api-key", **settings).done().stdout
    site.call("whoami", "--api-key", "-", stdin=key, **settings).done()


# In an empty folder


def test_the_first_command_makes_a_place_and_the_second_a_key(empty_site: Site) -> None:
    result = empty_site.run("init").done()
    assert result.stdout == ""
    for word in (".env", "langflow.db", "administrator"):
        assert word in result.stderr
    assert names_in(empty_site.folder) == [".env", "langflow.db"]
    works(empty_site)


def test_the_settings_are_those_of_the_contract(empty_site: Site) -> None:
    empty_site.call("init").done()
    env = env_of(empty_site)
    assert list(env) == NAMES
    assert env["LANGFLOW_DATABASE_URL"] == f"sqlite:///{empty_site.folder}/langflow.db"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", str(env["LANGFLOW_SECRET_KEY"]))
    assert env["LANGFLOW_AUTO_LOGIN"] == "False"
    assert env["LANGFLOW_SUPERUSER"] == "administrator"
    assert len(str(env["LANGFLOW_SUPERUSER_PASSWORD"])) >= 20
    log = empty_site.folder / "langkeys-audit.jsonl"
    assert env["LANGKEYS_AUDIT_LOG"] == str(log)
    assert '"command": "init"' in log.read_text()


def test_the_settings_read_the_same_for_who_keeps_quotes(empty_site: Site) -> None:
    # docker --env-file and kubectl use everything after the = literally, systemd removes quotes.
    empty_site.call("init").done()
    lines = (empty_site.folder / ".env").read_text().splitlines()
    raw = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert raw == env_of(empty_site)
    (empty_site.folder / ".env").unlink()
    works(empty_site, **raw)


def test_no_secret_that_was_made_is_shown(empty_site: Site) -> None:
    result = empty_site.call("init").done()
    env = env_of(empty_site)
    for name in ("LANGFLOW_SECRET_KEY", "LANGFLOW_SUPERUSER_PASSWORD"):
        assert str(env[name]) not in result.stdout + result.stderr


def test_both_files_are_readable_by_the_owner_alone_under_any_umask(empty_site: Site) -> None:
    empty_site.run("init", umask=0).done()
    for path in empty_site.folder.iterdir():
        assert mode_of(path) == 0o600, path


def test_quiet_says_nothing(empty_site: Site) -> None:
    result = empty_site.call("init", "--quiet").done()
    assert (result.stdout, result.stderr) == ("", "")


def test_the_superuser_has_the_password_of_the_settings(empty_site: Site) -> None:
    empty_site.call("init").done()
    (row,) = empty_site.call("whoami", "--require-superuser").done().rows
    assert row[1] == "administrator"
    empty_site.call("whoami", LANGFLOW_SUPERUSER_PASSWORD=WRONG_PASSWORD).failed(4)
    ((stored,),) = Database(empty_site.folder / "langflow.db").rows("SELECT password FROM user")
    assert stored.startswith("$2b$12$")


# A second run


def test_run_again_it_changes_nothing_and_says_so(empty_site: Site) -> None:
    empty_site.call("init").done()
    before = {path: path.read_bytes() for path in empty_site.folder.iterdir()}
    # Nobody is authenticated: even a wrong password in the settings does not matter.
    result = empty_site.call("init", LANGFLOW_SUPERUSER_PASSWORD=WRONG_PASSWORD).done()
    assert "nothing was changed" in result.stderr
    assert {path: path.read_bytes() for path in empty_site.folder.iterdir()} == before


@pytest.mark.parametrize("release", ["1.5", "1.9", "1.13"])
def test_a_database_that_a_server_made_is_left_alone(empty_site: Site, release: str) -> None:
    database = databases.create(empty_site.folder / "langflow.db", databases.SHAPES[release])
    database.add_user("langflow")
    before = database.digest()
    empty_site.call("init").done()
    assert database.digest() == before
    assert names_in(empty_site.folder) == ["langflow.db"]


@pytest.mark.parametrize("content", [b"", b"text" * 999])
def test_a_file_in_the_databases_place_that_is_none_is_an_error(
    empty_site: Site, content: bytes
) -> None:
    path = empty_site.folder / "langflow.db"
    path.write_bytes(content)
    empty_site.call("init").failed(6, str(path))
    assert path.read_bytes() == content
    assert names_in(empty_site.folder) == ["langflow.db"]


# Existing files


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LANGFLOW_DATABASE_URL", "sqlite:///elsewhere.db"),
        ("LANGFLOW_SECRET_KEY", SECRET_KEY),
        ("LANGFLOW_AUTO_LOGIN", "true"),
        ("LANGFLOW_SUPERUSER", "ops"),
        ("LANGFLOW_SUPERUSER_PASSWORD", PASSWORD),
    ],
)
def test_what_the_environment_gives_is_used_and_not_written(
    empty_site: Site, name: str, value: str
) -> None:
    empty_site.call("init", **{name: value}).done()
    assert list(env_of(empty_site)) == [other for other in NAMES if other != name]
    works(empty_site, **{name: value})


def test_where_the_environment_gives_everything_no_env_file_is_written(empty_site: Site) -> None:
    settings = {
        "LANGFLOW_DATABASE_URL": "langflow.db",
        "LANGFLOW_SECRET_KEY": SECRET_KEY,
        "LANGFLOW_AUTO_LOGIN": "false",
        "LANGFLOW_SUPERUSER": "ops",
        "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD,
    }
    empty_site.call("init", **settings).done()
    assert names_in(empty_site.folder) == ["langflow.db"]
    works(empty_site, **settings)


def test_a_database_named_by_the_option_is_made_there_and_not_written_down(
    empty_site: Site,
) -> None:
    empty_site.call("init", "--database", "elsewhere.db").done()
    assert names_in(empty_site.folder) == [".env", "elsewhere.db"]
    assert "LANGFLOW_DATABASE_URL" not in env_of(empty_site)


def test_the_config_folder_may_hold_the_database(empty_site: Site) -> None:
    config = empty_site.folder / "config"
    settings = {"LANGFLOW_CONFIG_DIR": str(config), "LANGFLOW_SAVE_DB_IN_CONFIG_DIR": "true"}
    empty_site.call("init", **settings).done()
    assert names_in(config) == ["langflow.db"]
    assert "LANGFLOW_DATABASE_URL" not in env_of(empty_site)
    works(empty_site, **settings)


def test_a_secret_key_file_that_is_there_is_used_and_left_alone(empty_site: Site) -> None:
    (empty_site.folder / "secret_key").write_text(SECRET_KEY)
    settings = {"LANGFLOW_CONFIG_DIR": str(empty_site.folder)}
    empty_site.call("init", **settings).done()
    assert "LANGFLOW_SECRET_KEY" not in env_of(empty_site)
    assert (empty_site.folder / "secret_key").read_text() == SECRET_KEY
    works(empty_site, **settings)


def _existing_env(site: Site, *lines: str) -> str:
    text = "".join(f"{line}\n" for line in ("LANGFLOW_SUPERUSER=ops", *lines))
    site.write_env(text)
    return text


def test_an_env_file_that_exists_is_never_edited(empty_site: Site) -> None:
    text = _existing_env(empty_site, f"LANGFLOW_SUPERUSER_PASSWORD={PASSWORD}")
    empty_site.run("init", umask=0).done()
    assert (empty_site.folder / ".env").read_text() == text
    config = empty_site.cache / "langflow"
    assert names_in(config) == ["langflow.db", "secret_key"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", (config / "secret_key").read_text())
    assert {mode_of(path) for path in config.iterdir()} == {0o600}
    works(empty_site)


def test_a_named_settings_file_counts_as_one_that_exists(empty_site: Site) -> None:
    (empty_site.folder / "ops.env").write_text(
        "LANGFLOW_DATABASE_URL=sqlite:///langflow.db\nLANGFLOW_SUPERUSER=ops\n"
        f"LANGFLOW_SUPERUSER_PASSWORD={PASSWORD}\nLANGFLOW_SECRET_KEY={SECRET_KEY}\n"
    )
    for arguments, settings in (
        (("init", "--env-file", "ops.env"), {}),
        (("whoami",), {"LANGKEYS_ENV_FILE": "ops.env"}),
    ):
        empty_site.call(*arguments, **settings).done()
    assert names_in(empty_site.folder) == ["langflow.db", "ops.env"]


def test_a_name_without_prefix_in_an_existing_env_file_is_warned_about(empty_site: Site) -> None:
    _existing_env(empty_site, f"LANGFLOW_SUPERUSER_PASSWORD={PASSWORD}", "SECRET_KEY=x")
    result = empty_site.call("init").done()
    assert "LANGFLOW_SECRET_KEY" in result.stderr


# The password


def test_a_missing_password_without_a_terminal_is_an_error_and_nothing_is_made(
    empty_site: Site,
) -> None:
    _existing_env(empty_site)
    result = empty_site.call("init").failed(2, "password")
    assert "LANGFLOW_SUPERUSER_PASSWORD" in result.stderr
    assert names_in(empty_site.folder) == [".env"]


def test_a_missing_password_is_asked_for_twice_and_hidden(empty_site: Site) -> None:
    _existing_env(empty_site, "LANGFLOW_DATABASE_URL=langflow.db")
    with Terminal(empty_site, "init") as terminal:
        terminal.expect("superuser ops")
        terminal.send(f"{PASSWORD}\n")
        terminal.expect("Repeat")
        terminal.send(f"{PASSWORD}\n")
        terminal.finish()
        assert terminal.is_restored
    works(empty_site, LANGFLOW_SUPERUSER_PASSWORD=PASSWORD)


@pytest.mark.parametrize(
    "answers", [(PASSWORD, WRONG_PASSWORD), ("", ""), ("langflow", "langflow"), ("\x04", "\x04")]
)
def test_a_password_that_will_not_do_makes_nothing(
    empty_site: Site, answers: tuple[str, str]
) -> None:
    _existing_env(empty_site)
    with Terminal(empty_site, "init") as terminal:
        terminal.expect("superuser ops")
        terminal.send(f"{answers[0]}\n")
        if answers[0] == PASSWORD:
            terminal.expect("Repeat")
            terminal.send(f"{answers[1]}\n")
        terminal.finish(2)
    assert names_in(empty_site.folder) == [".env"]


@pytest.mark.parametrize(
    "settings",
    [
        {"LANGFLOW_SUPERUSER": "langflow"},
        {"LANGFLOW_SUPERUSER": "langflow", "LANGFLOW_AUTO_LOGIN": "false"},
        {"LANGFLOW_SUPERUSER_PASSWORD": "langflow"},
        {"LANGFLOW_AUTO_LOGIN": "maybe"},
    ],
)
def test_settings_that_servers_refuse_are_refused_and_nothing_is_made(
    empty_site: Site, settings: dict[str, str]
) -> None:
    result = empty_site.call("init", **settings).failed(2)
    assert next(iter(settings)) in result.stderr
    assert names_in(empty_site.folder) == []


def test_a_secret_key_that_no_server_can_use_is_refused_and_nothing_is_made(
    empty_site: Site,
) -> None:
    empty_site.call("init", LANGFLOW_SECRET_KEY="x" * 40).failed(7)
    assert names_in(empty_site.folder) == []


def test_a_missing_folder_is_an_error_and_nothing_is_made(empty_site: Site) -> None:
    empty_site.call("init", "--database", "missing/langflow.db").failed(6, "missing")
    assert names_in(empty_site.folder) == []


# Parallel runs, and crashes


def test_of_inits_at_once_one_makes_the_place_and_it_works(empty_site: Site) -> None:
    processes = [empty_site.spawn("init") for _ in range(6)]
    results = [
        Result(("init",), process.wait(), out.decode(), err.decode())
        for process in processes
        for out, err in (process.communicate(),)
    ]
    codes = [result.code for result in results]
    assert 0 in codes
    assert set(codes) <= {0, 5}
    assert names_in(empty_site.folder) == [".env", "langflow.db"]
    works(empty_site)
    made = [result for result in results if "created " in result.stderr and result.code == 0]
    assert len(made) == 1


_KILLED = """
import os, signal
from langkeys.store.sqlite import engine
def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)
engine.create_store = killed
from langkeys.cli import main
main()
"""


def test_a_crash_between_settings_and_database_is_completed_by_the_next_run(
    empty_site: Site,
) -> None:
    killed = empty_site.run("init", command=(sys.executable, "-c", _KILLED))
    assert killed.code == -signal.SIGKILL
    assert names_in(empty_site.folder) == [".env"]
    before = (empty_site.folder / ".env").read_text()
    empty_site.call("init").done()
    assert (empty_site.folder / ".env").read_text() == before
    works(empty_site)


def test_a_secret_key_is_not_made_anew_for_a_place_that_lost_its_database(
    empty_site: Site,
) -> None:
    empty_site.call("init").done()
    secret_key = env_of(empty_site)["LANGFLOW_SECRET_KEY"]
    (empty_site.folder / "langflow.db").unlink()
    empty_site.call("init").done()
    assert env_of(empty_site)["LANGFLOW_SECRET_KEY"] == secret_key
    works(empty_site)
    empty_site.call("api-key", LANGFLOW_SECRET_KEY=OTHER_SECRET_KEY).failed(7)


def test_a_folder_that_cannot_be_written_is_an_error_and_nothing_is_made() -> None:
    with unprivileged.reachable_folder() as folder:
        folder.chmod(0o555)
        result = Site(folder).run("init", command=unprivileged.COMMAND)
        result.failed(1, str(folder / ".env"))
        assert names_in(folder) == []


def test_a_folder_that_may_not_be_entered_is_an_error_that_names_it() -> None:
    with unprivileged.reachable_folder() as folder:
        inner = folder / "inner"
        inner.mkdir(0)
        database = inner / "langflow.db"
        result = Site(folder).run("init", "--database", str(database), command=unprivileged.COMMAND)
        assert result.code in (1, 6)
        assert str(inner) in result.stderr
        assert not (folder / ".env").exists()
