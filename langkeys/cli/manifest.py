"""``langkeys manifest``."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from langkeys.cli.completion import complete_users
from langkeys.cli.declared import context_of
from langkeys.cli.invocation import session_of
from langkeys.cli.options import JsonCommand, invocation, new_app
from langkeys.manifest import schema
from langkeys.manifest.declared import Manifest
from langkeys.manifest.export import Exporter, yaml_lines
from langkeys.models import User
from langkeys.sessions.session import Access, Session
from langkeys.times import now
from langkeys.users import get_user

app = new_app()


@app.command(cls=JsonCommand)
def manifest(
    context: typer.Context,
    users: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="USER",
            help="Only this user, by name or id; repeatable.",
            autocompletion=complete_users,
        ),
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Include the values of Generic variables.")
    ] = False,
) -> None:
    """Print the stored users, API keys and variables as a file for plan and apply.

    The file contains no secret. apply takes the value of a Credential from the environment variable
    of the same name, and does not change the value if there is none. API keys that the server
    creates for itself are left out. plan finds nothing to change right after this command. The
    output is YAML, or JSON with --json.

    \b
    Examples:
      langkeys manifest > langflow.yaml
      langkeys manifest --user ci --reveal
    """
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.READ) as session:
        planner = context_of(session, Manifest(None, {}, {}, False, ()), ())
        exporter = Exporter(planner, reveal=reveal, left_out=session.warn)
        described = exporter.describe(_users(session, users), now())
        if out.as_json:
            out.document({"version": schema.FORMAT_VERSION, "users": dict(described)})
        else:
            out.exact_lines(yaml_lines(None, described))


def _users(session: Session, names: Iterable[str] | None) -> Iterator[User]:
    if not names:
        yield from (summary.user for summary in session.store.users())
        return
    found = (get_user(session.store, name, warn=session.warn) for name in names)
    yield from {user.id: user for user in found}.values()
