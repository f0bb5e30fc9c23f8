"""``langkeys api-key update``."""

from datetime import datetime
from typing import Annotated

import typer

from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys.lifetimes import is_working
from langkeys.cli import prompts
from langkeys.cli.api_key.selected import RefArgument, resolved_key
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import say_other_rows, warn_of_unreadable
from langkeys.cli.options import JsonCommand, Yes, invocation, new_app
from langkeys.cli.present.api_keys import show_masked_keys
from langkeys.errors import UsageError
from langkeys.models import ApiKey, dashed
from langkeys.sessions.session import Access, Session
from langkeys.text import checked_name
from langkeys.times import now, parsed_expiry, relative

app = new_app()


@app.command(cls=JsonCommand)
def update(
    context: typer.Context,
    ref: RefArgument,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The new name.")] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN|never", help="The new expiry: a time, a span (90d), or never."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Change an API key's name or expiry. The key itself stays the same.

    On a terminal the command asks before it gives a working key an earlier expiry. Piped columns:
    those of list.

    \b
    Examples:
      langkeys api-key update ci --expires 30d
      langkeys api-key update 3f2a9c41 --name "ci, staging" --expires never
    """
    out = invocation(context).output
    out.require_stdout()
    if name is None and expires is None:
        raise UsageError("nothing to update", hint="use --name, --expires or both")
    if name is not None:
        checked_name(name)
    expires_at = None if expires is None else parsed_expiry(expires, "--expires")
    with session_of(context, access=Access.WRITE) as session:
        if expires is not None:
            api_keys.require_expiry(session.generation)
        key = resolved_key(session, ref)
        if expires_at is not None:
            _ask(session, key, expires_at, yes=yes)
        expiry = None if expires is None else lambda _: expires_at
        updated = session.endings.update(key, name=name, expiry=expiry)
        out.note(f"updated API key {dashed(key.id)} in {session.store.location}")
        say_other_rows(session, [updated], "its expiry is changed", deleted=False)
        if expires_at is not None:
            warn_of_unreadable(session)
        show_masked_keys(session, out, [updated.meant], as_array=False)


def _ask(session: Session, key: ApiKey, expires_at: datetime, *, yes: bool) -> None:
    """Ask before a working key gets an earlier expiry, if somebody can be asked."""
    moment = now()
    for row in session.endings.whole_key(key).rows:
        if not is_working(row, session.generation, moment):
            continue
        old = row.expires_at
        if old is None or expires_at < old:
            until = "never expires" if old is None else f"expires {relative(old, moment)}"
            prompts.confirm_at_terminal(
                f"API key {dashed(row.id)} ({row.name}) in {session.store.location} {until}."
                f" Let it expire {relative(expires_at, moment)} instead?",
                yes=yes,
            )
            return
