"""Every command of langkeys with arguments that it would succeed with, and whom it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

from langkeys.cli import app
from langkeys.cli.options import Group

from .databases import Database
from .samples import CREDENTIAL, encrypted

KEY_NAME, USER, VARIABLE = "walked", "alice", "WALKED_TOKEN"
"""What is on a site on which every command has something to do; see ``fill``."""


def fill(database: Database, superuser: str) -> None:
    """Add what every command has something to do with."""
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
class Walked:
    """One command, and a command line of it that somebody who may act could give."""

    path: str
    arguments: tuple[str, ...]
    stdin: str = ""

    @property
    def line(self) -> tuple[str, ...]:
        return (*self.path.split(), *self.arguments)


def paths() -> list[str]:
    """Return the path of every command there is, from the tree that the command line runs."""
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
    """Return the command at a path of the tree."""
    command: Any = typer.main.get_command(app)
    for name in path.split():
        command = command.get_command(None, name)
    return command


def _walked(path: str, *arguments: str, stdin: str = "") -> Walked:
    return Walked(path, arguments, stdin)


EVERY = (
    _walked("api-key activate", KEY_NAME),
    _walked("api-key create"),
    _walked("api-key deactivate", KEY_NAME),
    _walked("api-key ensure", "app", "--value-file", "value"),
    _walked("api-key list"),
    _walked("api-key migrate"),
    _walked("api-key prune", "--user", USER, "--yes"),
    _walked("api-key revoke", KEY_NAME, "--yes"),
    _walked("api-key rotate", KEY_NAME, "--yes"),
    _walked("api-key show", KEY_NAME),
    _walked("api-key update", KEY_NAME, "--name", "other"),
    _walked("apply", "-f", "-", stdin=MANIFEST),
    _walked("audit"),
    _walked("backup", "copy.db"),
    _walked("doctor"),
    _walked("help"),
    _walked("init"),
    _walked("manifest"),
    _walked("plan", "-f", "-", stdin=MANIFEST),
    _walked("run", "--", "true"),
    _walked("secret-key check"),
    _walked("secret-key generate"),
    _walked("secret-key rotate", "--new-key-file", "new-secret-key", "--yes"),
    _walked("user activate", USER),
    _walked("user create", "bob", "--random"),
    _walked("user deactivate", USER),
    _walked("user demote", USER),
    _walked("user list"),
    _walked("user promote", USER),
    _walked("user set-password", USER, "--random"),
    _walked("user show", USER),
    _walked("variable delete", VARIABLE, "--yes"),
    _walked("variable explain", VARIABLE),
    _walked("variable export", "--reveal"),
    _walked("variable import", "-", "--only", "X", stdin="X=1\n"),
    _walked("variable list"),
    _walked("variable set", "X", "--value-file", "-", stdin="1"),
    _walked("variable show", VARIABLE),
    _walked("whoami"),
)
"""All commands; a test holds that none is missing."""

NEED_NOBODY = frozenset(
    ("audit", "backup", "doctor", "help", "init", "secret-key check", "secret-key generate")
)
"""What the contract lets anybody do who can read the files."""

NEED_A_USER = frozenset(("whoami",))
"""What needs somebody who can be authenticated, superuser or not."""
