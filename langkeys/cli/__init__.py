"""The command line: the root of its commands, and the one place that turns errors to exit codes."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any, ClassVar, NoReturn

import typer

from langkeys import __version__
from langkeys.cli.options import Group, Invocation, new_app, refuse_keys_in_arguments
from langkeys.cli.output import Output, UndeliveredError
from langkeys.errors import InterruptedCommandError, LangkeysError, UsageError


class Root(Group):
    """The commands of langkeys."""

    members: ClassVar = {
        "init": ("langkeys.cli.init", "Make a store and its settings where there are none."),
        "whoami": ("langkeys.cli.whoami", "Show who is acting, or whose API key this is."),
        "doctor": ("langkeys.cli.doctor", "Look for what is wrong with a deployment."),
        "api-key": ("langkeys.cli.api_key", "Make, list, show and revoke API keys."),
    }


app = new_app(cls=Root, add_completion=True)


def _print_version(value: bool) -> None:
    if value:
        Output(as_json=False).data(f"langkeys {__version__}\n")
        raise typer.Exit


@app.callback()
def langkeys(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Administer the API keys and credential variables of a Langflow server.

    langkeys works on the server's SQLite database, running or not, and on a store of its own.

    \b
    Examples:
      langkeys init && langkeys api-key            a store of its own, and its first key
      langkeys api-key --name ci --expires 90d     a key for the server beside it
      langkeys api-key list --all-users --json
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run langkeys and return its exit code; arguments are the process's own by default."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(as_json="--json" in (args[: args.index("--")] if "--" in args else args))
    signal.signal(signal.SIGTERM, _terminated)
    try:
        refuse_keys_in_arguments(args)
        result = _run(args, Invocation(output))
    except UndeliveredError as error:
        if not error.closed_pipe or error.hint:
            output.error(error)
        return error.exit_code
    except LangkeysError as error:
        output.error(error)
        return error.exit_code
    output.finish()
    return result


def _run(args: list[str], invocation: Invocation) -> int:
    command = typer.main.get_command(app)
    try:
        result: Any = command.main(
            args, prog_name="langkeys", standalone_mode=False, obj=invocation
        )
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = "langkeys" if context is None else context.command_path
        raise UsageError(error.format_message(), hint=f"see {path} --help") from None
    except (typer.Abort, EOFError):
        raise InterruptedCommandError("interrupted") from None
    if result == InterruptedCommandError.exit_code:  # Typer's answer to a KeyboardInterrupt
        raise InterruptedCommandError("interrupted")
    return result if isinstance(result, int) else 0


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    # As an exception, so that transactions are rolled back and staged files removed.
    sys.exit(128 + number)
