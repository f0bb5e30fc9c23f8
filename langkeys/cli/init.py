"""``langkeys init``."""

import typer

from langkeys import initialization
from langkeys.cli import prompts
from langkeys.cli.invocation import settings_of
from langkeys.cli.options import Command, invocation, new_app
from langkeys.config import locations
from langkeys.errors import ConfigError
from langkeys.files.reading import is_there
from langkeys.sessions.initialization import check_database, initialize

app = new_app()


@app.command(cls=Command)
def init(context: typer.Context) -> None:
    """Create a store and its settings.

    Settings that are missing are written to a new ./.env: the database, a secret key, AUTO_LOGIN
    off, a superuser and a generated password. Then the database is created. Both files are readable
    only by you. An existing database is not changed. A Langflow 1.13 server started with --env-file
    .env adopts the store with its users and keys.

    \b
    Examples:
      langkeys init && langkeys api-key
      LANGFLOW_SUPERUSER=ops langkeys init
    """
    out = invocation(context).output
    say = out.note
    settings = settings_of(context)
    database = locations.new_database(settings)
    for warning in settings.warnings:
        out.warn(warning)
    if database.file is None or is_there(database.file):
        check_database(database, settings, out.warn)
        say(f"{database.location} already exists; nothing was changed")
        return
    plan = initialization.plan_init(settings)
    if plan.password is None:
        plan.password = _asked_password(plan.superuser)
    reason = invocation(context).given.get("reason")
    initialize(plan, settings, reason=None if reason is None else str(reason), warn=out.warn)
    if plan.env_path is not None:
        names = ", ".join(name for name, _ in plan.env_lines)
        say(f"wrote {plan.env_path}: {names}")
    if plan.secret_key_file is not None:
        say(f"wrote a new secret key to {plan.secret_key_file}")
    say(f"created {plan.database.location} with the superuser {plan.superuser}")


def _asked_password(superuser: str) -> str:
    hint = "set LANGFLOW_SUPERUSER_PASSWORD"
    if not prompts.can_ask():
        raise ConfigError(
            f"no password given for the new superuser {superuser!r}, and no terminal"
            " to ask for one",
            hint=hint,
        )
    password = prompts.hidden(f"Password for the new superuser {superuser}") or ""
    initialization.check_password(password)
    if prompts.hidden("Repeat the password") != password:
        raise ConfigError("the passwords do not match; nothing was done", hint=hint)
    return password
