"""A store created by `langkeys init`, and a real server that starts on it.

`init` creates the tables of Langflow 1.13, which is the only version that adopts them.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .database import TABLES, Database
from .langflow_rest import Via
from .langflow_server import LangflowServer
from .langkeys_process import Langkeys

pytestmark = pytest.mark.only_with("1.13.0")


@dataclass
class Made:
    """A folder in which `langkeys init` ran, with the tables and the key right after it."""

    folder: Path
    langkeys: Langkeys
    shape: dict[tuple[str, str], str | None]
    key: str

    @property
    def database(self) -> Database:
        return Database(self.folder / "langflow.db")

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Run `langkeys init && langkeys api-key` in an empty folder, without any settings."""
    folder = tmp_path_factory.mktemp("init")
    langkeys = Langkeys(folder)
    run = langkeys("init").done()
    assert run.stdout == ""
    shape = Database(folder / "langflow.db").shape()
    key = langkeys("api-key").done().stdout.strip()
    return Made(folder, langkeys, shape, key)


@pytest.fixture(scope="module")
def booted(
    made: Made, version: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LangflowServer]:
    """A server started with --env-file on the store that `init` created."""
    folder = tmp_path_factory.mktemp("booted")
    with LangflowServer(
        version, folder, env_file=made.env_file, database=made.database.path
    ) as server:
        yield server


def test_what_init_makes_is_for_its_owner_alone(made: Made) -> None:
    for path in (made.env_file, made.database.path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_tables_are_those_of_the_live_server(made: Made, server: LangflowServer) -> None:
    live = Database(server.database).shape()
    assert {name for kind, name in live if kind == "table"} == set(TABLES)
    assert made.shape == live


def test_nothing_but_those_tables_is_made(made: Made) -> None:
    """Servers check the existing tables in various ways, so langkeys adds none of its own."""
    names = made.database.query("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {row["name"] for row in names} >= set(TABLES)
    assert {name for kind, name in made.shape if kind == "table"} == set(TABLES)


@pytest.mark.parametrize("via", ["header", "query"])
def test_a_key_made_before_the_first_boot_works(
    via: Via, made: Made, booted: LangflowServer
) -> None:
    answer = booted.rest.whoami(made.key, via)
    assert answer.status == 200
    assert answer.body["username"] == "administrator"
    assert answer.body["is_superuser"] is True


def test_the_server_adopted_the_store_and_made_no_other(made: Made, booted: LangflowServer) -> None:
    assert booted.rest.whoami(made.key).status == 200
    assert [row["username"] for row in made.database.query("SELECT username FROM user")] == [
        "administrator"
    ]
    assert made.database.query("SELECT version_num FROM alembic_version") == [
        {"version_num": "e5a7c9b1d3f2"}
    ]
    assert list(booted.folder.rglob("langflow.db")) == []


def test_keys_come_and_go_beside_the_booted_server(made: Made, booted: LangflowServer) -> None:
    new = made.langkeys("api-key", "create", "--name", "beside", "--json").done().json()
    assert booted.rest.whoami(new["api_key"]).status == 200
    here = made.langkeys("whoami", "--api-key", "-", "--json", stdin=new["api_key"]).done().json()
    url = booted.url
    there = made.langkeys(
        "whoami", "--url", url, "--api-key", "-", "--json", stdin=new["api_key"]
    ).done()
    assert {field: value for field, value in here.items() if field != "api_key"} == there.json()
    made.langkeys("api-key", "revoke", "beside", "--yes").done()
    assert booted.rest.whoami(new["api_key"]).status == 403
    assert booted.rest.whoami(made.key).status == 200


def test_the_generated_password_logs_in_at_the_server(made: Made, booted: LangflowServer) -> None:
    lines = made.env_file.read_text(encoding="utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    password = settings["LANGFLOW_SUPERUSER_PASSWORD"].strip("'\"")
    assert booted.rest.login("administrator", password)


def test_init_run_again_changes_nothing(made: Made, booted: LangflowServer) -> None:
    assert booted.is_running
    env, users = made.env_file.read_bytes(), made.database.query("SELECT * FROM user")
    run = made.langkeys("init").done()
    assert run.stdout == ""
    assert made.env_file.read_bytes() == env
    assert made.database.query("SELECT * FROM user") == users
    assert booted.rest.whoami(made.key).status == 200
