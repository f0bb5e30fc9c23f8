"""``langkeys user show``."""

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.options import RemoteCommand, UserArgument, invocation, is_remote, new_app
from langkeys.cli.present.columns import shows
from langkeys.cli.present.users import USERS, show_user_card
from langkeys.sessions.session import Access
from langkeys.times import now
from langkeys.users import get_summary

app = new_app()


@app.command(cls=RemoteCommand)
@shows(USERS)
def show(context: typer.Context, user: UserArgument) -> None:
    """Show one user.

    {columns}

    \b
    Examples:
      langkeys user show alice
      langkeys user show alice --json
    """
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.show(context, user)
        return
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.READ) as session:
        show_user_card(out, get_summary(session.store, session.owner(user).id), now())
