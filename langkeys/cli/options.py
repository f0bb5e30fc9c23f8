"""Global options, the shape of groups and commands, and what each command gets from them.

Global options are taken before the command or after it: every group and command has them, and the
one nearest to the end counts.
"""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from langkeys.cli.output import Output
from langkeys.errors import LangkeysError, UsageError

if TYPE_CHECKING:
    from langkeys.config.settings import Settings

MOST_ROWS = 1_000_000_000
"""What --limit and --offset take at the most."""

Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation prompt.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, without doing it.")
]


class Invocation:
    """One call of langkeys: its output, and its global options by name.

    Light to import: ``--help`` needs no more. What opens a session of it is in
    ``langkeys.cli.invocation``.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.given: dict[str, str | bool] = {}
        self.settings: Settings | None = None
        """What was read of settings, as soon as it has been."""
        self.refused: Callable[[LangkeysError], None] | None = None
        """Takes what a command is refused, where it changes a server."""


def invocation(context: typer.Context) -> Invocation:
    """Return the invocation that a command belongs to."""
    found = context.find_root().obj
    assert isinstance(found, Invocation)
    return found


def _keep(context: typer.Context, parameter: Any, value: Any) -> Any:
    if value is not None and value is not False:
        found = invocation(context)
        found.given[parameter.name] = value
        if parameter.name == "quiet":
            found.output.quiet = True
    return value


def _global_options() -> list[TyperOption]:
    shared: dict[str, Any] = {"expose_value": False, "callback": _keep}
    return [
        TyperOption(
            param_decls=["--env-file"],
            metavar="FILE",
            help="Read settings from FILE instead of ./.env.",
            **shared,
        ),
        TyperOption(
            param_decls=["--database"],
            metavar="URL_OR_PATH",
            help="Use this database instead of LANGFLOW_DATABASE_URL.",
            **shared,
        ),
        TyperOption(
            param_decls=["--reason"],
            metavar="TEXT",
            help="Record TEXT as the reason in the audit trail.",
            **shared,
        ),
        TyperOption(
            param_decls=["--quiet", "-q"],
            is_flag=True,
            help="Hide notes and progress, not warnings and errors.",
            **shared,
        ),
    ]


_WHOLE_KEY = re.compile(r"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{32,}")
_VALUED = frozenset({"--env-file", "--database", "--reason"})


class Command(TyperCommand):
    """A command with the global options, whose usage errors do not repeat what was typed."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(_global_options())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse extra arguments without showing them: one may be a secret typed by mistake."""
        self.allow_extra_args = ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            plural = "" if len(rest) == 1 else "s"
            raise UsageError(
                f"{len(rest)} argument{plural} too many for {ctx.command_path}",
                hint=f"{ctx.command_path} --help; a secret is never given as an argument",
            )
        return rest


class JsonCommand(Command):
    """A command that can answer with one JSON document."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        # Its value is looked for before the command line is parsed: an error in parsing it is
        # answered in JSON, too.
        self.params.insert(
            -len(_VALUED) - 1,
            TyperOption(
                param_decls=["--json"],
                is_flag=True,
                expose_value=False,
                help="Print one JSON document.",
            ),
        )


class EncryptingCommand(JsonCommand):
    """A command that writes encrypted values, and may be told that an old secret key is gone."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        options = [
            TyperOption(
                param_decls=["--accept-secret-key"],
                is_flag=True,
                expose_value=False,
                callback=_keep,
                help="Continue although this secret key decrypts none of the stored "
                "values. Use it only if the old key is lost.",
            )
        ]
        if all(parameter.name != "yes" for parameter in self.params):
            options.append(
                TyperOption(
                    param_decls=["--yes"],
                    is_flag=True,
                    expose_value=False,
                    callback=_keep,
                    help="Skip the confirmation prompt.",
                )
            )
        self.params[-len(_VALUED) - 2 : -len(_VALUED) - 2] = options


class RemoteCommand(JsonCommand):
    """A command that can ask a live server over REST instead of its database; see ``is_remote``."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        shared: dict[str, Any] = {"expose_value": False, "callback": _keep}
        self.params[-len(_VALUED) - 2 : -len(_VALUED) - 2] = [
            TyperOption(
                param_decls=["--url"],
                metavar="URL",
                help="Use this Langflow server over REST instead of its database.",
                **shared,
            ),
            TyperOption(
                param_decls=["--remote"],
                is_flag=True,
                help="Use the server in LANGFLOW_URL over REST.",
                **shared,
            ),
            TyperOption(
                param_decls=["--via"],
                metavar="header|query",
                help="Over REST: how to send the API key (default: header).",
                **shared,
            ),
        ]


class RemoteEncryptingCommand(RemoteCommand, EncryptingCommand):
    """A command that does on a database what ``EncryptingCommand`` says, or asks a server."""


def is_remote(context: typer.Context) -> bool:
    """Tell whether a command is to ask a server over REST; LANGFLOW_URL alone does not make it."""
    given = invocation(context).given
    if "url" not in given and "remote" not in given:
        if "via" in given:
            raise UsageError("--via requires --url or --remote", hint="use --url URL or --remote")
        return False
    if "database" in given:
        raise UsageError(
            "--database cannot be used with --url or --remote: langkeys uses either"
            " the database or the server"
        )
    if "accept_secret_key" in given:
        raise UsageError(
            "--accept-secret-key cannot be used with --url or --remote: the server"
            " encrypts with its own secret key"
        )
    return True


class Group(TyperGroup):
    """A group with the global options, whose members are imported when they are called.

    ``members`` maps a name to the module that holds its ``app`` and its line of help. ``default``
    is the command that is meant where none is named.
    """

    members: ClassVar[Mapping[str, tuple[str, str]]] = {}
    default: ClassVar[str | None] = None

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.params.extend(_global_options())

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the members, imported or not."""
        return [*super().list_commands(ctx), *self.members]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the member that is called."""
        if cmd_name in self.members and cmd_name not in self.commands:
            module, _ = self.members[cmd_name]
            command = typer.main.get_command(import_module(module).app)
            command.name = cmd_name
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the members without importing them."""
        if not self.members:
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.members.items()])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the default command where none is named; show the help where nothing is."""
        if ctx.resilient_parsing:
            pass  # a shell asks what could come next: nothing is meant yet
        elif self.default is not None and _names_no_command(args):
            args = [self.default, *args]
        elif not args:
            args = ["--help"]
        return super().parse_args(ctx, args)


def _names_no_command(args: list[str]) -> bool:
    position = 0
    while position < len(args):
        argument = args[position]
        name = argument.partition("=")[0]
        if name in _VALUED:
            position += 1 if "=" in argument else 2
        elif argument in ("-q", "--quiet"):
            position += 1
        else:
            return argument.startswith("-") and argument != "--help"
    return True


def own_arguments(args: list[str]) -> list[str]:
    """Return the arguments without those of the program that ``langkeys run -- ...`` starts."""
    if "--" in args:
        before = args[: args.index("--")]
        if "run" in before:
            return before
    return args


def refuse_keys_in_arguments(args: list[str]) -> None:
    """Raise UsageError where an API key stands in the arguments of langkeys itself."""
    for argument in own_arguments(args):
        if _WHOLE_KEY.search(argument):
            raise UsageError(
                "an API key was given as an argument: it is now in the shell's"
                " history and was in the process list",
                hint="revoke that key, and pass keys on stdin: langkeys api-key revoke - < FILE",
            )


def new_app(**attributes: Any) -> typer.Typer:
    """Make a Typer app as all of langkeys' are: plain help, no traceback decoration."""
    attributes.setdefault("add_completion", False)
    # Rich markup in the help doubles the time of --help.
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, **attributes)
