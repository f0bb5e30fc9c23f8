"""``langkeys user list``."""

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.options import Limit, Offset, RemoteCommand, Sort, invocation, is_remote, new_app
from langkeys.cli.present.columns import shows
from langkeys.cli.present.paging import Paging
from langkeys.cli.present.users import USERS, show_users
from langkeys.sessions.session import Access
from langkeys.times import now

app = new_app()


@app.command("list", cls=RemoteCommand)
@shows(USERS)
def list_(
    context: typer.Context,
    sort: Sort = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> None:
    """List users, oldest first, with the number of their API keys and variables.

    {columns}

    \b
    Examples:
      langkeys user list
      langkeys user list --json | jq '.[] | select(.last_login_at == null)'
    """
    paging = Paging(USERS, sort=sort, limit=limit, offset=offset)
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.list_(context, paging=paging)
        return
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.READ) as session:
        found = paging.page(
            lambda limit, offset: session.store.users(limit=limit, offset=offset), lambda row: row
        )
        show_users(out, found, now())
