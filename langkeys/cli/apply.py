"""``langkeys apply``."""

import json
import time
from datetime import timedelta
from typing import Annotated

import typer

from langkeys.authentication import auto_login_name
from langkeys.cli import prompts
from langkeys.cli.declared import (
    ExitCode,
    Files,
    Prune,
    context_of,
    plan_id_key,
    read_manifest,
    show_plan,
)
from langkeys.cli.invocation import session_of, settings_of
from langkeys.cli.options import DryRun, EncryptingCommand, Yes, invocation, new_app
from langkeys.errors import (
    CHANGES_EXIT_CODE,
    InvalidKeyError,
    LangkeysError,
    SecretKeyError,
    StoreError,
    UnauthenticatedError,
    UnsupportedError,
)
from langkeys.manifest.apply import Limits, Services, check_limits, plan_now
from langkeys.manifest.apply import apply as apply_manifest
from langkeys.manifest.plans import Plan
from langkeys.manifest.schema import json_schema
from langkeys.sessions.session import Access, Session
from langkeys.text import counted, joined
from langkeys.times import parsed_span
from langkeys.users import stale_setting

app = new_app()

MAX_REMOVALS = 10
"""The default limit of removals, so that a truncated file does not delete everything."""

_WAIT_SECONDS = 0.5


@app.command(cls=EncryptingCommand)
def apply(
    context: typer.Context,
    files: Files = None,
    dry_run: DryRun = False,
    prune: Prune = False,
    max_removals: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Do nothing if more than N things would be deleted, deactivated or demoted.",
        ),
    ] = MAX_REMOVALS,
    expect: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Do nothing unless the plan has this id."),
    ] = None,
    wait: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN", help="Wait this long for the database, its tables and the acting user."
        ),
    ] = None,
    yes: Yes = False,
    exit_code: ExitCode = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of manifests, for editors.")
    ] = False,
) -> None:
    """Make users, API keys and variables match a file.

    Only what the file names is changed. All changes are stored in one transaction; then new keys
    are written to their files. Only after that are the replaced keys revoked or set to expire. The
    command can be run any number of times, and by several processes at once. It asks before it
    removes, deactivates or demotes anything, or renews a key without a grace period. Piped columns:
    those of plan.

    \b
    Examples:
      langkeys apply -f langflow.yaml
      langkeys apply -f manifests/ --prune --yes --exit-code
      langkeys apply -f langflow.yaml --wait 5m
      langkeys apply --schema > manifest.schema.json
    """
    out = invocation(context).output
    out.require_stdout()
    if schema:
        out.data(json.dumps(json_schema(), indent=2) + "\n")
        return
    manifest = read_manifest(context, files)
    span = None if wait is None else parsed_span(wait, "--wait")
    limits = Limits(prune, max_removals, expect)
    if span is not None:
        _wait_until_ready(context, span)
    with session_of(context, access=Access.READ if dry_run else Access.WRITE) as session:
        planner = context_of(session, manifest, files or ())
        key = plan_id_key(session)
        if dry_run:
            found = plan_now(manifest, planner, limits)
            check_limits(found, limits, key)
        else:
            services = Services(
                cipher=lambda: session.cipher,
                hash_password=session.hash_password,
                check_secret_key=session.check_secret_key,
                confirm=lambda plan: _confirm(session, plan, yes=yes),
                warn=session.warn,
                is_confirmed=yes,
                secret_key=key,
            )
            found = apply_manifest(manifest, planner, limits, services)
            _warn_of_settings(session, found)
        show_plan(out, session, found, dry_run=dry_run, is_done=not dry_run)
    if exit_code and found.actions:
        raise typer.Exit(CHANGES_EXIT_CODE)


def _confirm(session: Session, plan: Plan, *, yes: bool) -> None:
    if not plan.destructive:
        return
    parts = []
    if plan.removals:
        parts.append(f"{counted(plan.removals, 'thing')} deleted, deactivated or demoted")
    if ending := sum(action.ends_at_once for action in plan.actions):
        parts.append(f"{counted(ending, 'API key')} replaced without a grace")
    prompts.confirm(f"Apply to {session.store.location}: {joined(parts)}?", yes=yes)


def _warn_of_settings(session: Session, plan: Plan) -> None:
    """Warn of langkeys' own settings that are out of date after the run."""
    acting = session.acting
    for action in plan.actions:
        rows = getattr(action, "rows", ())
        if acting.api_key is not None and acting.api_key.id in {row.id for row in rows}:
            session.warn("LANGKEYS_API_KEY is one of the replaced keys: set it to the new one")
        password = getattr(action, "password", None)
        if password is not None:
            stale = stale_setting(session.settings, session.store, action.owner, password)
            if stale is not None:
                session.warn(stale)


def _wait_until_ready(context: typer.Context, span: timedelta) -> None:
    """Wait until the database, its tables and the acting user exist; else raise the last error."""
    deadline = time.monotonic() + span.total_seconds()
    while (error := _find_missing(context)) is not None:
        if time.monotonic() >= deadline:
            raise error
        time.sleep(_WAIT_SECONDS)


def _find_missing(context: typer.Context) -> LangkeysError | None:
    try:
        with _probe(context, Access.USER):
            return None
    except (StoreError, SecretKeyError, UnsupportedError) as error:
        return error  # the database is missing, incomplete, or being migrated
    except InvalidKeyError as error:
        if error.reason != "unknown":
            raise
        return error
    except UnauthenticatedError as error:
        with _probe(context, Access.NOBODY) as session:
            settings, store = session.settings, session.store
            names = auto_login_name(settings, store) if settings.auto_login else settings.superuser
            if store.find_user_named(names) is None:
                return error
    # Check again, because the user may just have been created. A wrong password raises an error,
    # because waiting does not help.
    with _probe(context, Access.USER):
        return None


def _probe(context: typer.Context, access: Access) -> Session:
    def silent(_: str) -> None:
        pass  # the command itself shows messages once, after waiting

    return Session(
        settings_of(context),
        access=access,
        ask_password=prompts.superuser_password,
        note=silent,
        warn=silent,
    )
