"""Groups of commands, which import their members when they are called."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from langkeys.cli.arguments import names_no_command, starts_with_option
from langkeys.cli.options import (
    fill_exit_codes,
    global_options,
    invocation,
    name_command,
    write_page,
)

IMPLIED = "langkeys.implied"
"""In ``meta`` of a context if its command was not named, but is the default of its group."""


def context_of(parent: Any, command: Any, name: str) -> Any:
    """Return a context for a subcommand, without parsing anything."""
    return typer.Context(command, info_name=name, parent=parent)


class Group(TyperGroup):
    """A group with the global options; it imports a member when that member is called.

    ``members`` maps a name to a module with an ``app``, and to a line of help. ``default`` is the
    command that runs if none is named.
    """

    members: ClassVar[Mapping[str, tuple[str, str]]] = {}
    default: ClassVar[str | None] = None

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.params.extend(global_options())
        fill_exit_codes(self)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all members, imported or not."""
        return [*super().list_commands(ctx), *self.members]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return the member that is called."""
        if cmd_name in self.members and cmd_name not in self.commands:
            module, _ = self.members[cmd_name]
            command = typer.main.get_command(import_module(module).app)
            command.name = cmd_name
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the member that is called; suggest others if it does not exist."""
        name, *rest = args
        if name == "help" and name not in self.members:
            # Accept ``langkeys api-key help create``, as other programs do.
            name, rest = (rest[0], ["--help"]) if rest else (ctx.info_name, [])
            if not rest:
                invocation(ctx).output.data(f"{ctx.get_help()}\n")
                raise typer.Exit
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            from langkeys.cli.help.suggestions import commands_like, unknown_command

            raise unknown_command(ctx, name, commands_like(ctx, name))
        return (None if command is None else name), command, rest

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Also complete the options of the default command."""
        offered = super().shell_complete(ctx, incomplete)
        if self.default is not None and incomplete.startswith("-"):
            command = self.get_command(ctx, self.default)
            known = {item.value for item in offered}
            below = command.shell_complete(context_of(ctx, command, self.default), incomplete)
            offered += [item for item in below if item.value not in known]
        return offered

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this group without importing its members."""
        write_page(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default command if none is named; without any arguments, show the help."""
        if ctx.resilient_parsing:
            # A shell asks for the next word. Offer verbs, unless an option of the default command
            # comes first.
            if self.default is not None and args and starts_with_option(args):
                args = [self.default, *args]
        elif self.default is not None and names_no_command(args):
            ctx.meta[IMPLIED] = True
            args = [self.default, *args]
        elif not args:
            args = ["--help"]
        with name_command(ctx):
            return super().parse_args(ctx, args)
