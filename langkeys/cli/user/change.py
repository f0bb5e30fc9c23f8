"""Activate, promote and demote users: the shared part of the commands."""

import typer

from langkeys import users
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import warn_of_fate
from langkeys.cli.options import invocation, is_remote
from langkeys.cli.output import Output
from langkeys.cli.present.users import show_user
from langkeys.sessions.session import Access, Session
from langkeys.times import now


def carry_out(
    context: typer.Context,
    name: str,
    done: str,
    state: str,
    *,
    is_active: bool | None = None,
    is_superuser: bool | None = None,
) -> None:
    """Run a command that changes a user's state; ``done`` and ``state`` are its words."""
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.change(context, name, done, state, is_active=is_active, is_superuser=is_superuser)
        return
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.WRITE) as session:
        acting = session.acting.user
        user = session.owner(name)
        change = users.change_state(
            session.store,
            session.settings,
            acting,
            user,
            is_active=is_active,
            is_superuser=is_superuser,
        )
        say_changed(session, out, change, done, state)
        show_user(out, users.get_summary(session.store, user.id), now())
        warn_of_fate(session, change.new)


def say_changed(
    session: Session, out: Output, change: users.StateChange, done: str, state: str
) -> None:
    """Print what was changed, or that nothing had to be."""
    name, location = change.new.username, session.store.location
    if change.old == change.new:
        out.note(f"{name} is already {state} in {location}; nothing was changed")
    else:
        out.note(f"{done} {name} in {location}")
