"""``langkeys variable import``."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from langkeys.cli import prompts
from langkeys.cli.invocation import settings_of, variable_session
from langkeys.cli.messages import warn_of_fate, warn_of_overwriting
from langkeys.cli.options import (
    DryRun,
    RemoteEncryptingCommand,
    UserOption,
    invocation,
    is_remote,
    new_app,
)
from langkeys.cli.output import Output
from langkeys.config import dotenv
from langkeys.config.settings import Settings
from langkeys.errors import UsageError
from langkeys.files import ownership
from langkeys.models import dashed
from langkeys.paths import absolute_path
from langkeys.sessions.session import Access
from langkeys.text import agreeing, counted
from langkeys.variables import lifecycle as variables
from langkeys.variables.environment_names import imported_names
from langkeys.variables.lifecycle import Outcome

app = new_app()


class Policy(str, Enum):
    """What to do with variables that already exist."""

    KEEP = "keep"
    OVERWRITE = "overwrite"
    FAIL = "fail"


@app.command("import", cls=RemoteEncryptingCommand)
def import_(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The .env file, or - for stdin. Default: the .env file in use.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Only this name; repeatable."),
    ] = None,
    policy: Annotated[
        Policy,
        typer.Option(
            help="What to do with a variable that already exists: keep it, overwrite it, or"
            " exit {conflict}."
        ),
    ] = Policy.KEEP,
    user: UserOption = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="Import for all users.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Import variables from a .env file. New variables are Credentials.

    Without --only, the names that Langflow itself imports from its environment (OPENAI_API_KEY and
    so on) and those in LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT are imported: all of them or
    none. Empty values are ignored. As with set, servers keep the imported values. Values are never
    shown; piped columns: action (added, changed or kept), name, username.

    \b
    Examples:
      langkeys variable import --dry-run
      langkeys variable import prod.env --only MY_TOKEN --only OPENAI_API_KEY --policy overwrite
      langkeys variable import --all-users --json
    """
    out = invocation(context).output
    out.require_stdout()
    if user is not None and all_users:
        raise UsageError("--user and --all-users cannot be used together")
    access = Access.READ if dry_run else Access.WRITE
    if is_remote(context):
        from langkeys.cli.remote import variables as over_rest

        server = over_rest.variable_server(context, user, all_users=all_users)
        settings = settings_of(context)
        imported = imported_names(settings)
        values, source = _read(settings, out.warn, file, only or imported)
        chosen = variables.values_to_import(values, only, imported, source)
        done = over_rest.import_(context, server, chosen, policy.value, dry_run=dry_run)
        actions = [outcome.action for outcome in done]
        _say(out, actions, source, server.location, dry_run=dry_run, is_sent=True)
        _say_left_out(out, values, imported, source, only)
        over_rest.show_outcomes(out, server, done)
        return
    with variable_session(context, access=access) as session:
        imported = imported_names(session.settings)
        values, source = _read(session.settings, session.warn, file, only or imported)
        owner = session.owner(user)
        chosen = variables.values_to_import(values, only, imported, source)
        owners = variables.all_owners if all_users else variables.one_owner(owner)
        session.check_secret_key()
        updates = [
            variables.new_update(session.generation, lambda: session.cipher, name, value)
            for name, value in chosen.items()
        ]
        if dry_run:
            outcomes = variables.plan_all(session.store, owners, updates, policy.value)
        else:
            outcomes = variables.set_all(session.store, owners, updates, policy.value)
        actions = [outcome.action for outcome in outcomes]
        _say(out, actions, source, session.store.location, dry_run=dry_run)
        _say_left_out(out, values, imported, source, only)
        if not dry_run:
            warn_of_overwriting(session, list(chosen))
            warn_of_fate(session, owner)
        _show(out, outcomes)


def _read(
    settings: Settings, warn: Callable[[str], None], file: Path | None, wanted: Sequence[str]
) -> tuple[Mapping[str, str], str]:
    if file is None:
        if settings.env_file is None:
            raise UsageError(
                "there is no .env file to import from",
                hint="specify one: langkeys variable import FILE",
            )
        return settings.env_file_values, str(settings.env_file)
    if str(file) == "-":
        if prompts.is_interactive():
            raise UsageError(
                "- reads a .env file from stdin, but stdin is a terminal",
                hint="langkeys variable import - < FILE, or langkeys variable set NAME",
            )
        text = prompts.exact_text(file, "the .env file")
        read = dotenv.parse(text, "stdin", environ=settings.environ, is_ours=wanted.__contains__)
        source = "stdin"
    else:
        path = absolute_path(file)
        source = str(path)
        # Do not expand variables of this environment in another user's file.
        environ = settings.environ if _is_ours(path) else {}
        read = dotenv.read(path, environ=environ, is_ours=wanted.__contains__)
    for warning in read.warnings:
        warn(warning)
    return read.values, source


def _is_ours(path: Path) -> bool:
    try:
        return ownership.is_ours(path.stat().st_uid)
    except OSError:
        return False  # reading the file reports the error


def _say(
    out: Output,
    actions: Sequence[str],
    source: str,
    location: str,
    *,
    dry_run: bool,
    is_sent: bool = False,
) -> None:
    counts = {action: actions.count(action) for action in ("added", "changed", "kept")}
    added = counted(counts["added"], "variable")
    if dry_run:
        out.note(
            f"dry run: importing {source} into {location} would add {added},"
            f" change {counts['changed']} and keep {counts['kept']}; nothing was done"
        )
    else:
        done = f"sent {source} to" if is_sent else f"imported {source} into"
        out.note(
            f"{done} {location}: {added} added, {counts['changed']} changed, {counts['kept']} kept"
        )


def _say_left_out(
    out: Output,
    values: Mapping[str, str],
    imported: Sequence[str],
    source: str,
    only: list[str] | None,
) -> None:
    count = 0 if only else sum(bool(values[name]) for name in values.keys() - {*imported})
    if count:
        out.note(
            f"{counted(count, 'name')} in {source} that Langflow does not import by itself"
            f" {agreeing('were', count)} left out; to import one, use --only NAME"
        )


def _show(out: Output, outcomes: Sequence[Outcome]) -> None:
    if out.as_json:
        out.array(_object(outcome) for outcome in outcomes)
        return
    rows = [(outcome.action, outcome.name, outcome.owner.username) for outcome in outcomes]
    if not out.is_terminal:
        out.rows(rows)
    elif rows:
        out.table(("ACTION", "NAME", "USER"), rows)


def _object(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "user_id": dashed(outcome.owner.id),
        "username": outcome.owner.username,
        "action": outcome.action,
    }
