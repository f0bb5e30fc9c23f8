"""``langkeys api-key update``."""

from typing import Annotated

import typer

from langkeys import api_keys
from langkeys.cli.invocation import session_of
from langkeys.cli.key_rows import resolved_key, show_plain_keys
from langkeys.cli.options import JsonCommand, invocation, new_app
from langkeys.errors import UsageError
from langkeys.models import dashed
from langkeys.session import Access
from langkeys.times import parsed_future

app = new_app()


@app.command(cls=JsonCommand)
def update(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="The key, or - for stdin.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its new name.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN|never", help="Its new end, or none.")
    ] = None,
) -> None:
    """Give an API key another name or another end; the key itself stays.

    Piped columns: those of list.

    \b
    Examples:
      langkeys api-key update ci --expires 30d
      langkeys api-key update 3f2a9c41 --name "ci, staging" --expires never
    """
    out = invocation(context).output
    out.require_stdout()
    if name is None and expires is None:
        raise UsageError("there is nothing to update", hint="give --name, --expires or both")
    if name is not None:
        api_keys.checked_name(name)
    never = expires is not None and expires.strip().lower() == "never"
    expires_at = None if expires is None or never else parsed_future(expires, "--expires")
    with session_of(context, access=Access.WRITE) as session:
        if expires is not None:
            api_keys.require_expiry(session.generation)
        key = resolved_key(session, ref)
        new = key._replace(
            name=key.name if name is None else name,
            expires_at=key.expires_at if expires is None else expires_at,
        )
        api_keys.changed(session.store, key, new)
        out.note(f"updated API key {dashed(key.id)} in {session.store.location}")
        show_plain_keys(session, out, [new], as_array=False)
