"""Get the settings and the session of a command from its context."""

from pathlib import Path

import typer

from langkeys.cli import prompts
from langkeys.cli.options import invocation
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import UsageError
from langkeys.sessions.session import Access, Session


def settings_of(context: typer.Context) -> Settings:
    """Return the settings from the global options, the environment and ``.env``."""
    call = invocation(context)
    database, env_file = call.given.get("database"), call.given.get("env_file")
    call.settings = Settings(
        {} if database is None else {"LANGFLOW_DATABASE_URL": (str(database), "--database")},
        env_file=None if env_file is None else str(env_file),
    )
    return call.settings


def refuse_own_file(context: typer.Context, path: Path | None) -> None:
    """Raise ConflictError if a secret would overwrite one of the deployment's own files."""
    if path is not None and str(path) != "-":
        locations.refuse_own_file(settings_of(context), path)


def session_of(context: typer.Context, *, access: Access) -> Session:
    """Return a command's session; ``access`` declares who must be authenticated."""
    output = invocation(context).output
    given = invocation(context).given
    reason = given.get("reason")
    yes = bool(given.get("yes") or context.params.get("yes"))

    def accept(given_up: str) -> None:
        if yes:
            output.warn(given_up)
        elif not prompts.can_ask():
            raise UsageError(
                f"{given_up}: this needs confirmation, and there is no terminal to"
                " ask for it; nothing was done",
                hint="use --yes to skip the question",
            )
        else:
            prompts.confirm(f"{given_up[0].upper()}{given_up[1:]}. Continue?", yes=False)

    return Session(
        settings_of(context),
        access=access,
        ask_password=prompts.superuser_password,
        note=output.note,
        warn=output.warn,
        progress=output.progress,
        command=context.command_path.partition(" ")[2],
        reason=None if reason is None else str(reason),
        accept_secret_key=accept if given.get("accept_secret_key") else None,
    )


def variable_session(context: typer.Context, *, access: Access) -> Session:
    """Return a session for variables; raise ConfigError if they are not in the database."""
    from langkeys.variables.lifecycle import require_in_database

    session = session_of(context, access=access)
    require_in_database(session.settings)
    return session
