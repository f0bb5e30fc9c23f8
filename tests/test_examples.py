"""Run the scripts and programs in examples/; the documents quote and link them."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .support.databases import Database, ago
from .support.fake_langflow import langflow
from .support.samples import CREDENTIAL, PASSWORD
from .support.sites import Result, Site

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
SCRIPTS = {path.name: path for path in sorted(EXAMPLES.glob("*.sh"))}

Script = Callable[..., Result]


@pytest.fixture
def script(site: Site, tmp_path: Path) -> Script:
    """Return a function that runs a script with arguments and settings; PATH has langkeys."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "langkeys"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m langkeys "$@"\n')
    program.chmod(0o755)

    def run(name: str, *arguments: str, **settings: str | None) -> Result:
        settings["PATH"] = f"{programs}:{site.environment()['PATH']}"
        return site.run(*arguments, command=(str(SCRIPTS[name]),), **settings)

    return run


def file_of(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_every_example_is_named_where_examples_are_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    paths = [path for path in EXAMPLES.rglob("*") if path.is_file()]
    names = {str(path.relative_to(EXAMPLES)) for path in paths} - {"README.md"}
    assert [name for name in sorted(names) if f"[{name}]({name})" not in listed] == []
    pages = "".join(PAGES.values())
    # A page links to each example, or quotes all of it.
    contents = {name: (EXAMPLES / name).read_text(encoding="utf-8") for name in names}
    unnamed = [name for name in sorted(names) if f"examples/{name}" not in pages]
    assert [name for name in unnamed if contents[name] not in pages] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_posix_shell_that_stops_at_an_error(name: str, site: Site) -> None:
    lines = SCRIPTS[name].read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/sh"
    assert next(line for line in lines if line and not line.startswith("#")) == "set -eu"
    shells = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
    for shell in shells:
        options = ("--posix",) if shell == "bash" else ()
        site.run(str(SCRIPTS[name]), command=(shell, *options, "-n")).done()


def test_the_entry_point_can_run_at_every_start(script: Script, site: Site, tmp_path: Path) -> None:
    # An empty volume: init writes the settings.
    site.settings, volume = {}, tmp_path / "volume"
    volume.mkdir()
    file_of(tmp_path / "secrets" / "app-password", PASSWORD)
    folders = {"LANGFLOW_FOLDER": str(volume), "SECRETS_FOLDER": str(tmp_path / "secrets")}
    keys = []
    for _ in range(2):
        result = script("entrypoint.sh", "sh", "-c", "echo the server in $PWD", **folders).done()
        assert result.lines[-1] == f"the server in {volume}"
        keys.append((volume / "app-key").read_text())
    assert keys[0] == keys[1]
    environment = ("--env-file", str(volume / ".env"))
    presented = site.call("whoami", "--api-key", "-", *environment, stdin=keys[0]).done()
    assert presented.rows[0][1:4] == ["app", "true", "false"]
    assert Database(volume / "langflow.db").rows("SELECT name FROM apikey") == [("app",)]


def test_the_entry_point_starts_no_server_where_a_step_fails(script: Script, site: Site) -> None:
    folders = {"LANGFLOW_FOLDER": str(site.folder), "SECRETS_FOLDER": str(site.folder)}
    result = script("entrypoint.sh", "echo", "the server", **folders)
    assert result.code == 1
    assert "app-password" in result.stderr
    assert "the server" not in result.stdout


def test_the_nightly_rotation_replaces_each_old_key_once(
    script: Script, site: Site, database: Database, superuser: str
) -> None:
    old = database.add_key(superuser, "gateway", created_at=ago(days=100))
    new = database.add_key(superuser, "laptop", created_at=ago(days=3))
    over = database.add_key(superuser, "trial", created_at=ago(days=9), expires_at=ago(days=2))
    (site.folder / "secrets").mkdir()
    folder = {"LANGFLOW_FOLDER": str(site.folder)}
    for _ in range(2):
        assert script("rotate-nightly.sh", **folder).done().stdout == ""
    (file,) = (site.folder / "secrets").iterdir()
    names = "SELECT name FROM apikey ORDER BY name"
    assert database.rows(names) == [("gateway",), ("gateway",), ("laptop",)]
    for key in (old.plaintext, file.read_text(), new.plaintext):
        site.call("whoami", "--api-key", "-", stdin=key).done()
    site.call("whoami", "--api-key", "-", stdin=over.plaintext).failed(4, "no such API key")


@pytest.mark.parametrize(("end", "code"), [("exit 7", 7), ("kill -TERM $PPID", 143)])
def test_a_key_of_a_ci_job_ends_with_it(
    script: Script, site: Site, database: Database, superuser: str, end: str, code: int
) -> None:
    admin = file_of(site.folder / "admin-key", database.add_key(superuser, "admin").plaintext)
    # The job's command prints whether it got the superuser's key, and whether its own key works.
    job = (
        'echo "${LANGKEYS_API_KEY_FILE-none}";'
        f' printf %s "$LANGFLOW_API_KEY" | langkeys whoami --api-key - | cut -f 2; {end}'
    )
    settings = {"LANGKEYS_API_KEY_FILE": admin, "LANGFLOW_AUTO_LOGIN": "false", "BUILD_ID": "42"}
    result = script("ci-key.sh", "sh", "-c", job, **settings)
    assert result.code == code
    assert result.lines == ["none", "administrator"]
    assert database.rows("SELECT name FROM apikey") == [("admin",)]
    trail = site.call("audit", "--json").json()
    assert [line["command"] for line in trail] == ["api-key create", "api-key revoke"]


def test_a_job_rotates_its_own_key_over_rest(script: Script, site: Site) -> None:
    with langflow("1.13.0") as (server, asked):
        old = server.add_key(server.add_user("ci"), "nightly").value
        file = Path(file_of(site.folder / "job" / "langflow-key", old))
        settings = {"LANGFLOW_URL": asked.url, "LANGFLOW_DATABASE_URL": None}
        script("rotate-over-rest.sh", KEY_FOLDER=str(file.parent), **settings).done()
        assert [key.value for key in server.keys] == [file.read_text().rstrip("\n")] != [old]


@pytest.mark.parametrize("name", ["gateway.py", "administer.py"])
def test_a_program_is_in_the_library_page(name: str) -> None:
    # tests/test_readme.py runs the gateway.
    code = (EXAMPLES / name).read_text(encoding="utf-8")
    assert f"```python\n{code}```" in PAGES["library"]


def test_the_program_that_administers_does_it(
    site: Site,
    database: Database,
    superuser: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, text in site.settings.items():
        monkeypatch.setenv(name, text)
    old, laptop = (database.add_key(superuser, name) for name in ("ci", "laptop"))
    leaked, vault = database.add_key(superuser, "leaked"), list[str]()
    program = runpy.run_path(str(EXAMPLES / "administer.py"))
    program["administer"](vault.append, leaked.plaintext, CREDENTIAL)
    names = [name for (name,) in database.rows("SELECT name FROM apikey ORDER BY name")]
    assert names == ["ci", "ci", "gateway"]
    for key, code in ((old, 0), (laptop, 4), (leaked, 4)):
        assert site.call("whoami", "--api-key", "-", stdin=key.plaintext).code == code
    site.call("whoami", "--api-key", "-", stdin=vault[0]).done()
    assert database.rows("SELECT name, type FROM variable") == [("OPENAI_API_KEY", "Credential")]
    assert re.fullmatch(r"[0-9a-f]{32} 20\d\d-.*\n", capsys.readouterr().out)
