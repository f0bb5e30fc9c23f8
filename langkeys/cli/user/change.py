"""Activate, promote and demote users: the code that these commands use."""

import typer

from langkeys import users
from langkeys.cli import prompts
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import warn_of_fate
from langkeys.cli.options import invocation, is_remote
from langkeys.cli.output import Output
from langkeys.cli.present.users import show_user
from langkeys.models import User
from langkeys.sessions.session import Access, Session
from langkeys.text import counted
from langkeys.times import now


def run_change(
    context: typer.Context,
    name: str,
    done: str,
    state: str,
    *,
    is_active: bool | None = None,
    is_superuser: bool | None = None,
    yes: bool = False,
) -> None:
    """Run a command that changes a user's state; its messages use the words ``done`` and ``state``.

    ``yes`` skips the question before a superuser is demoted.
    """
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.change(
            context, name, done, state, is_active=is_active, is_superuser=is_superuser, yes=yes
        )
        return
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.WRITE) as session:
        acting = session.acting.user
        user = session.owner(name)
        if is_superuser is False and user.is_superuser:
            users.plan_change(session.store, session.settings, acting, user, is_superuser=False)
            confirm_demotion(user, session.store.location, yes=yes)
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


def confirm_demotion(user: User, location: str, *, yes: bool) -> None:
    """Ask before a superuser is demoted, if somebody can be asked."""
    prompts.confirm_at_terminal(
        f"Make {user.username} a regular user in {location}? They will lose access to other"
        " users' keys, variables and flows.",
        yes=yes,
    )


def confirm_deactivation(
    user: User, keys: int | None, location: str, *, revokes: bool = False, yes: bool
) -> None:
    """Ask before a superuser or a user with API keys is deactivated, if somebody can be asked.

    ``keys`` is the number of the user's API keys, or None if it is unknown. Any other user is
    deactivated without a question, because no program depends on them and it can be undone.
    ``revokes`` says that the keys are revoked, too.
    """
    if keys == 0 and not user.is_superuser:
        return
    has = f"{counted(keys, 'API key')}," if keys else ""
    if user.is_superuser:
        described = f", a superuser with {has}" if has else ", a superuser,"
    else:
        described = f", who has {has}" if has else ""
    fate = "their keys are revoked for good" if revokes else "servers refuse their keys"
    prompts.confirm_at_terminal(
        f"Deactivate {user.username}{described} in {location}?"
        f" They will not be able to log in{'' if keys == 0 else f', and {fate}'}.",
        yes=yes,
    )


def say_changed(
    session: Session, out: Output, change: users.StateChange, done: str, state: str
) -> None:
    """Print what was changed, or that nothing was."""
    name, location = change.new.username, session.store.location
    if change.old == change.new:
        out.note(f"{name} is already {state} in {location}; nothing was changed")
    else:
        out.note(f"{done} {name} in {location}")
