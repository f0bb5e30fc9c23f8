"""A case for every command: arguments with which it succeeds, and who may run it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

from langkeys.cli import app
from langkeys.cli.groups import Group

from .databases import Database
from .samples import CREDENTIAL, encrypted

KEY_NAME, USER, VARIABLE = "walked", "alice", "WALKED_TOKEN"
"""The API key, user and variable that must exist so that all cases succeed; see ``fill``."""


def fill(database: Database, superuser: str) -> None:
    """Add the rows that the cases need."""
    alice = database.add_user(USER, is_superuser=False)
    database.add_key(alice, KEY_NAME)
    database.add_variable(superuser, VARIABLE, encrypted(CREDENTIAL))


MANIFEST = f"""
version: 1
users:
  {USER}:
    variables: {{NEW: {{type: Generic, value: "1"}}}}
"""


@dataclass(frozen=True)
class CommandCase:
    """One command, with arguments and stdin with which a superuser's call succeeds."""

    path: str
    arguments: tuple[str, ...]
    stdin: str = ""

    @property
    def line(self) -> tuple[str, ...]:
        return (*self.path.split(), *self.arguments)


def paths() -> list[str]:
    """Return the paths of all commands in the command tree, sorted."""
    return sorted(_paths(typer.main.get_command(app), ()))


def _paths(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(command, Group):
        for name in command.list_commands(None):
            if name in command.members:
                module = command.members[name][0]
                yield from _paths(typer.main.get_command(import_module(module).app), (*path, name))
            else:
                yield " ".join((*path, name))
    else:
        yield " ".join(path)


def command_named(path: str) -> Any:
    """Return the command at a path of the command tree."""
    command: Any = typer.main.get_command(app)
    for name in path.split():
        command = command.get_command(None, name)
    return command


def _case(path: str, *arguments: str, stdin: str = "") -> CommandCase:
    return CommandCase(path, arguments, stdin)


ALL = (
    _case("api-key activate", KEY_NAME),
    _case("api-key create"),
    _case("api-key deactivate", KEY_NAME),
    _case("api-key ensure", "app", "--value-file", "value"),
    _case("api-key list"),
    _case("api-key migrate"),
    _case("api-key prune", "--user", USER, "--yes"),
    _case("api-key revoke", KEY_NAME, "--yes"),
    _case("api-key rotate", KEY_NAME, "--yes"),
    _case("api-key show", KEY_NAME),
    _case("api-key update", KEY_NAME, "--name", "other"),
    _case("apply", "-f", "-", stdin=MANIFEST),
    _case("audit"),
    _case("backup", "copy.db"),
    _case("doctor"),
    _case("help"),
    _case("init"),
    _case("manifest"),
    _case("plan", "-f", "-", stdin=MANIFEST),
    _case("run", "--", "true"),
    _case("secret-key check"),
    _case("secret-key generate"),
    _case("secret-key rotate", "--new-key-file", "new-secret-key", "--yes"),
    _case("user activate", USER),
    _case("user create", "bob", "--random"),
    _case("user deactivate", USER),
    _case("user demote", USER),
    _case("user list"),
    _case("user promote", USER),
    _case("user set-password", USER, "--random"),
    _case("user show", USER),
    _case("variable delete", VARIABLE, "--yes"),
    _case("variable explain", VARIABLE),
    _case("variable export", "--reveal"),
    _case("variable import", "-", "--only", "X", stdin="X=1\n"),
    _case("variable list"),
    _case("variable set", "X", "--value-file", "-", stdin="1"),
    _case("variable show", VARIABLE),
    _case("whoami"),
)
"""All commands; a test asserts that none is missing."""

NEED_NOBODY = frozenset(
    ("audit", "backup", "doctor", "help", "init", "secret-key check", "secret-key generate")
)
"""The commands that anybody who can read the files may run."""

NEED_A_USER = frozenset(("whoami",))
"""The commands that need an authenticated user, superuser or not."""
