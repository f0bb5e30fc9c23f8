"""``langkeys user promote``."""

import typer

from langkeys.cli.options import RemoteCommand, UserArgument, new_app
from langkeys.cli.user.change import run_change

app = new_app()


@app.command(cls=RemoteCommand)
def promote(context: typer.Context, user: UserArgument) -> None:
    """Make a user a superuser, in Langflow and for langkeys.

    Piped columns: those of list.

    \b
    Examples:
      langkeys user promote alice
    """
    run_change(context, user, "promoted", "a superuser", is_superuser=True)
