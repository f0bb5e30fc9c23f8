"""``langkeys user create``."""

from typing import Annotated

import typer

from langkeys import users
from langkeys.cli.invocation import session_of
from langkeys.cli.new_password import (
    PasswordFile,
    Random,
    asked_password,
    deliver,
    given_password,
    warn_of_length,
)
from langkeys.cli.options import RemoteCommand, invocation, is_remote, new_app
from langkeys.cli.user_rows import warn_of_fate
from langkeys.models import dashed
from langkeys.session import Access

app = new_app()


@app.command(cls=RemoteCommand)
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user name.")],
    superuser: Annotated[bool, typer.Option("--superuser", help="Make a superuser.")] = False,
    password_file: PasswordFile = None,
    random: Random = False,
) -> None:
    """Make a user, active at once.

    The password is asked for, twice, or comes from a file or stdin, or is made up: then it is
    printed once, and alone where stdout is not a terminal. User names are unique without regard to
    case. The server makes the user's first project when they log in.

    Piped columns: with --random the password alone, else those of list.

    \b
    Examples:
      langkeys user create alice
      langkeys user create ci --random > password.txt
      langkeys user create ops --superuser --password-file /run/secrets/ops
    """
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.create(
            context, name, superuser=superuser, password_file=password_file, random=random
        )
        return
    out = invocation(context).output
    out.require_stdout()
    users.checked_username(name)
    password = given_password(password_file, random)
    with session_of(context, access=Access.WRITE) as session:
        users.check_new(session.store, session.settings, name, is_superuser=superuser)
        if password is None:
            password = asked_password(name)
        user = users.new_user(name, session.hashed_password(password), is_superuser=superuser)
        users.create(session.store, session.settings, user)
        deliver(session, out, user, None, password if random else None)
        what = "superuser" if superuser else "user"
        out.note(f"made the {what} {name} ({dashed(user.id)}) in {session.store.location}")
        warn_of_length(out, password)
        warn_of_fate(session, user)
