from __future__ import annotations

import base64
import json
import stat
import subprocess
from collections.abc import Callable

import dotenv
import pytest

from langkeys.variables.formats import DOTENV_HEAD

from ..support import variable_rows
from ..support.databases import Database
from ..support.samples import OTHER_SECRET_KEY, encrypted
from ..support.sites import Result, Site

pytestmark = pytest.mark.every_engine

Call = Callable[..., Result]

EXPORT = ("variable", "export", "--reveal")
VALUES = {
    "TOKEN": 'it\'s $HOME # "x"\\',
    "LINES_KEY": "one\ntwo\r\nthree\n",
    "WATSONX_URL": "http://localhost/?a=b&c=${d}",
    "NAME_SECRET": "Zoë 👩 ",
}
HEAD = f"{DOTENV_HEAD}\n"


@pytest.fixture
def stored(database: Database, superuser: str) -> Database:
    for name, value in VALUES.items():
        kind = "Generic" if name == "WATSONX_URL" else "Credential"
        variable_rows.add(database, superuser, name, value, kind)
    variable_rows.add(database, database.add_user("alice"), "HER_KEY", "x")
    return database


def read_json(text: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(text)
    return found


def read_secret(text: str) -> dict[str, str]:
    data = json.loads(text)["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def read_shell(text: str) -> dict[str, str]:
    printing = "".join(f'; printf "%s\\0" "${name}"' for name in VALUES)
    done = subprocess.run(
        ["sh", "-c", text + printing.removeprefix("; ")], capture_output=True, check=True
    )
    return dict(zip(VALUES, done.stdout.decode().split("\0"), strict=False))


@pytest.mark.parametrize(
    ("format_", "read"),
    [("json", read_json), ("shell", read_shell), ("k8s-secret", read_secret)],
)
def test_each_format_reads_back(
    call: Call, stored: Database, format_: str, read: Callable[[str], dict[str, str]]
) -> None:
    result = call(*EXPORT, "--format", format_).done()
    assert read(result.stdout) == VALUES
    assert "4 variables" in result.stderr


def test_dotenv_is_the_default_and_reads_back_by_python_dotenv_and_by_import(site: Site) -> None:
    owner = str(site.database.rows("SELECT id FROM user")[0][0])
    for name, value in VALUES.items():
        variable_rows.add(site.database, owner, name, value)
    site.call(*EXPORT, "--write-to", "out.env").done()
    assert dotenv.dotenv_values(site.folder / "out.env") == VALUES
    site.database.rows("DELETE FROM variable")
    only = [word for name in VALUES for word in ("--only", name)]
    site.call("variable", "import", "out.env", *only).done()
    found = {row.name: row.plaintext for row in variable_rows.rows(site.database)}
    assert found == VALUES


def test_without_reveal_nothing_is_written(call: Call, stored: Database) -> None:
    call("variable", "export").failed(2, "--reveal")
    call("variable", "export", "--format", "json").failed(2)


def test_another_users_are_exported_by_naming_them(call: Call, stored: Database) -> None:
    assert call(*EXPORT, "--user", "alice").done().stdout == f"{HEAD}HER_KEY=x\n"
    assert call(*EXPORT, "--format", "json", "--user", "alice").done().json() == {"HER_KEY": "x"}


def test_a_file_is_0600_whatever_the_umask_and_stdout_is_empty(
    site: Site, stored: Database
) -> None:
    result = site.run(*EXPORT, "--write-to", "out.env", umask=0).done()
    assert result.stdout == ""
    path = site.folder / "out.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in result.stderr
    path.chmod(0o644)
    again = site.run(*EXPORT, "--write-to", "out.env", "--replace").done()
    assert "now 0600" in again.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_found_out_first(call: Call, stored: Database) -> None:
    call(*EXPORT, "--write-to", "no/such/folder/x", LANGFLOW_DATABASE_URL="missing.db").failed(1)


@pytest.mark.parametrize("format_", ["dotenv", "shell", "k8s-secret"])
def test_a_name_that_the_format_cannot_hold_leaves_stdout_and_the_file_empty(
    site: Site, stored: Database, format_: str
) -> None:
    owner = str(site.database.rows("SELECT id FROM user WHERE username = 'administrator'")[0][0])
    variable_rows.add(site.database, owner, "MY KEY", "x")
    named = (*EXPORT, "--format", format_, "--only", "MY KEY")
    site.call(*named).failed(2, "'MY KEY'", format_)
    site.call(*named, "--write-to", "out").failed(2)
    assert [path.name for path in site.folder.iterdir() if "out" in path.name] == []
    assert site.call(*EXPORT, "--format", "json").done().json()["MY KEY"] == "x"


def test_what_a_server_made_without_a_value_is_left_out_and_its_first_row_counts(
    call: Call, database: Database, superuser: str
) -> None:
    variable_rows.add(database, superuser, "FLOW_ID", "", "Generic")
    variable_rows.add(database, superuser, "FLOW_ID", "")
    variable_rows.add(database, superuser, "TWICE_KEY", "first")
    variable_rows.add(database, superuser, "TWICE_KEY", "second")
    assert call(*EXPORT).done().stdout == f"{HEAD}TWICE_KEY=first\n"


def test_what_does_not_open_is_named_and_if_it_is_all_an_error(
    call: Call, database: Database, superuser: str
) -> None:
    token = encrypted("x", OTHER_SECRET_KEY)
    variable_rows.add(database, superuser, "CLOSED", token, is_encrypted=False)
    call(*EXPORT).failed(7, "none")
    variable_rows.add(database, superuser, "OPEN_KEY", "x")
    result = call(*EXPORT, "--quiet").done()
    assert result.stdout == f"{HEAD}OPEN_KEY=x\n"
    assert "CLOSED" in result.stderr
    assert "warning: " in result.stderr


def test_only_what_is_named_is_written_whatever_its_form(
    site: Site, stored: Database, superuser: str
) -> None:
    variable_rows.add(stored, superuser, "PATH", "/x")
    variable_rows.add(stored, superuser, "CLOSED", encrypted("x", OTHER_SECRET_KEY),
                      is_encrypted=False)  # fmt: skip
    result = site.call(*EXPORT, "--only", "PATH", "--only", "TOKEN", "--format", "json").done()
    assert result.json() == {"PATH": "/x", "TOKEN": VALUES["TOKEN"]}
    assert site.call(*EXPORT, "--only", "PATH").done().stdout == f"{HEAD}PATH=/x\n"
    site.call(*EXPORT, "--only", "TOKEN", "--only", "MISSING").failed(3, "MISSING")
    site.call(*EXPORT, "--only", "CLOSED", "--write-to", "out").failed(7, "CLOSED")
    assert not (site.folder / "out").exists()


def test_a_file_that_is_filled_is_only_replaced_if_that_is_said(
    site: Site, stored: Database
) -> None:
    path = site.folder / "out"
    path.write_text("mine")
    missing = {"LANGFLOW_DATABASE_URL": "missing.db"}
    site.call(*EXPORT, "--write-to", "out", **missing).failed(5, "--replace")
    assert path.read_text() == "mine"
    site.call(*EXPORT, "--write-to", "out", "--replace").done()
    assert path.read_text().startswith(HEAD)
    path.write_text("")
    site.call(*EXPORT, "--write-to", "out").done()
    assert path.read_text().startswith(HEAD)


def test_a_link_is_never_replaced(site: Site, stored: Database) -> None:
    (site.folder / "link").symlink_to(site.folder / "elsewhere")
    for more in ((), ("--replace",)):
        site.call(*EXPORT, "--write-to", "link", *more).failed(1, "symbolic link")
    assert not (site.folder / "elsewhere").exists()


def test_a_dash_is_stdout(site: Site, stored: Database) -> None:
    result = site.call(*EXPORT, "--write-to", "-").done()
    assert result.stdout == site.call(*EXPORT).done().stdout
    assert not (site.folder / "-").exists()


def test_a_kubernetes_secret_has_the_name_and_namespace_given(call: Call, stored: Database) -> None:
    manifest = (*EXPORT, "--format", "k8s-secret")
    named = call(*manifest, "--secret-name", "keys", "--namespace", "prod").done().json()
    assert named["metadata"] == {"name": "keys", "namespace": "prod"}
    assert call(*manifest).done().json()["metadata"] == {"name": "langflow-variables"}
    call(*manifest, "--secret-name", "Not_A_Name").failed(2)
    call(*manifest, "--namespace", "a.b").failed(2)
    call(*EXPORT, "--secret-name", "keys").failed(2, "k8s-secret")


def test_what_a_shell_would_run_is_named_under_quiet_too(
    call: Call, stored: Database, superuser: str
) -> None:
    result = call(*EXPORT, "-q").done()
    (warning,) = result.stderr.splitlines()
    assert warning.startswith("warning: ")
    assert "TOKEN" in warning
    assert "NAME_SECRET" not in warning
    for format_ in ("shell", "json", "k8s-secret"):
        assert call(*EXPORT, "-q", "--format", format_).done().stderr == ""
