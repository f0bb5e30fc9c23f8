""".env files as people, Docker, kubectl and systemd write them, and their owners."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ..support.databases import create
from ..support.other_users import OTHER, SERVER, give, needs_root
from ..support.samples import PASSWORD, SECRET_KEY, new_api_key, password_hash
from ..support.sites import Result, Site


@pytest.fixture
def bare(site: Site) -> Site:
    """A site with all settings in its .env, and a password."""
    lines = {
        "LANGFLOW_DATABASE_URL": f"sqlite:///{site.folder / site.path}",
        "LANGFLOW_SECRET_KEY": SECRET_KEY,
        "LANGFLOW_CONFIG_DIR": str(site.folder / "config"),
        "LANGFLOW_SUPERUSER": "administrator",
        "LANGFLOW_SUPERUSER_PASSWORD": PASSWORD,
    }
    (site.folder / "config").mkdir()
    site.settings = {}
    _write(site, lines)
    return site


def _write(site: Site, lines: Mapping[str, str]) -> None:
    text = "".join(f"{name}='{value}'\n" for name, value in lines.items())
    (site.folder / ".env").write_text(text)
    (site.folder / ".env").chmod(0o600)


def _append(site: Site, text: str) -> None:
    with (site.folder / ".env").open("a") as file:
        file.write(text)


# Names in any case


@pytest.mark.parametrize("name", ["langflow_auto_login", "LangFlow_Auto_Login"])
def test_a_setting_counts_in_any_case(bare: Site, name: str) -> None:
    _append(bare, f"{name}=true\nLANGFLOW_SUPERUSER_PASSWORD=wrong\n")
    bare.call("api-key", "list").done()  # by AUTO_LOGIN
    assert name in bare.call("doctor").stdout
    by_password = {"LANGFLOW_SUPERUSER_PASSWORD": PASSWORD, "langflow_auto_login": "0"}
    bare.call("api-key", "list", **by_password).done()


@pytest.mark.parametrize(
    ("lines", "is_in"),
    [
        ("LANGFLOW_AUTO_LOGIN=false\nlangflow_auto_login=true\n", True),
        ("langflow_auto_login=true\nLANGFLOW_AUTO_LOGIN=false\n", False),
        ("langflow_auto_login=false\nLANGFLOW_AUTO_LOGIN=false\nlangflow_auto_login=true\n", True),
        ("langflow_auto_login=true\nLANGFLOW_AUTO_LOGIN=\n", True),
    ],
)
def test_of_two_spellings_the_later_one_counts(bare: Site, lines: str, is_in: bool) -> None:
    _append(bare, f"LANGFLOW_SUPERUSER_PASSWORD=wrong\n{lines}")
    result = bare.call("api-key", "list")
    assert result.code == (0 if is_in else 4)


def test_any_spelling_in_the_environment_goes_before_the_file(bare: Site) -> None:
    _append(bare, "LANGFLOW_SUPERUSER_PASSWORD=wrong\nLANGFLOW_AUTO_LOGIN=true\n")
    bare.call("api-key", "list", langflow_auto_login="false").failed(4)


def test_the_database_url_counts_in_its_own_spelling_alone(bare: Site, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    create(other)
    _append(bare, f"langflow_database_url=sqlite:///{other}\n")
    result = bare.call("user", "list").done()
    assert result.rows
    assert "langflow_database_url is ignored" in result.stderr


def test_a_file_setting_counts_in_any_case(bare: Site) -> None:
    (bare.folder / "password").write_text(PASSWORD)
    _append(bare, "LANGFLOW_SUPERUSER_PASSWORD=\nlangflow_superuser_password_file=password\n")
    text = (bare.folder / ".env").read_text()
    (bare.folder / ".env").write_text(text.replace(f"PASSWORD='{PASSWORD}'", "PASSWORD="))
    bare.call("api-key", "list").done()


def test_a_secret_key_in_another_case_is_rotated_where_it_stands(bare: Site) -> None:
    env = bare.folder / ".env"
    env.write_text(env.read_text().replace("LANGFLOW_SECRET_KEY", "langflow_secret_key"))
    bare.call("api-key", "create").done()
    bare.call("secret-key", "rotate", "--yes").done()
    assert SECRET_KEY not in env.read_text()
    assert "langflow_secret_key=" in env.read_text()
    bare.call("secret-key", "check").done()


def test_a_rotation_sees_the_environment_in_any_case(bare: Site) -> None:
    bare.call("secret-key", "rotate", "--yes", langflow_secret_key=SECRET_KEY).failed(
        2, "--new-key-file"
    )


# Lines and quotes


def test_foreign_lines_and_a_bom_are_warnings(bare: Site) -> None:
    env = bare.folder / ".env"
    env.write_text("\ufeff" + env.read_text() + "apiVersion: v1\n")
    result = bare.call("api-key", "list").done()
    assert "byte order mark" in result.stderr
    assert "line 6" in result.stderr


QUOTED = {
    "LANGFLOW_AUTO_LOGIN": "'true'",
    "LANGFLOW_DATABASE_URL": '"sqlite:///langflow.db"',
    "LANGFLOW_SUPERUSER_PASSWORD": f"'{PASSWORD}'",
    "LANGFLOW_SECRET_KEY": "'not thirty-two bytes of base64 at all'",
    "LANGFLOW_API_KEY_SOURCE": "'db'",
    "LANGFLOW_SUPERUSER": '"administrator"',
    "LANGFLOW_CONFIG_DIR": '"/srv/langflow/config"',
}


@pytest.mark.parametrize("name", QUOTED)
def test_quotes_that_docker_left_are_named(bare: Site, name: str) -> None:
    bare.call("api-key", "create").done()
    result = bare.call("api-key", "create", **{name: QUOTED[name]})
    assert result.code in (2, 4, 7)
    assert "quotes around it" in result.stderr


def test_quotes_around_the_name_of_a_file_are_named(bare: Site) -> None:
    (bare.folder / "key").write_text(SECRET_KEY)
    env = bare.folder / ".env"
    env.write_text(env.read_text().replace("LANGFLOW_SECRET_KEY=", "IGNORED="))
    quoted = f'"{bare.folder / "key"}"'
    bare.call("api-key", "create", LANGFLOW_SECRET_KEY_FILE=quoted).failed(2, "quotes around it")


@pytest.mark.parametrize("form", ["link", "pipe"])
def test_an_env_file_that_is_no_file_is_not_passed_over(bare: Site, form: str) -> None:
    env = bare.folder / ".env"
    env.rename(bare.folder / "elsewhere")
    if form == "link":
        env.symlink_to("gone")
    else:
        os.mkfifo(env)
    bare.call("api-key", "list").failed(2, str(env))
    env.unlink()
    env.mkdir()  # a virtual environment may have that name
    assert "there is no .env" in bare.call("api-key", "list").failed(6).stderr


def test_a_bomb_in_an_env_file_is_an_error(bare: Site) -> None:
    bomb = "A0=xxxxxxxxxx\n" + "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 60))
    _append(bare, bomb)
    bare.call("api-key", "list").failed(2, "exceed")


def test_a_large_env_file_is_an_error(bare: Site) -> None:
    _append(bare, "# " + "x" * (1 << 20))
    bare.call("api-key", "list").failed(2, "larger than", str(bare.folder / ".env"))


# A password file that ends in a newline


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_password_that_was_set_with_the_newline_is_tried_and_told(
    bare: Site, newline: str
) -> None:
    (bare.folder / "password").write_text(f"{PASSWORD}{newline}", newline="")
    settings = {
        "LANGFLOW_SUPERUSER_PASSWORD_FILE": str(bare.folder / "password"),
    }
    assert bare.call("api-key", "list", **settings).done().stderr == "note: no API keys\n"
    bare.database.rows("UPDATE user SET password = ?", (password_hash(f"{PASSWORD}{newline}"),))
    assert "newline" in bare.call("api-key", "list", **settings).done().stderr
    bare.call("api-key", "list").failed(4)  # the password in .env has no newline


# Where .env is


def test_a_relative_url_says_what_it_is_relative_to(bare: Site) -> None:
    result = bare.call("api-key", "list", LANGFLOW_DATABASE_URL="sqlite:///gone.db").failed(6)
    assert str(bare.folder / "gone.db") in result.stderr
    assert f"relative to the current folder, {bare.folder}" in result.stderr


def test_without_settings_here_those_of_a_parent_folder_are_named(bare: Site) -> None:
    inner = bare.folder / "a" / "b"
    inner.mkdir(parents=True)
    lost = Site(inner, home=bare.home)
    result = lost.call("api-key", "list").failed(6)
    said = result.stderr.splitlines()
    assert said[0].startswith(f"error: there is no .env in {inner}; there is no database at ")
    assert f"--env-file {bare.folder / '.env'}" in said[1]
    assert said[1].index("--env-file") < said[1].index("langkeys init")
    lost.call("api-key", "list", "--env-file", str(bare.folder / ".env")).done()
    # As in a container, where LANGFLOW_CONFIG_DIR is set.
    config = {"LANGFLOW_CONFIG_DIR": str(bare.folder / "config")}
    assert "there is no .env in" in lost.call("api-key", "list", **config).failed(6).stderr


def test_a_conflict_warns_before_a_write(bare: Site) -> None:
    write = ("api-key", "create", "--env-file", ".env")
    assert "different values" not in bare.call(*write).done().stderr
    settings = {"langflow_superuser": "administrator", "LANGFLOW_CONFIG_DIR": str(bare.folder)}
    result = bare.call(*write, **settings).done()
    assert "LANGFLOW_CONFIG_DIR has different values in the environment" in result.stderr
    # There is no warning for commands that only read, or without --env-file.
    assert bare.call("api-key", "list", "--env-file", ".env", **settings).done().stderr == ""
    assert "different values" not in bare.call("api-key", "create", **settings).done().stderr


def test_without_a_home_the_config_folder_must_be_named(bare: Site) -> None:
    text = (bare.folder / ".env").read_text()
    without = [line for line in text.splitlines() if "CONFIG_DIR" not in line]
    (bare.folder / ".env").write_text("\n".join(without) + "\n")
    homeless: dict[str, str | None] = {"HOME": None, "XDG_CACHE_HOME": None}
    result = _without_entry(bare, "api-key", "create", **homeless).done()
    assert "LANGFLOW_CONFIG_DIR" in result.stderr  # only the audit log needs it: a warning
    (bare.folder / ".env").write_text(
        "".join(f"{line}\n" for line in without if "SECRET_KEY" not in line)
    )
    _without_entry(bare, "api-key", "create", **homeless).failed(2, "LANGFLOW_CONFIG_DIR")
    assert "no home folder" in _without_entry(bare, "doctor", **homeless).stdout
    # If all paths are set, no home folder is needed.
    for name in (".env", "langflow.db"):
        (bare.folder / name).unlink()
    _without_entry(bare, "init", **homeless).done()
    _without_entry(bare, "api-key", **homeless).done()


def _without_entry(site: Site, *arguments: str, **settings: str | None) -> Result:
    """Run langkeys as root without an entry in /etc/passwd."""
    import sys

    program = (
        "import pwd, sys\n"
        "def nobody(*_): raise KeyError('no entry')\n"
        "pwd.getpwuid = pwd.getpwnam = nobody\n"
        "from langkeys.cli import main\n"
        "sys.exit(main())\n"
    )
    return site.run(*arguments, command=(sys.executable, "-c", program), **settings)


# Owners


def _foreign(site: Site, owner: int = SERVER) -> None:
    """Give the folder and everything in it to another user."""
    for path in (site.folder, *site.folder.rglob("*")):
        give(path, owner)


@needs_root
def test_root_acts_by_the_settings_in_a_servers_folder(bare: Site) -> None:
    _foreign(bare)
    bare.call("api-key", "create").done()
    bare.call("variable", "set", "A", "--value-file", "-", stdin="1").done()


@needs_root
@pytest.mark.parametrize("how", ["owner", "writable"])
def test_a_planted_env_file_is_not_read(bare: Site, how: str) -> None:
    env = bare.folder / ".env"
    if how == "owner":
        give(env, OTHER)
        bare.folder.chmod(0o1777)
    else:
        env.chmod(0o666)
    for command in ("list", "create"):
        result = bare.call("api-key", command).failed(2, str(env))
        assert "--env-file" in result.stderr or f"uid {OTHER}" in result.stderr
    if how == "writable":
        bare.call("api-key", "list", "--env-file", ".env").done()


@needs_root
def test_under_sudo_ones_own_settings_are_read(bare: Site) -> None:
    give(bare.folder / ".env", SERVER)
    bare.call("api-key", "list").failed(2, "of another user")
    bare.call("api-key", "list", SUDO_UID=str(SERVER)).done()


NAMED = ["database", "config folder", "audit log", "secret key file", "database in config folder"]


@needs_root
@pytest.mark.parametrize("what", NAMED)
@pytest.mark.parametrize("vouched", [False, True])
def test_somebody_elses_env_file_leads_to_nobody_elses_things(
    bare: Site, tmp_path: Path, what: str, vouched: bool
) -> None:
    _foreign(bare)
    env = bare.folder / ".env"
    if what == "database":
        give(bare.folder / bare.path, 0)
    elif what == "config folder":
        give(bare.folder / "config", 0)
    elif what == "audit log":
        log = tmp_path / "roots.jsonl"
        log.write_text("")
        _append(bare, f"LANGKEYS_AUDIT_LOG={log}\n")
    elif what == "secret key file":
        (tmp_path / "roots-key").write_text(SECRET_KEY)
        env.write_text(
            env.read_text().replace(
                f"LANGFLOW_SECRET_KEY='{SECRET_KEY}'",
                f"LANGFLOW_SECRET_KEY_FILE={tmp_path / 'roots-key'}",
            )
        )
    else:
        (bare.folder / bare.path).rename(bare.folder / "config" / "langflow.db")
        give(bare.folder / "config" / "langflow.db", 0)
        lines = env.read_text().splitlines()
        lines[0] = "LANGFLOW_SAVE_DB_IN_CONFIG_DIR=true"
        env.write_text("\n".join(lines) + "\n")
    give(env, SERVER)
    line = ("api-key", "create", *(("--env-file", ".env") if vouched else ()))
    result = bare.call(*line)
    if vouched:
        result.done()
    else:
        result.failed(2, f"uid {SERVER}", "--env-file")


@needs_root
def test_somebody_elses_url_gets_no_key_of_ours(bare: Site) -> None:
    _append(bare, "LANGFLOW_URL=http://127.0.0.1:9\n")
    mine = {"LANGFLOW_API_KEY": new_api_key()}
    bare.call("whoami", "--remote", **mine).failed(1)  # the address does not answer
    _foreign(bare)
    for settings, stdin, line in (
        (mine, "", ()),
        ({}, new_api_key(), ("--api-key", "-")),
    ):
        bare.call("whoami", "--remote", *line, stdin=stdin, **settings).failed(
            2, "LANGFLOW_URL", f"uid {SERVER}"
        )
    bare.call("whoami", "--remote", "--env-file", ".env", **mine).failed(1)
    bare.call("whoami", "--url", "http://127.0.0.1:9", **mine).failed(1)
    # A file of another user may say where its own key is sent, but not where a key in this
    # environment is sent.
    _append(bare, f"LANGFLOW_API_KEY={new_api_key()}\n")
    bare.call("whoami", "--remote").failed(1)
    lines = (bare.folder / ".env").read_text().splitlines()
    lines[-1] = "LANGFLOW_API_KEY=${MY_SECRET}"
    (bare.folder / ".env").write_text("\n".join(lines) + "\n")
    bare.call("whoami", "--remote", MY_SECRET=new_api_key()).failed(2)


def test_no_variable_is_put_into_an_address(bare: Site) -> None:
    _append(bare, "LANGFLOW_URL=http://127.0.0.1:9/${MY_SECRET}\n")
    result = bare.call("whoami", "--remote", MY_SECRET="hidden", LANGFLOW_API_KEY=new_api_key())
    result.failed(2, "LANGFLOW_URL", "${")
    assert "hidden" not in result.stderr


@needs_root
def test_an_import_takes_nothing_from_here_into_somebody_elses_file(bare: Site) -> None:
    path = bare.folder / "theirs.env"
    path.write_text("TOKEN=a${MY_SECRET}b\n")
    line = ("variable", "import", str(path), "--only", "TOKEN", "--policy", "overwrite")
    bare.call(*line, MY_SECRET="hidden").done()
    assert bare.call("variable", "show", "TOKEN", "--reveal").stdout == "ahiddenb\n"
    give(path, SERVER)
    bare.call(*line, MY_SECRET="hidden").done()
    assert bare.call("variable", "show", "TOKEN", "--reveal").stdout == "ab\n"
