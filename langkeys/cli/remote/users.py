"""``langkeys user`` over REST, for superusers."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import typer

from langkeys.cli.invocation import settings_of
from langkeys.cli.new_password import asked_password, given_password, warn_of_length
from langkeys.cli.options import invocation
from langkeys.cli.output import Output
from langkeys.cli.present.paging import Paging, sliced
from langkeys.cli.present.users import (
    show_existing,
    show_user,
    show_user_card,
    show_users,
    warn_of_inactive,
)
from langkeys.cli.remote.connection import server_of
from langkeys.cli.user.change import confirm_deactivation, confirm_demotion
from langkeys.errors import ConflictError, LangkeysError
from langkeys.models import User, UserSummary, dashed
from langkeys.remote import users
from langkeys.remote.server import Server
from langkeys.times import now
from langkeys.users import checked_username

_RACE = "this check does not notice another superuser that is changed at the same moment"


def list_(context: typer.Context, *, paging: Paging[UserSummary]) -> None:
    """List users."""
    out = invocation(context).output
    out.require_stdout()
    server = _server(context, "user list", writes=False)
    found = users.list_users(server)
    shown = paging.page(lambda limit, offset: sliced(found, limit, offset), _summary)
    show_users(out, map(_summary, shown), now())


def show(context: typer.Context, user: str) -> None:
    """Show one user."""
    out = invocation(context).output
    out.require_stdout()
    server = _server(context, "user show", writes=False)
    show_user_card(out, _summary(users.get_user(server, user)), now())


def create(
    context: typer.Context,
    name: str,
    *,
    superuser: bool,
    password_file: Any,
    random: bool,
    if_missing: bool,
) -> None:
    """Create a user."""
    out = invocation(context).output
    out.require_stdout()
    checked_username(name)
    # If the user exists, no password is needed, so a missing one is reported later.
    password = None if if_missing else given_password(password_file, random)
    server = _server(context, "user create")
    if if_missing:
        if _show_existing(out, server, name, superuser=superuser):
            return
        password = given_password(password_file, random)
    users.check_new(server, name)
    if password is None:
        password = asked_password(name)
    try:
        made = users.create_user(server, name, password, is_superuser=superuser)
    except ConflictError:
        # Another container that started at the same time may have created the user.
        if if_missing and _show_existing(out, server, name, superuser=superuser):
            return
        raise
    additions = {"changed": True} if if_missing else {}
    _deliver(out, server, made, password if random else None, additions)
    what = "superuser" if superuser else "user"
    out.note(f"created the {what} {name} ({dashed(made.id)}) in {server.location}")
    warn_of_length(out, password)


def _show_existing(out: Output, server: Server, name: str, *, superuser: bool) -> bool:
    """Show the user with this name; return False if there is none."""
    user = next((user for user in users.list_users(server) if user.username == name), None)
    if user is None:
        return False
    show_existing(out, _summary(user), server.location, superuser=superuser, option=server.option)
    return True


def set_password(context: typer.Context, user: str, *, password_file: Any, random: bool) -> None:
    """Send a new password for a user."""
    out = invocation(context).output
    out.require_stdout()
    password = given_password(password_file, random)
    server = _server(context, "user set-password")
    chosen = users.get_user(server, user)
    if password is None:
        password = asked_password(chosen.username)
    changed = users.set_password(server, chosen, password)
    _deliver(out, server, changed, password if random else None)
    out.note(
        f"sent the password for {changed.username} to {server.location}; it was not"
        " tested by a login"
    )
    warn_of_length(out, password)
    warn_of_inactive(out, changed)


def change(
    context: typer.Context,
    name: str,
    done: str,
    state: str,
    *,
    is_active: bool | None = None,
    is_superuser: bool | None = None,
    yes: bool = False,
) -> None:
    """Activate, promote or demote a user; the messages use the words ``done`` and ``state``."""
    out = invocation(context).output
    out.require_stdout()
    server = _server(context, context.command_path.partition(" ")[2])
    user = users.get_user(server, name)
    if is_superuser is False:
        _check_named(context, server, user, "demote")
        if user.is_superuser:
            confirm_demotion(user, server.location, yes=yes)
    changed = users.change_state(server, user, is_active=is_active, is_superuser=is_superuser)
    _say_changed(out, server, user, changed, done, state)
    show_user(out, _summary(changed), now())
    if is_superuser is False and changed != user:
        _look_again(server, out)


def deactivate(
    context: typer.Context, name: str, *, revoke_keys: bool, yes: bool, dry_run: bool
) -> None:
    """Deactivate a user."""
    out = invocation(context).output
    out.require_stdout()
    options = ("user deactivate --revoke-keys",) if revoke_keys else ()
    server = _server(context, *options, "user deactivate")
    user = users.get_user(server, name)
    if user.is_active:
        users.check_dispensable(server, user, "deactivate")
        _check_named(context, server, user, "deactivate")
    if dry_run:
        already = "would be inactive" if user.is_active else "is already inactive"
        out.note(f"dry run: {user.username} {already}; nothing was done")
        changed = user
    else:
        if user.is_active:
            confirm_deactivation(user, None, server.location, yes=yes)
        changed = users.change_state(server, user, is_active=False)
        _say_changed(out, server, user, changed, "deactivated", "inactive")
    show_user(out, _summary(changed), now(), {"revoked_keys": []})
    version = server.version
    if (version.major, version.minor) < (1, 11):
        out.warn(
            f"Langflow {version.text} lets API keys of inactive users run flows, and"
            f" over REST only {user.username} can revoke their keys; langkeys can on"
            " the database"
        )
    if not dry_run and changed != user:
        _look_again(server, out)


def _server(context: typer.Context, *abilities: str, writes: bool = True) -> Server:
    server = server_of(context, writes=writes)
    for ability in abilities:
        server.require(ability)
    server.require_superuser()
    return server


def _summary(user: User) -> UserSummary:
    return UserSummary(user, None, None)


def _check_named(context: typer.Context, server: Server, user: User, what: str) -> None:
    """Raise ConflictError for the user that LANGFLOW_SUPERUSER names in langkeys' settings."""
    settings = settings_of(context)
    if settings.is_given("LANGFLOW_SUPERUSER") and user.username == settings.superuser:
        raise ConflictError(
            f"LANGFLOW_SUPERUSER names {user.username!r}: servers do not start without that"
            " superuser; nothing was done",
            hint=f"{what} another superuser, or unset it if {server.location} is another server",
        )


def _say_changed(out: Output, server: Server, old: User, new: User, done: str, state: str) -> None:
    if old == new:
        out.note(f"{new.username} is already {state} in {server.location}; nothing was changed")
    else:
        out.note(f"{done} {new.username} in {server.location}")


def _look_again(server: Server, out: Output) -> None:
    """Warn if no active superuser is left, because no transaction prevents that."""
    try:
        left = [user for user in users.list_users(server) if user.is_active and user.is_superuser]
    except LangkeysError as error:
        out.warn(f"cannot determine whether a superuser is left: {error.message}; {_RACE}")
        return
    if not left:
        out.warn(
            f"no active superuser is left in {server.location}: another one was"
            " changed at the same moment. Use langkeys on the database to promote a"
            " user"
        )


def _deliver(
    out: Output,
    server: Server,
    user: User,
    made_up: str | None,
    additions: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    if made_up is None:
        show_user(out, _summary(user), now(), dict(additions))
        return
    try:
        if out.as_json:
            show_user(out, _summary(user), now(), {"password": made_up, **additions})
        elif out.is_terminal:
            out.new_password_panel(made_up, user.username)
        else:
            out.data(f"{made_up}\n")
    except LangkeysError as error:
        error.hint = (
            f"nobody has received the new password for {user.username}, and the old one"
            " no longer works. Set it again: langkeys user set-password"
            f" {user.username} {server.option}"
        )
        raise


__all__: Sequence[str] = (
    "change",
    "create",
    "deactivate",
    "list_",
    "set_password",
    "show",
)
