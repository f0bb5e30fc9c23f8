from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support import variable_rows
from ..support.databases import Database
from ..support.samples import CREDENTIAL, OTHER_SECRET_KEY, PASSWORD, SECRET_KEY, encrypted
from ..support.sites import Result, Site
from ..support.steering_names import STEERING

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]


@pytest.fixture
def stored(database: Database, superuser: str) -> Database:
    variable_rows.add(database, superuser, "TOKEN", CREDENTIAL)
    variable_rows.add(database, superuser, "OTHER_KEY", "other\nvalue é")
    variable_rows.add(database, superuser, "PLAIN", "generic", "Generic")
    return database


def printed(run: Call, name: str, *options: str, **settings: str | None) -> str:
    return run("run", *options, "--", "printenv", name, **settings).done().stdout


def test_a_program_has_the_credentials_over_what_it_inherits(run: Call, stored: Database) -> None:
    assert printed(run, "TOKEN", TOKEN="inherited") == f"{CREDENTIAL}\n"
    assert printed(run, "OTHER_KEY") == "other\nvalue é\n"
    assert printed(run, "INHERITED", INHERITED="x") == "x\n"
    assert run("run", "--", "printenv", "PLAIN").code == 1


def test_the_env_file_is_no_part_of_the_environment(site: Site, stored: Database) -> None:
    site.write_env("FROM_FILE=x\n")
    assert site.run("run", "--", "printenv", "FROM_FILE").code == 1


def test_only_what_is_named_is_added(run: Call, stored: Database) -> None:
    assert printed(run, "TOKEN", "--only", "TOKEN") == f"{CREDENTIAL}\n"
    assert run("run", "--only", "OTHER_KEY", "--", "printenv", "TOKEN").code == 1
    run("run", "--only", "MISSING", "--", "touch", "x").failed(3, "MISSING")
    run("run", "--only", "PLAIN", "--", "touch", "x").failed(3, "PLAIN")


def test_what_is_left_out_is_named_in_a_warning(
    run: Call, stored: Database, superuser: str
) -> None:
    for name in ("PATH", "LD_PRELOAD", "PYTHONPATH", "BASH_ENV"):
        variable_rows.add(stored, superuser, name, "/nowhere")
    token = encrypted("x", OTHER_SECRET_KEY)
    variable_rows.add(stored, superuser, "CLOSED", token, is_encrypted=False)
    result = run("run", "-q", "--", "printenv", "TOKEN").done()
    assert result.stdout == f"{CREDENTIAL}\n"
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == len(result.stderr.splitlines()) == 2
    assert "PATH, LD_PRELOAD, PYTHONPATH, BASH_ENV" in result.stderr
    options = "--only PATH --only LD_PRELOAD --only PYTHONPATH --only BASH_ENV"
    assert options in result.stderr
    assert "CLOSED" in result.stderr
    assert printed(run, "BASH_ENV", "--only", "BASH_ENV") == "/nowhere\n"


def test_without_anything_left_out_nothing_is_said(run: Call, stored: Database) -> None:
    assert run("run", "--", "true").done().stderr == ""


@pytest.mark.parametrize("code", [0, 1, 2, 7, 42, 130, 255])
def test_the_exit_status_is_the_programs_own(run: Call, stored: Database, code: int) -> None:
    assert run("run", "--", "sh", "-c", f"exit {code}").code == code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("no-such-program", 127),
        ("./no-such-program", 127),
        ("/no/such/folder/program", 127),
        ("", 127),
        ("./data", 126),
        ("./", 126),
    ],
)
def test_a_program_that_is_not_there_or_cannot_be_run_ends_as_in_a_shell(
    site: Site, stored: Database, command: str, code: int
) -> None:
    (site.folder / "data").write_text("#!/bin/sh\n")
    result = site.run("run", "--", command).failed(code)
    assert result.stderr.startswith("error: ")
    shell = subprocess.run(
        ["sh", "-c", '"$1"', "sh", command], cwd=site.folder, capture_output=True, check=False
    )
    assert shell.returncode == code


def test_a_file_that_is_no_program_is_126(site: Site, stored: Database) -> None:
    (site.folder / "garbage").write_bytes(b"\x00\x01")
    (site.folder / "garbage").chmod(0o755)
    site.run("run", "--", "./garbage").failed(126, "garbage")


def test_the_program_takes_langkeys_place(site: Site, stored: Database) -> None:
    script = "import os, sys; print(os.getpid(), len(os.listdir('/proc/self/fd')), flush=True)"
    process = site.spawn("run", "--", sys.executable, "-c", script)
    out, _ = process.communicate(timeout=60)
    pid, descriptors = map(int, out.split())
    assert pid == process.pid
    # The three streams, and the folder that the program lists: langkeys leaves no file open.
    assert descriptors == 4


def test_signals_reach_the_program_and_its_end_by_one_is_its_own(
    site: Site, stored: Database
) -> None:
    process = site.spawn("run", "--", "sleep", "60")
    deadline = time.monotonic() + 30
    while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


def test_no_signal_is_ignored_in_the_program_that_was_not_before(
    site: Site, stored: Database
) -> None:
    def ignored(*command: str) -> str:
        done = subprocess.run(
            [*command, "grep", "SigIgn", "/proc/self/status"],
            cwd=site.folder,
            env=site.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert ignored(sys.executable, "-m", "langkeys", "run", "--") == ignored("env")


def test_stdin_is_left_to_the_program(run: Call, stored: Database) -> None:
    assert run("run", "--", "cat", stdin="one\ntwo\n").done().stdout == "one\ntwo\n"


def test_options_after_the_program_are_its_own(run: Call, stored: Database) -> None:
    show = "import sys; print(sys.argv[1:])"
    program = (sys.executable, "-c", show)
    for dashes in ((), ("--",)):
        result = run("run", *dashes, *program, "--only", "-q", "--help", "--", "x").done()
        assert result.stdout == "['--only', '-q', '--help', '--', 'x']\n"


@pytest.mark.only_sqlite("gives the database as a path")
def test_global_options_come_before_it(site: Site, stored: Database) -> None:
    settings = dict(site.settings)
    site.settings.pop("LANGFLOW_DATABASE_URL")
    site.settings["LANGFLOW_CONFIG_DIR"] = str(site.folder / "elsewhere")
    path = settings["LANGFLOW_DATABASE_URL"]
    for arguments in (
        ("run", "--database", path, "--", "printenv", "TOKEN"),
        ("--database", path, "run", "printenv", "TOKEN"),
    ):
        assert site.run(*arguments).done().stdout == f"{CREDENTIAL}\n"
    site.run("run", "printenv", "TOKEN", "--database", path).failed(6)


def test_a_program_must_be_named(run: Call, stored: Database) -> None:
    for arguments in (("run",), ("run", "--"), ("run", "--only", "TOKEN")):
        run(*arguments).failed(2)


def test_who_may_not_act_runs_nothing(site: Site, stored: Database) -> None:
    site.database.rows("UPDATE user SET is_superuser = 0")
    site.run("run", "--", "touch", "was-run").failed(4)
    assert not (site.folder / "was-run").exists()


def test_values_and_arguments_are_utf_8_whatever_the_locale_is(run: Call, stored: Database) -> None:
    ascii_ = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert printed(run, "OTHER_KEY", **ascii_) == "other\nvalue é\n"
    assert run("run", "--", "printf", "%s", "é", **ascii_).done().stdout == "é"


def test_a_program_of_the_path_that_only_names_is_found_there(
    site: Site, stored: Database, superuser: str
) -> None:
    folder = site.folder / "bin"
    folder.mkdir()
    program = folder / "hello"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    variable_rows.add(stored, superuser, "PATH", f"{folder}{os.pathsep}/usr/bin:/bin")
    site.run("run", "--", "hello").failed(127)
    assert site.run("run", "--only", "PATH", "--", "hello").done().stdout == "hello\n"


def test_arguments_of_the_program_may_be_no_text(site: Site, stored: Database) -> None:
    command = [sys.executable, "-m", "langkeys", "run", "--", "printf", "%s", b"\xff\xfe"]
    done = subprocess.run(
        command, cwd=site.folder, env=site.environment(), capture_output=True, check=True
    )
    assert done.stdout == b"\xff\xfe"


def test_another_users_are_taken_by_naming_them_and_the_superuser_still_acts(
    site: Site, stored: Database
) -> None:
    variable_rows.add(stored, stored.add_user("alice", is_superuser=False), "HER_KEY", "hers")
    assert printed(site.run, "HER_KEY", "--user", "alice") == "hers\n"
    assert site.run("run", "--user", "alice", "--", "printenv", "TOKEN").code == 1
    site.run("run", "--user", "bob", "--", "touch", "x").failed(3, "bob")
    site.run("run", "--user", "alice", "--", "touch", "x", LANGFLOW_SUPERUSER="alice").failed(4)
    assert not (site.folder / "x").exists()


def test_langkeys_own_secrets_are_not_in_the_programs_environment(
    site: Site, stored: Database, superuser: str
) -> None:
    key = stored.add_key(superuser).plaintext
    settings = {
        "LANGKEYS_API_KEY": key,
        "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD,
        "SUPERUSER_PASSWORD": PASSWORD,
        "SECRET_KEY": SECRET_KEY,
        "secret_key": "an application's own",
        "LANGFLOW_API_KEY": "handed on",
    }
    shown = site.run("run", "--", "env", **settings).done().stdout
    assert "LANGFLOW_API_KEY=handed on\n" in shown
    assert "secret_key=an application's own\n" in shown
    for secret in (key, PASSWORD, SECRET_KEY):
        assert secret not in shown
    variable_rows.add(stored, superuser, "LANGKEYS_API_KEY", "stored")
    assert printed(site.run, "LANGKEYS_API_KEY", "--only", "LANGKEYS_API_KEY") == "stored\n"


@pytest.mark.parametrize("format_", ["dotenv", "shell"])
def test_no_stored_name_steers_a_program(
    site: Site, stored: Database, superuser: str, format_: str
) -> None:
    names = sorted({name for group in STEERING.values() for name in group.split()})
    assert len(names) > 400
    for name in names:
        variable_rows.add(stored, superuser, name, "stored-by-somebody")
    shown = site.run("run", "--", "env").done()
    assert "stored-by-somebody" not in shown.stdout
    assert f"TOKEN={CREDENTIAL}\n" in shown.stdout
    for name in names:
        assert f"--only {name}" in shown.stderr
    export = ("variable", "export", "--reveal", "--format", format_)
    written = site.call(*export).done()
    assert "stored-by-somebody" not in written.stdout
    assert "--only LD_PRELOAD" in written.stderr
    assert "stored-by-somebody" in site.call(*export, "--only", "LD_PRELOAD").done().stdout
    everything = site.call("variable", "export", "--reveal", "--format", "json").done().json()
    assert set(names) <= set(everything)
