"""``langkeys variable list``."""

from collections.abc import Iterator
from typing import Annotated

import typer

from langkeys.cli.key_rows import UserOption, warn_of_closed
from langkeys.cli.options import RemoteCommand, invocation, is_remote, new_app
from langkeys.cli.variable_rows import opened, show_variables, variable_session
from langkeys.errors import UsageError
from langkeys.models import Variable
from langkeys.sessions.session import Access
from langkeys.times import now

app = new_app()


@app.command("list", cls=RemoteCommand)
def list_(
    context: typer.Context,
    user: UserOption = None,
    all_users: Annotated[
        bool, typer.Option("--all-users", help="List the variables of all users.")
    ] = False,
) -> None:
    """List variables, oldest first. Default: the acting user's variables.

    The value of a Credential is never shown. Piped columns: id, name, type, value (of a Generic
    one), default_fields (separated by commas), username, created_at, updated_at, opens (true if the
    value can be decrypted or is not encrypted).

    \b
    Examples:
      langkeys variable list --all-users
      langkeys variable list --json | jq -r '.[] | select(.opens | not) | .name'
    """
    call = invocation(context)
    if user is not None and all_users:
        raise UsageError("--user and --all-users cannot be used together")
    if is_remote(context):
        from langkeys.cli.remote import variables as over_rest

        over_rest.list_(context, user=user, all_users=all_users)
        return
    call.output.require_stdout()
    with variable_session(context, access=Access.READ) as session:
        owner = session.owner(user)
        closed = 0

        def shown() -> Iterator[tuple[Variable, str | None]]:
            nonlocal closed
            found = session.store.variables(None if all_users else owner.id)
            for variable, value in opened(session, found):
                closed += value is None
                yield variable, value

        show_variables(call.output, session, shown(), now())
        if closed:
            warn_of_closed(session, f"{closed} of these variables")
