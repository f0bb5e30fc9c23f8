"""The root of the command line, and the one module that turns errors into exit codes."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any, ClassVar, NoReturn

import typer

from langkeys import __version__
from langkeys.cli.arguments import own_arguments, refuse_keys_in_arguments
from langkeys.cli.groups import Group
from langkeys.cli.options import Invocation, new_app
from langkeys.cli.output import Output, UndeliveredError
from langkeys.errors import FailedError, InterruptedCommandError, LangkeysError, UsageError

COMPLETE = "_LANGKEYS_COMPLETE"
"""The environment variable that a shell sets to ask for completions."""

MAX_FRAMES = 20
"""The number of frames that are shown at each end of a long traceback."""


class Root(Group):
    """The commands of langkeys."""

    members: ClassVar = {
        "init": ("langkeys.cli.init", "Create a store and its settings."),
        "whoami": ("langkeys.cli.whoami", "Show the acting user, or the user of an API key."),
        "doctor": ("langkeys.cli.doctor", "Find problems in a deployment."),
        "api-key": ("langkeys.cli.api_key", "Create, list, rotate and revoke API keys."),
        "variable": ("langkeys.cli.variable", "Set, list, import and export variables."),
        "plan": ("langkeys.cli.plan", "Show what apply would change."),
        "apply": ("langkeys.cli.apply", "Make a deployment match a file."),
        "manifest": ("langkeys.cli.manifest", "Print the stored state as a file for apply."),
        "run": ("langkeys.cli.run", "Run a program with Credential variables in its environment."),
        "user": ("langkeys.cli.user", "Create, list and change users."),
        "secret-key": ("langkeys.cli.secret_key", "Generate, check and rotate the secret key."),
        "backup": ("langkeys.cli.backup", "Back up the database, even while the server runs."),
        "audit": ("langkeys.cli.audit", "Show the audit trail."),
        "help": ("langkeys.cli.help.command", "Show the help of a command or a topic."),
    }


app = new_app(cls=Root)


def _print_version(value: bool) -> None:
    if value:
        Output(as_json=False).data(f"langkeys {__version__}\n")
        raise typer.Exit


def _install_completion(context: typer.Context, value: bool) -> None:
    if value and not context.resilient_parsing:
        from langkeys.cli import shell_scripts

        shell_scripts.install(context)


def _show_completion(context: typer.Context, value: bool) -> None:
    if value and not context.resilient_parsing:
        from langkeys.cli import shell_scripts

        shell_scripts.show(context)


@app.callback()
def langkeys(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            is_eager=True,
            callback=_install_completion,
            help="Install completion for your shell: bash, zsh or fish.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            is_eager=True,
            callback=_show_completion,
            help="Print what --install-completion installs.",
        ),
    ] = False,
) -> None:
    """Administer the API keys and credential variables of a Langflow server.

    langkeys works directly on the server's database, SQLite or PostgreSQL, whether or not the
    server is running. It can also create a database of its own.

    \b
    Examples:
      langkeys init && langkeys api-key         create a store and its first key
      langkeys api-key --name ci --expires 90d  create a key on an existing server
      langkeys api-key list --all-users         see all keys
      langkeys doctor                           find problems
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run langkeys and return its exit code; ``arguments`` default to those of the process."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(as_json="--json" in own_arguments(args))
    try:
        return _answered(args, output)
    except KeyboardInterrupt:
        output.error(InterruptedCommandError("interrupted"))
        return InterruptedCommandError.exit_code
    except Exception as error:  # noqa: BLE001 - any unexpected error
        from langkeys.config.settings import is_debugging

        output.error(_unexpected(error), details=_trace(error) if is_debugging() else ())
        return FailedError.exit_code


def _answered(args: list[str], output: Output) -> int:
    call = Invocation(output)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        own = own_arguments(args)
        args = [*map(_as_text, own), *map(_as_it_is, args[len(own) :])]
        refuse_keys_in_arguments(args)
        result = _run_recorded(args, call)
        output.finish()
    except UndeliveredError as error:
        if not error.closed_pipe or error.hint:
            output.error(error)
        return error.exit_code
    except LangkeysError as error:
        if call.settings is not None:
            call.settings.explain(error)
        output.error(error)
        return error.exit_code
    return result


def _run_recorded(args: list[str], call: Invocation) -> int:
    try:
        return _run(args, call)
    except LangkeysError as error:
        if call.refused is not None:
            call.refused(error)
        raise


def _unexpected(error: Exception) -> FailedError:
    """Describe an error without its message, which may contain a secret."""
    if isinstance(error, OSError) and error.strerror:
        # For example, the working folder may have been deleted.
        named = "" if error.filename is None else f": {error.filename}"
        return FailedError(f"{error.strerror}{named}")
    where = _frames_of(error)[-1].rpartition("/")[2]
    return FailedError(
        f"unexpected error: {type(error).__name__} in {where}",
        hint="this is a bug in langkeys; set LANGKEYS_DEBUG=1 in the environment for details",
    )


def _trace(error: BaseException) -> list[str]:
    """Return types and code locations of an error and its causes, without messages or values."""
    lines: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        lines += [f"{type(cause).__module__}.{type(cause).__qualname__}", *_frames_of(cause)]
        cause = cause.__cause__ or cause.__context__
    return lines


def _frames_of(error: BaseException) -> list[str]:
    """Return file, line and function of each frame of a traceback, the outermost first."""
    places = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        places.append(f"{code.co_filename}:{step.tb_lineno} ({code.co_name})")
        step = step.tb_next
    if len(places) > 2 * MAX_FRAMES:  # for example after a recursion
        left_out = len(places) - 2 * MAX_FRAMES
        places[MAX_FRAMES:-MAX_FRAMES] = [f"... {left_out} more"]
    return places


def _run(args: list[str], invocation: Invocation) -> int:
    if COMPLETE in os.environ:
        from langkeys.cli import shell_scripts

        shell_scripts.prepare()
    command = typer.main.get_command(app)
    try:
        result: Any = command.main(
            args, prog_name="langkeys", standalone_mode=False, obj=invocation
        )
    except typer.TyperException as error:
        from langkeys.cli.help.suggestions import parse_error

        raise parse_error(error) from None
    except (typer.Abort, EOFError):
        raise InterruptedCommandError("interrupted") from None
    if result == InterruptedCommandError.exit_code:  # Typer's result after a KeyboardInterrupt
        raise InterruptedCommandError("interrupted")
    return result if isinstance(result, int) else 0


def _as_text(argument: str) -> str:
    # Arguments are UTF-8 in every locale, but in an ASCII locale Python passes on raw bytes.
    try:
        return os.fsencode(argument).decode()
    except UnicodeError:
        raise UsageError("an argument is not UTF-8 text") from None


def _as_it_is(argument: str) -> str:
    # Arguments for another program may be bytes that are not text.
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    # Raise an exception, so that transactions are rolled back and staged files removed.
    sys.exit(128 + number)
