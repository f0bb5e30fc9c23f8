"""``langkeys user demote``."""

import typer

from langkeys.cli.options import RemoteCommand, UserArgument, Yes, new_app
from langkeys.cli.user.change import run_change

app = new_app()


@app.command(cls=RemoteCommand)
def demote(context: typer.Context, user: UserArgument, yes: Yes = False) -> None:
    """Make a superuser a regular user.

    Exit {conflict} for the last active superuser, the superuser in LANGFLOW_SUPERUSER (servers do
    not start without it) and the acting user. On a terminal the command asks first; --yes skips the
    question. Piped columns: those of list.

    \b
    Examples:
      langkeys user demote alice
    """
    run_change(context, user, "demoted", "a regular user", is_superuser=False, yes=yes)
