"""``langkeys user activate``."""

import typer

from langkeys.cli.options import RemoteCommand, UserArgument, new_app
from langkeys.cli.user.change import run_change

app = new_app()


@app.command(cls=RemoteCommand)
def activate(context: typer.Context, user: UserArgument) -> None:
    """Activate a deactivated user. Their API keys work again, too.

    Piped columns: those of list.

    \b
    Examples:
      langkeys user activate alice
    """
    run_change(context, user, "activated", "active", is_active=True)
