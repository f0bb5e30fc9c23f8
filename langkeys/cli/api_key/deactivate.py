"""``langkeys api-key deactivate``."""

import typer

from langkeys.cli.api_key.activity import set_activity
from langkeys.cli.api_key.selected import RefArgument
from langkeys.cli.options import JsonCommand, Yes, new_app

app = new_app()


@app.command(cls=JsonCommand)
def deactivate(
    context: typer.Context,
    ref: RefArgument,
    yes: Yes = False,
) -> None:
    """Deactivate an API key until it is activated again.

    Exit {unsupported} on Langflow 1.5 to 1.9, where servers also accept inactive keys: revoke the
    key instead.
    On a terminal the command asks first; --yes skips the question. Piped columns: those of list.

    \b
    Examples:
      langkeys api-key deactivate ci
    """
    set_activity(context, ref, is_active=False, yes=yes)
