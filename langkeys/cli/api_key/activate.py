"""``langkeys api-key activate``."""

import typer

from langkeys.cli.api_key.activity import set_activity
from langkeys.cli.api_key.selected import RefArgument
from langkeys.cli.options import JsonCommand, new_app

app = new_app()


@app.command(cls=JsonCommand)
def activate(
    context: typer.Context,
    ref: RefArgument,
) -> None:
    """Activate a deactivated API key.

    Exit {unsupported} on Langflow 1.5 to 1.9, where servers also accept inactive keys.
    Piped columns: those of list.

    \b
    Examples:
      langkeys api-key activate ci
    """
    set_activity(context, ref, is_active=True)
