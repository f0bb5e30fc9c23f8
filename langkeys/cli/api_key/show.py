"""``langkeys api-key show``."""

import typer

from langkeys.api_keys import lifecycle as api_keys
from langkeys.cli.api_key.selected import RefArgument, resolved_key
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import warn_of_undecryptable
from langkeys.cli.options import RemoteCommand, invocation, is_remote, new_app
from langkeys.cli.present.api_keys import API_KEYS, show_api_key_card
from langkeys.cli.present.columns import shows
from langkeys.sessions.session import Access
from langkeys.times import now

app = new_app()


@app.command(cls=RemoteCommand)
@shows(API_KEYS)
def show(
    context: typer.Context,
    ref: RefArgument,
) -> None:
    """Show one API key of any user, without the key itself.

    Looking up a key by its visible start (sk-XXXXX) decrypts every key, so it is slower with many
    keys.

    {columns}

    \b
    Examples:
      langkeys api-key show ci
      langkeys api-key show - --json < leaked.txt
    """
    if is_remote(context):
        from langkeys.cli.remote import api_keys as over_rest

        over_rest.show(context, ref)
        return
    call = invocation(context)
    call.output.require_stdout()
    with session_of(context, access=Access.READ) as session:
        key, moment = resolved_key(session, ref), now()
        value = api_keys.masked_value(key, lambda: session.reading_cipher)
        if value is None:
            warn_of_undecryptable(session, "API key")
        show_api_key_card(call.output, key, value, moment, store=session.store)
