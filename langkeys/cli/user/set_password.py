"""``langkeys user set-password``."""

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
from langkeys.cli.options import RemoteCommand, UserArgument, invocation, is_remote, new_app
from langkeys.cli.present.users import warn_of_inactive
from langkeys.sessions.session import Access

app = new_app()


@app.command("set-password", cls=RemoteCommand)
def set_password(
    context: typer.Context,
    user: UserArgument,
    password_file: PasswordFile = None,
    random: Random = False,
) -> None:
    """Change a user's password.

    The password is prompted for twice, read from a file or stdin, or generated. A generated
    password is printed once; in a pipe, nothing else is printed. The user's API keys and
    open sessions keep working.

    Piped columns: with --random only the password, otherwise those of list.

    \b
    Examples:
      langkeys user set-password alice
      langkeys user set-password alice --random
      pass show langflow/ci | langkeys user set-password ci --password-file -
    """
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.set_password(context, user, password_file=password_file, random=random)
        return
    out = invocation(context).output
    out.require_stdout()
    password = given_password(password_file, random)
    with session_of(context, access=Access.WRITE) as session:
        chosen = session.owner(user)
        if password is None:
            password = asked_password(chosen.username)
        text = password
        old, new = users.set_password(
            session.store,
            chosen,
            session.hash_password(text),
            proves=lambda stored: session.verify_password(text, stored),
        )
        deliver(session, out, new, old, text if random else None)
        out.note(f"set the password for {new.username} in {session.store.location}")
        warn_of_length(out, text)
        warn_of_inactive(out, new)
        stale = users.stale_setting(session.settings, session.store, new, text)
        if stale is not None:
            out.warn(stale)
