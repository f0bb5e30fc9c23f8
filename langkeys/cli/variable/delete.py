"""``langkeys variable delete``."""

from typing import Annotated

import typer

from langkeys.cli import prompts
from langkeys.cli.completion import complete_variables
from langkeys.cli.invocation import variable_session
from langkeys.cli.options import (
    DryRun,
    RemoteCommand,
    UserOption,
    Yes,
    invocation,
    is_remote,
    new_app,
)
from langkeys.cli.present.variables import show_variables, with_values
from langkeys.sessions.session import Access
from langkeys.text import counted, listed
from langkeys.times import now
from langkeys.variables import deletion
from langkeys.variables.environment_names import imported_names

app = new_app()


@app.command(cls=RemoteCommand)
def delete(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="The variables, by name or id.",
            show_default=False,
            autocompletion=complete_variables,
        ),
    ],
    yes: Yes = False,
    dry_run: DryRun = False,
    user: UserOption = None,
) -> None:
    """Delete variables of the acting user, or of --user: all of them or none.

    The command asks first; --yes skips the question. A server that imports the name from its
    environment creates the variable again. Piped columns: those of list.

    \b
    Examples:
      langkeys variable delete OPENAI_API_KEY
      langkeys variable delete OLD_TOKEN OLDER_TOKEN --user alice --yes
    """
    if is_remote(context):
        from langkeys.cli.remote import variables as over_rest

        over_rest.delete(context, names, user=user, yes=yes, dry_run=dry_run)
        return
    out = invocation(context).output
    out.require_stdout()
    access = Access.READ if dry_run else Access.WRITE
    with variable_session(context, access=access) as session:
        owner = session.owner(user)
        rows, stubs = deletion.find_rows(session.store, owner, names)
        many = f"{counted(len(rows) + len(stubs), 'variable')} of {owner.username}"
        pairs = list(with_values(session, rows))
        if dry_run:
            out.note(
                f"dry run: {many} in {session.store.location} would be deleted; nothing was done"
            )
        else:
            every = [*(row.name for row in rows), *(f"row {stub.id}" for stub in stubs)]
            prompts.confirm(
                f"Delete {listed(every)} of {owner.username} in {session.store.location}?", yes=yes
            )
            deletion.delete(session.store, rows, stubs)
            out.note(f"deleted {many} in {session.store.location}")
            again = sorted({row.name for row in rows} & set(imported_names(session.settings)))
            if again and session.settings.flag("LANGFLOW_STORE_ENVIRONMENT_VARIABLES"):
                out.note(f"a server creates {', '.join(again)} again if its environment has it")
        for stub in stubs:
            session.warn(
                f"row {stub.id} ({stub.name}) cannot be read: its {stub.problem} is malformed"
            )
        show_variables(out, session, pairs, now())
