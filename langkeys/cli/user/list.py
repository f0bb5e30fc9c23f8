"""``langkeys user list``."""

from typing import Annotated

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.options import MOST_ROWS, RemoteCommand, invocation, is_remote, new_app
from langkeys.cli.present.columns import shows
from langkeys.cli.present.users import USERS, show_users
from langkeys.sessions.session import Access
from langkeys.times import now

app = new_app()


@app.command("list", cls=RemoteCommand)
@shows(USERS)
def list_(
    context: typer.Context,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=MOST_ROWS, help="Show at most N users.")
    ] = None,
    offset: Annotated[
        int, typer.Option(metavar="N", min=0, max=MOST_ROWS, help="Skip the first N users.")
    ] = 0,
) -> None:
    """List users, oldest first, with the number of their API keys and variables.

    {columns}

    \b
    Examples:
      langkeys user list
      langkeys user list --json | jq '.[] | select(.last_login_at == null)'
    """
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.list_(context, limit=limit, offset=offset)
        return
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.READ) as session:
        show_users(out, session.store.users(limit=limit, offset=offset), now())
