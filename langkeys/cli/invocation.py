"""From a command's context to its settings and its session."""

import typer

from langkeys.cli import prompts
from langkeys.cli.options import invocation
from langkeys.session import Access, Session
from langkeys.settings import Settings


def settings_of(context: typer.Context) -> Settings:
    """Read the settings that the global options and their sources give."""
    call = invocation(context)
    database, env_file = call.given.get("database"), call.given.get("env_file")
    call.settings = Settings(
        {} if database is None else {"LANGFLOW_DATABASE_URL": (str(database), "--database")},
        env_file=None if env_file is None else str(env_file),
    )
    return call.settings


def session_of(context: typer.Context, *, access: Access) -> Session:
    """Make the session of a command, which declares who must be acting."""
    output = invocation(context).output
    given = invocation(context).given
    reason = given.get("reason")
    yes = bool(given.get("yes") or context.params.get("yes"))

    def accept(question: str) -> None:
        prompts.confirm(question, yes=yes)

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
