"""``langkeys user demote``."""

import typer

from langkeys.cli.options import RemoteCommand, new_app
from langkeys.cli.user.change import carry_out
from langkeys.cli.user_rows import UserArgument

app = new_app()


@app.command(cls=RemoteCommand)
def demote(context: typer.Context, user: UserArgument) -> None:
    """Make a superuser an ordinary user.

    Exit 5 for the last active superuser, the one that LANGFLOW_SUPERUSER names (servers do not
    start without), and the one that langkeys acts as. Piped columns: those of list.

    \b
    Examples:
      langkeys user demote alice
    """
    carry_out(context, user, "demoted", "an ordinary user", is_superuser=False)
