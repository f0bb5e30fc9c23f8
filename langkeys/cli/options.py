"""Global options and commands.

Global options may come before or after a command: every group and command has them. If an option is
repeated, the last one counts.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from langkeys.cli.arguments import VALUED
from langkeys.cli.completion import complete_users, complete_variables
from langkeys.cli.output import Output
from langkeys.cli.terminal import take_stdin
from langkeys.errors import EXIT_CODES, LangkeysError, UsageError

if TYPE_CHECKING:
    from langkeys.config.settings import Settings

MAX_ROWS = 1_000_000_000
"""The maximum of --limit and --offset."""

Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation prompt.")]
UserOption = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="USER",
        help="The owner, by user name or id.",
        autocompletion=complete_users,
    ),
]
UserArgument = Annotated[
    str,
    typer.Argument(
        metavar="USER",
        help="The user, by user name or id.",
        show_default=False,
        autocompletion=complete_users,
    ),
]
VariableArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The variable's name, or its id.",
        show_default=False,
        autocompletion=complete_variables,
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=0, max=MAX_ROWS, help="Show at most N.")
]
Offset = Annotated[
    int, typer.Option("--offset", metavar="N", min=0, max=MAX_ROWS, help="Skip the first N.")
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort", metavar="FIELD", help="Sort by this field; -FIELD for descending order."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, without doing it.")
]


class Invocation:
    """One run of langkeys: its output, and its global options by name.

    Fast to import, because ``--help`` needs nothing else. ``langkeys.cli.invocation`` opens the
    session.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.given: dict[str, str | bool] = {}
        self.settings: Settings | None = None
        """The settings, after they have been read."""
        self.refused: Callable[[LangkeysError], None] | None = None
        """Records a refusal; set by commands that change a server."""


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


class GlobalOption(TyperOption):
    """An option of every command; only the root's help describes it."""


class RemoteOption(TyperOption):
    """An option for using a live server; the help lists these options separately."""


def global_options() -> list[TyperOption]:
    """Return new global options, for one command or group."""
    shared: dict[str, Any] = {"expose_value": False, "callback": _keep}
    return [
        GlobalOption(
            param_decls=["--env-file"],
            metavar="FILE",
            help="Read settings from FILE instead of ./.env.",
            **shared,
        ),
        GlobalOption(
            param_decls=["--database"],
            metavar="URL_OR_PATH",
            help="Use this database instead of LANGFLOW_DATABASE_URL.",
            **shared,
        ),
        GlobalOption(
            param_decls=["--reason"],
            metavar="TEXT",
            help="Record TEXT as the reason in the audit trail.",
            **shared,
        ),
        GlobalOption(
            param_decls=["--quiet", "-q"],
            is_flag=True,
            help="Hide notes and progress, not warnings and errors.",
            **shared,
        ),
    ]


_EXIT = re.compile(r"(?<=xit\s)\{(\w+)\}")


def fill_exit_codes(command: Any) -> None:
    """Replace ``exit {conflict}`` and the like in the help of a command and its parameters."""
    for described in (command, *command.params):
        text = getattr(described, "help", None)
        if text and "{" in text:
            described.help = _EXIT.sub(lambda code: str(EXIT_CODES[code[1]]), text)


@contextmanager
def name_command(context: Any) -> Iterator[None]:
    """Add the command to a parsing error that lacks it."""
    try:
        yield
    except typer.TyperException as error:
        if getattr(error, "ctx", None) is None:
            error.ctx = context  # type: ignore[attr-defined]
        raise


def write_page(context: Any, formatter: Any) -> None:
    """Write the help of a command or group."""
    from langkeys.cli.help.pages import text_of

    formatter.write(text_of(context, formatter.width))


def _reads_stdin(given: Mapping[str, Any]) -> bool:
    """Tell whether an argument means stdin; for output files, ``-`` means stdout."""
    return any(
        str(item) == "-"
        for name, value in given.items()
        if name not in ("write_to", "command") and value is not None
        for item in (value if isinstance(value, list | tuple) else (value,))
    )


class Command(TyperCommand):
    """A command with the global options; its usage errors do not repeat the typed text."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        listing = getattr(attributes.get("callback"), "listing", None)
        if listing is not None:
            from langkeys.cli.present.options import listing_options

            self.params.extend(listing_options(listing))
        self.params.extend(global_options())
        fill_exit_codes(self)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this command."""
        write_page(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse extra arguments without showing them: one may be a secret typed by mistake."""
        self.allow_extra_args = ctx.allow_extra_args = True
        with name_command(ctx):
            rest = super().parse_args(ctx, args)
        take_stdin(is_data=_reads_stdin(ctx.params))
        if rest and not ctx.resilient_parsing:
            from langkeys.cli.help.suggestions import too_many_arguments

            raise too_many_arguments(ctx, rest)
        return rest


class JsonCommand(Command):
    """A command that can print one JSON document."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        # main() looks for --json before the command line is parsed, so that parsing errors are JSON
        # too.
        self.params.insert(
            -len(VALUED) - 1,
            TyperOption(
                param_decls=["--json"],
                is_flag=True,
                expose_value=False,
                help="Print one JSON document.",
            ),
        )


class EncryptingCommand(JsonCommand):
    """A command that encrypts values; it has an option to give up values of a lost secret key."""

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
        self.params[-len(VALUED) - 2 : -len(VALUED) - 2] = options


class RemoteCommand(JsonCommand):
    """A command that can use a live server over REST instead of its database; see ``is_remote``."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        shared: dict[str, Any] = {"expose_value": False, "callback": _keep}
        self.params[-len(VALUED) - 2 : -len(VALUED) - 2] = [
            RemoteOption(
                param_decls=["--url"],
                metavar="URL",
                help="Use this Langflow server instead of its database.",
                **shared,
            ),
            RemoteOption(
                param_decls=["--remote"],
                is_flag=True,
                help="Use the server in LANGFLOW_URL.",
                **shared,
            ),
            RemoteOption(
                param_decls=["--via"],
                metavar="header|query",
                help="How to send the API key. Default: header.",
                **shared,
            ),
        ]


class RemoteEncryptingCommand(RemoteCommand, EncryptingCommand):
    """An ``EncryptingCommand`` that can also use a live server."""


def is_remote(context: typer.Context) -> bool:
    """Tell whether a command uses a server over REST; LANGFLOW_URL alone is not enough."""
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


def new_app(**attributes: Any) -> typer.Typer:
    """Return a Typer app with plain help and without decorated tracebacks."""
    attributes.setdefault("add_completion", False)
    # Rich markup in the help would double the time of --help.
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **attributes,
    )
