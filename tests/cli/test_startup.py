"""Commands do not import slow modules that they do not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ..support import databases
from ..support.databases import Database
from ..support.samples import PASSWORD
from ..support.servers import serving
from ..support.sites import Site

SLOW = ("rich", "cryptography", "dotenv", "bcrypt", "urllib.request", "platformdirs", "yaml")

# Modules that commands do not need to create or list keys. Importing one takes between a
# thousandth and a hundredth of a command's time.
NEEDLESS = (
    "dataclasses",
    "getpass",
    "random",
    "tempfile",
    "langkeys.api_keys.ending",
    "langkeys.cli.shell_scripts",
    "langkeys.store.sqlite.creation",
)

# Runs langkeys. The last line of stderr then lists the slow modules that were imported.
_PROGRAM = f"""
import sys
from pathlib import Path
from langkeys.cli import main
code = main()
found = [name for name in {SLOW + NEEDLESS} if name in sys.modules]
sys.stderr.write(" ".join(["imported:", *found]) + "\\n")
sys.exit(code)
"""


def imported(site: Site, *arguments: str, stdin: str = "", **settings: str | None) -> set[str]:
    """Return the slow modules that a command imports."""
    return all_imported(site, *arguments, stdin=stdin, **settings).intersection(SLOW)


def all_imported(site: Site, *arguments: str, stdin: str = "", **settings: str | None) -> set[str]:
    """Return the slow and the needless modules that a command imports."""
    result = site.run(*arguments, stdin=stdin, command=(sys.executable, "-c", _PROGRAM), **settings)
    result.done()
    last = result.stderr.splitlines()[-1]
    assert last.startswith("imported:")
    return set(last.split()[1:])


def test_the_program_that_is_measured_with_finds_what_is_imported(site: Site) -> None:
    site.write_env("LANGFLOW_URL=http://localhost\n")
    found = imported(site, "api-key", LANGFLOW_AUTO_LOGIN="0", LANGFLOW_SUPERUSER_PASSWORD=PASSWORD)
    assert {"dotenv", "bcrypt", "cryptography"} <= found


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("--help",),
        (),
        ("api-key", "--help"),
        ("api-key", "create", "--help"),
        ("init", "--help"),
        ("whoami", "--help"),
    ],
)
def test_version_and_help_import_nothing_slow(empty_site: Site, arguments: tuple[str, ...]) -> None:
    empty_site.write_env("LANGFLOW_URL=http://localhost\n")
    assert imported(empty_site, *arguments) == set()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_piped_list_imports_no_more_than_what_decrypts(
    site: Site, database: Database, superuser: str, options: tuple[str, ...]
) -> None:
    database.add_key(superuser)
    assert imported(site, "api-key", "list", *options) == {"cryptography"}


def test_a_piped_list_without_keys_does_not_even_decrypt(site: Site) -> None:
    assert imported(site, "api-key", "list") == set()


@pytest.mark.parametrize("options", [(), ("--json",), ("--count", "3"), ("--write-to", "key")])
def test_a_key_is_made_with_no_more_than_what_encrypts(
    site: Site, options: tuple[str, ...]
) -> None:
    # If the config folder is set, the user's cache folder is not needed.
    settings = {"LANGFLOW_CONFIG_DIR": str(site.folder)}
    assert imported(site, "api-key", "create", *options, **settings) == {"cryptography"}


@pytest.mark.parametrize("command", ["create", "list"])
def test_keys_are_made_and_listed_without_what_is_rarely_needed(
    site: Site, database: Database, superuser: str, command: str
) -> None:
    database.add_key(superuser)
    settings = {"LANGFLOW_CONFIG_DIR": str(site.folder)}
    assert all_imported(site, "api-key", command, **settings) == {"cryptography"}
    # Without it, platformdirs finds the user's cache folder, and needs the other modules.
    found = all_imported(site, "api-key", "create", LANGFLOW_CONFIG_DIR=None)
    assert {"platformdirs", "random", "tempfile"} <= found


def test_a_key_is_verified_by_its_hash_without_anything_slow(
    site: Site, database: Database, superuser: str
) -> None:
    key = database.add_key(superuser)
    assert imported(site, "whoami", "--api-key", "-", stdin=key.plaintext) == set()
    settings = {"LANGKEYS_API_KEY": key.plaintext, "LANGFLOW_AUTO_LOGIN": None}
    assert imported(site, "whoami", **settings) == set()
    assert imported(site, "whoami", "--json", **settings) == set()


def test_a_key_is_shown_and_revoked_with_no_more_than_what_decrypts(
    site: Site, database: Database, superuser: str
) -> None:
    database.add_key(superuser, "ci")
    assert imported(site, "api-key", "show", "ci") == {"cryptography"}
    settings = {"LANGFLOW_CONFIG_DIR": str(site.folder)}
    assert imported(site, "api-key", "revoke", "ci", "--yes", **settings) == {"cryptography"}


def test_a_password_is_checked_by_bcrypt_alone(site: Site) -> None:
    settings = {"LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD}
    assert imported(site, "whoami", **settings) == {"bcrypt"}


def test_an_env_file_is_read_by_dotenv_alone(site: Site) -> None:
    site.write_env("LANGFLOW_URL=http://localhost\n")
    assert imported(site, "whoami") == {"dotenv"}


def test_a_server_is_asked_without_the_database(empty_site: Site) -> None:
    with serving() as server:
        user = {"username": "alice", "is_superuser": True, "is_active": True}
        server.body = {"id": "3f2a9c41-0000-4000-8000-000000000001", **user}
        settings = {"LANGFLOW_URL": server.url, "LANGFLOW_API_KEY": "a-key"}
        assert imported(empty_site, "whoami", "--remote", **settings) == {"urllib.request"}


def test_init_imports_what_it_writes_with(empty_site: Site) -> None:
    assert imported(empty_site, "init") <= {"cryptography", "bcrypt", "platformdirs"}


def test_importing_langkeys_is_light() -> None:
    program = f"import langkeys, sys; print([m for m in {(*SLOW, 'typer')} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_on_sqlite_the_driver_is_not_loaded(tmp_path: Path) -> None:
    empty = Site(tmp_path)
    database = databases.create(tmp_path / "langflow.db")
    assert isinstance(database, Database)
    program = (
        "import sys; from langkeys.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    loaded = [name for name in sys.modules if 'psycopg' in name or 'postgresql' in name"
        " or name.endswith('server_urls')]\n"
        "    assert loaded == [], loaded\n"
    )
    database.add_user("administrator")
    empty.run(
        "api-key", "list", command=(sys.executable, "-c", program), LANGFLOW_AUTO_LOGIN="true",
        LANGFLOW_DATABASE_URL=database.url, LANGFLOW_SUPERUSER="administrator",
    ).done()  # fmt: skip
