"""Several system users on one deployment: root, the server's user and another, in any order."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

import langkeys

from ..support.other_users import OTHER, SERVER, give, needs_root
from ..support.samples import OTHER_SECRET_KEY
from ..support.sites import Site

pytestmark = needs_root

# The interpreter may be in a folder that only root can read, so all imports come before setuid.
_AS_USER = """
import contextlib, os, sys
sys.path.insert(0, sys.argv[1])
import importlib, pkgutil, encodings, getpass, tempfile, logging, platformdirs, platformdirs.unix
import dotenv, dotenv.main, dotenv.parser, dotenv.variables, bcrypt, cryptography.fernet, sqlite3
import typer, typer.core, typer.main, rich.console, rich.table, json, ctypes, pwd, select, fcntl
import langkeys, langkeys.cli
for module in pkgutil.walk_packages(langkeys.__path__, "langkeys."):
    if module.name != "langkeys.__main__":
        importlib.import_module(module.name)
# Some of it is only imported when it is first needed: a command and a page of help need it.
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    with contextlib.redirect_stderr(nowhere):
        langkeys.cli.main(["api-key", "list", "--help"])
        langkeys.cli.main(["whoami", "--database", os.devnull])
uid = int(sys.argv[2])
os.setgroups([])
os.setgid(0)
os.setuid(uid)
if uid:
    # What a real user of that id has, too: no way past the modes of files.
    assert not os.access("/root", os.R_OK)
sys.exit(langkeys.cli.main(sys.argv[3:]))
"""


def run_as(
    uid: int, site: Site, *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run langkeys as a user with group 0 and without HOME, as in a container on OpenShift."""
    checkout = str(Path(langkeys.__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", _AS_USER, checkout, str(uid), *arguments],
        cwd=site.folder,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **site.settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done
    assert done.returncode == code, done
    return done


def owner(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.fixture
def open_site() -> Iterator[Site]:
    """An empty folder that other users can enter, unlike the folders that pytest creates."""
    with tempfile.TemporaryDirectory(prefix="langkeys-") as folder:
        place = Path(folder).resolve()
        place.chmod(0o755)
        for name in ("site", "home"):
            (place / name).mkdir()
        yield Site(place / "site", home=place / "home")


@pytest.fixture
def server_site(open_site: Site) -> Site:
    """An empty folder of the server's user; the configured config folder does not exist yet."""
    give(open_site.folder, SERVER, 0, mode=0o755)
    open_site.settings = {"LANGFLOW_CONFIG_DIR": str(open_site.folder / "data" / "config")}
    return open_site


def test_what_root_makes_is_the_servers(server_site: Site) -> None:
    server_site.call("init").done()
    server_site.call("api-key", "ensure", "app", "--value-file", "app-key").done()
    server_site.call("api-key", "create", "--write-to", "root-key").done()
    server_site.call("backup", "copy.db").done()
    folder = server_site.folder
    for made in (".env", "langflow.db", "app-key", "langkeys-audit.jsonl"):
        assert owner(folder / made) == (SERVER, 0, 0o600), made
    # By default the log is in the config folder, which is created as a server creates it.
    server_site.call("api-key", "create", LANGKEYS_AUDIT_LOG="").done()
    env = folder / ".env"
    lines = [line for line in env.read_text().splitlines() if "AUDIT_LOG" not in line]
    env.write_text("\n".join(lines) + "\n")
    server_site.call("api-key", "create").done()
    assert owner(folder / "data/config/langkeys-audit.jsonl") == (SERVER, 0, 0o600)
    for made in ("data", "data/config"):
        assert owner(folder / made) == (SERVER, 0, 0o755), made
    for roots in ("root-key", "copy.db"):
        assert owner(folder / roots)[0] == 0, roots
    # The server's user can continue with all these files.
    server_site.path = Path("langflow.db")
    assert "sk-" in run_as(SERVER, server_site, "api-key", "create").stdout
    run_as(SERVER, server_site, "api-key", "ensure", "app", "--value-file", "app-key")
    run_as(SERVER, server_site, "doctor")


def test_a_secret_key_file_of_roots_is_the_servers(server_site: Site) -> None:
    env = server_site.folder / ".env"
    env.write_text(
        "LANGFLOW_SAVE_DB_IN_CONFIG_DIR=true\nLANGFLOW_SUPERUSER=ops\n"
        f"LANGFLOW_SUPERUSER_PASSWORD={OTHER_SECRET_KEY}\n"
    )
    give(env, SERVER, mode=0o600)
    server_site.call("init").done()
    config = server_site.folder / "data" / "config"
    for made in ("secret_key", "langflow.db"):
        assert owner(config / made) == (SERVER, 0, 0o600)
    run_as(SERVER, server_site, "api-key", "create")


@pytest.mark.parametrize("order", [*permutations((0, SERVER, OTHER))], ids=str)
def test_root_the_server_and_another_user_in_any_order(
    open_site: Site, order: tuple[int, ...]
) -> None:
    folder = open_site.folder
    give(folder, SERVER, 0, mode=0o775)
    open_site.settings = {"LANGFLOW_CONFIG_DIR": str(folder / "config")}
    open_site.call("init").done()
    (folder / "config").mkdir()
    give(folder / "config", SERVER, 0, mode=0o775)
    open_site.settings["LANGKEYS_AUDIT_LOG"] = ""
    env = folder / ".env"
    lines = [line for line in env.read_text().splitlines() if "AUDIT_LOG" not in line]
    env.write_text("\n".join(lines) + "\n")
    for shared in ("langflow.db", ".env"):
        (folder / shared).chmod(0o660)
    for uid in (*order, order[0]):
        value = f"key-of-{uid}"
        run_as(uid, open_site, "api-key", "ensure", f"app-{uid}", "--value-file", value)
        assert owner(folder / value)[2] == 0o600
    listed = run_as(SERVER, open_site, "api-key", "list").stdout.splitlines()
    assert sorted(line.split("\t")[1] for line in listed) == sorted(f"app-{uid}" for uid in order)
    # A log of another user is a warning, never an error; its lines stay complete.
    log = folder / "config" / "langkeys-audit.jsonl"
    assert all(line.startswith("{") and line.endswith("}") for line in log.read_text().splitlines())
    run_as(SERVER, open_site, "doctor")
