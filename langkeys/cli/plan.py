"""``langkeys plan``."""

import typer

from langkeys.cli.declared import (
    ExitCode,
    Files,
    Prune,
    context_of,
    limits_of,
    read_manifest,
    show_plan,
)
from langkeys.cli.invocation import session_of
from langkeys.cli.options import JsonCommand, invocation, new_app
from langkeys.errors import CHANGES_EXIT_CODE
from langkeys.manifest.apply import plan_now
from langkeys.sessions.session import Access

app = new_app()


@app.command(cls=JsonCommand)
def plan(
    context: typer.Context,
    files: Files = None,
    prune: Prune = False,
    exit_code: ExitCode = False,
) -> None:
    """Show what apply would change to match a file.

    Nothing is written. Secrets are compared, but never shown. Pass the plan's id to apply --expect
    to apply exactly this plan.
    Piped columns: action (add, change, renew, deliver or remove), kind (user, variable or api_key),
    username, name, fields, detail.

    \b
    Examples:
      langkeys plan -f langflow.yaml
      langkeys plan -f manifests/ --exit-code
    """
    out = invocation(context).output
    out.require_stdout()
    manifest = read_manifest(context, files)
    with session_of(context, access=Access.READ) as session:
        found = plan_now(
            manifest, context_of(session, manifest, files or ()), limits_of(prune=prune)
        )
        show_plan(out, session, found, dry_run=True)
    if exit_code and found.actions:
        raise typer.Exit(CHANGES_EXIT_CODE)
