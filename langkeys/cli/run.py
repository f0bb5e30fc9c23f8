"""``langkeys run``."""

import os
import signal
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from langkeys.cli.completion import complete_variables
from langkeys.cli.invocation import variable_session
from langkeys.cli.options import Command, UserOption, invocation, new_app
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import CommandNotFoundError, CommandNotRunError, LangkeysError
from langkeys.sessions.session import Access
from langkeys.variables import run_environment

app = new_app()


@app.command(cls=Command, context_settings={"allow_interspersed_args": False})
def run(
    context: typer.Context,
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND...",
            help="The program and its arguments, usually after --.",
            show_default=False,
        ),
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Only this variable; repeatable.",
            autocompletion=complete_variables,
        ),
    ] = None,
    user: UserOption = None,
) -> None:
    """Run a program with the Credential variables of the acting user, or of --user.

    The variables are added to the process environment, and override variables of the same name
    there. The .env file is not added to it. Without --only, only variables with a credential-like
    name are added: those that Langflow itself imports, and NAME_KEY, NAME_TOKEN, NAME_SECRET,
    NAME_PASSWORD and the like. A warning lists what is left out: other names, names that Langflow
    or langkeys reads, names that control how programs run (GIT_*, LD_*, CARGO_* and the like), and
    values that cannot be decrypted. langkeys' own secrets (LANGKEYS_API_KEY, the superuser's
    password, the secret key) are removed from the environment.

    langkeys replaces itself with the program: stdin, signals and the exit status are the program's
    own. Exit {command_not_found} if the program does not exist, exit {command_not_run} if it
    cannot be run.

    \b
    Examples:
      langkeys run -- python ingest.py
      langkeys run --only OPENAI_API_KEY -- sh -c 'test -n "$OPENAI_API_KEY" && exec ./serve'
    """
    out = invocation(context).output
    with variable_session(context, access=Access.READ) as session:
        owner = session.owner(user)
        settings = session.settings
        inherited = run_environment.without_own_secrets(settings.environ, _own_secrets(settings))
        prepared = run_environment.run_environment(
            session.store, lambda: session.cipher, owner, inherited, only or []
        )
    for reason, names in prepared.left_out.items():
        out.warn(run_environment.left_out_message(reason, names))
    out.finish()
    _become(command, prepared)


def _own_secrets(settings: Settings) -> list[str]:
    with suppress(LangkeysError):  # errors are reported elsewhere, if they matter
        secret_key = locations.find_secret_key(settings)
        password = settings.text("LANGFLOW_SUPERUSER_PASSWORD")
        found = (None if secret_key is None else secret_key.text, password)
        return [text for text in found if text is not None]
    return []


def _become(command: list[str], prepared: run_environment.RunEnvironment) -> NoReturn:
    # Use raw bytes, whatever the locale is.
    arguments = [argument.encode("utf-8", "surrogateescape") for argument in command]
    # Python ignores these signals, and the program would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        if not command[0]:
            raise FileNotFoundError
        os.execvpe(arguments[0], arguments, prepared.environment)  # noqa: S606 - no shell
    except (FileNotFoundError, NotADirectoryError):
        raise CommandNotFoundError(f"no such program: {command[0]!r}") from None
    except OSError as error:
        raise CommandNotRunError(f"{command[0]} cannot be run: {error.strerror}") from None
