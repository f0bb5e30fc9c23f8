"""``langkeys variable list``."""

from collections.abc import Iterator
from typing import Annotated

import typer

from langkeys.cli.invocation import variable_session
from langkeys.cli.messages import warn_of_undecryptable
from langkeys.cli.options import (
    Limit,
    Offset,
    RemoteCommand,
    Sort,
    UserOption,
    invocation,
    is_remote,
    new_app,
)
from langkeys.cli.present.columns import shows
from langkeys.cli.present.paging import Paging, sliced
from langkeys.cli.present.variables import VARIABLES, VariableRow, show_variables, with_values
from langkeys.errors import UsageError
from langkeys.models import Variable
from langkeys.sessions.session import Access
from langkeys.times import now

app = new_app()


@app.command("list", cls=RemoteCommand)
@shows(VARIABLES)
def list_(
    context: typer.Context,
    user: UserOption = None,
    all_users: Annotated[
        bool, typer.Option("--all-users", help="List the variables of all users.")
    ] = False,
    sort: Sort = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> None:
    """List variables, oldest first. Default: the acting user's variables.

    The value of a Credential is never shown. opens is true if the value can be decrypted or is not
    encrypted; default_fields are separated by commas. {columns}

    \b
    Examples:
      langkeys variable list --all-users
      langkeys variable list --json | jq -r '.[] | select(.opens | not) | .name'
    """
    call = invocation(context)
    if user is not None and all_users:
        raise UsageError("--user and --all-users cannot be used together")
    paging = Paging(VARIABLES, sort=sort, limit=limit, offset=offset)
    if is_remote(context):
        from langkeys.cli.remote import variables as over_rest

        over_rest.list_(context, user=user, all_users=all_users, paging=paging)
        return
    call.output.require_stdout()
    with variable_session(context, access=Access.READ) as session:
        owner = session.owner(user)
        closed = total = 0

        def shown() -> Iterator[tuple[Variable, str | None]]:
            nonlocal closed, total
            found = paging.page(
                lambda limit, offset: sliced(
                    session.store.variables(None if all_users else owner.id), limit, offset
                ),
                lambda variable: VariableRow(variable, None, None),
            )
            for variable, value in with_values(session, found):
                closed += value is None
                total += 1
                yield variable, value

        show_variables(call.output, session, shown(), now())
        if closed:
            warn_of_undecryptable(session, "variable", closed, total)
