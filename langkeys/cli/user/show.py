"""``langkeys user show``."""

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.key_rows import person_time
from langkeys.cli.options import JsonCommand, invocation, new_app
from langkeys.cli.user_rows import UserArgument, show_user, summary_object
from langkeys.session import Access
from langkeys.times import now
from langkeys.users import get_summary

app = new_app()

_TIMES = {"create_at": "created_at", "updated_at": "updated_at", "last_login_at": "last_login_at"}


@app.command(cls=JsonCommand)
def show(context: typer.Context, user: UserArgument) -> None:
    """Show one user.

    Piped columns: those of list.

    \b
    Examples:
      langkeys user show alice
      langkeys user show alice --json
    """
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.READ) as session:
        summary = get_summary(session.store, session.owner(user).id)
        moment = now()
        if not out.is_sentences:
            show_user(out, summary, moment)
            return
        described = summary_object(summary)
        for hidden in ("store_api_key", "optins"):
            described.pop(hidden, None)
        out.card(
            {
                name: person_time(getattr(summary.user, _TIMES[name]), moment)
                if name in _TIMES
                else str("" if content is None else content)
                for name, content in described.items()
            }
        )
