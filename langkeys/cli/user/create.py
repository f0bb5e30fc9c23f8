"""``langkeys user create``."""

from typing import Annotated

import typer

from langkeys import users
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import warn_of_fate
from langkeys.cli.new_password import (
    PasswordFile,
    Random,
    asked_password,
    deliver,
    given_password,
    warn_of_length,
)
from langkeys.cli.options import RemoteCommand, invocation, is_remote, new_app
from langkeys.cli.output import Output
from langkeys.cli.present.users import show_existing
from langkeys.errors import ConflictError
from langkeys.models import dashed
from langkeys.sessions.session import Access, Session

app = new_app()


@app.command(cls=RemoteCommand)
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user name.")],
    superuser: Annotated[bool, typer.Option("--superuser", help="Create a superuser.")] = False,
    password_file: PasswordFile = None,
    random: Random = False,
    if_missing: Annotated[
        bool,
        typer.Option(
            "--if-missing", help="If the user already exists, do not change them, and exit {done}."
        ),
    ] = False,
) -> None:
    """Create an active user.

    The password is prompted for twice, read from a file or stdin, or generated. A generated
    password is printed once; in a pipe, nothing else is printed. User names are unique
    regardless of case. The server creates the user's first project at their first login.

    With --if-missing, for start-up scripts, an existing user of that name is shown and not changed.
    In JSON, changed then says whether a user was created.

    Piped columns: with --random only the password, otherwise those of list.

    \b
    Examples:
      langkeys user create alice
      langkeys user create ci --random > password.txt
      langkeys user create ops --superuser --password-file /run/secrets/ops --if-missing
    """
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.create(
            context,
            name,
            superuser=superuser,
            password_file=password_file,
            random=random,
            if_missing=if_missing,
        )
        return
    out = invocation(context).output
    out.require_stdout()
    users.checked_username(name)
    # If the user exists, no password is needed, so a missing one is reported later.
    password = None if if_missing else given_password(password_file, random)
    with session_of(context, access=Access.WRITE) as session:
        if if_missing:
            if _show_existing(session, out, name, superuser=superuser):
                return
            password = given_password(password_file, random)
        users.check_new(session.store, session.settings, name, is_superuser=superuser)
        if password is None:
            password = asked_password(name)
        user = users.new_user(name, session.hash_password(password), is_superuser=superuser)
        try:
            users.create(session.store, session.settings, user)
        except ConflictError:
            # Another container that started at the same time may have created the user.
            if if_missing and _show_existing(session, out, name, superuser=superuser):
                return
            raise
        additions = {"changed": True} if if_missing else {}
        deliver(session, out, user, None, password if random else None, additions)
        what = "superuser" if superuser else "user"
        out.note(f"created the {what} {name} ({dashed(user.id)}) in {session.store.location}")
        warn_of_length(out, password)
        warn_of_fate(session, user)


def _show_existing(session: Session, out: Output, name: str, *, superuser: bool) -> bool:
    """Show the user with this name; return False if there is none."""
    user = session.store.find_user_named(name)
    if user is None:
        return False
    summary = users.get_summary(session.store, user.id)
    show_existing(out, summary, session.store.location, superuser=superuser)
    return True
