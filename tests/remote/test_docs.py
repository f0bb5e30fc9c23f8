"""The tables of versions and options in docs/rest.md match the code."""

from __future__ import annotations

import re
from pathlib import Path

from langkeys.cli.groups import Group
from langkeys.cli.options import RemoteCommand
from langkeys.remote.abilities import ABILITIES, VERSIONS, table_lines
from langkeys.remote.client import TIMEOUT
from langkeys.remote.variables import SLOW

from ..support.commands import command_named, paths

DOCS = (Path(__file__).parents[2] / "docs" / "rest.md").read_text(encoding="utf-8")


def test_the_table_of_commands_and_versions_is_the_codes() -> None:
    assert "\n".join(table_lines()) in DOCS
    assert [line for line in DOCS.splitlines() if line.startswith("| command |")] == [
        f"| command | {' | '.join(VERSIONS)} | note |"
    ]


def test_every_command_that_asks_a_server_is_in_the_table_and_no_other() -> None:
    remote = {path for path in paths() if isinstance(command_named(path), RemoteCommand)}
    named = {re.sub(r" --.*", "", ability.name) for ability in ABILITIES} - {"variable"}
    assert named == remote


def test_every_option_of_the_table_is_one() -> None:
    for ability in ABILITIES:
        path, _, option = ability.name.partition(" --")
        command = command_named(path)
        if isinstance(command, Group):
            command = command_named(f"{path} set")
        names = {name for parameter in command.params for name in parameter.opts}
        assert not option or f"--{option}" in names, ability.name


def test_the_times_of_the_page_are_the_codes() -> None:
    said = f"{TIMEOUT:.0f} seconds for the complete answer ({SLOW:.0f} for setting a variable"
    assert said in DOCS
