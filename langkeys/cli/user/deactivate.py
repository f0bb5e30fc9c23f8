"""``langkeys user deactivate``."""

from typing import Annotated

import typer

from langkeys import users
from langkeys.cli import prompts
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import plural_keys, row_named, warn_of_unreadable
from langkeys.cli.options import (
    DryRun,
    RemoteCommand,
    UserArgument,
    Yes,
    invocation,
    is_remote,
    new_app,
)
from langkeys.cli.present.users import show_user
from langkeys.cli.user.change import confirm_deactivation, say_changed
from langkeys.models import ApiKey, User, dashed
from langkeys.sessions.session import Access, Session
from langkeys.times import now

app = new_app()


@app.command(cls=RemoteCommand)
def deactivate(
    context: typer.Context,
    user: UserArgument,
    revoke_keys: Annotated[
        bool,
        typer.Option(
            "--revoke-keys", help="Also revoke the user's API keys. This cannot be undone."
        ),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Deactivate a user: they cannot log in, and their API keys are refused.

    On Langflow 1.5 to 1.10 the API keys of an inactive user are refused at whoami, but can still
    run flows. There the command warns, and on a terminal asks whether to revoke them. Elsewhere it
    asks on a terminal before it deactivates a superuser or a user with API keys. --yes skips the
    question, and revokes nothing by itself. Exit {conflict} for the last active superuser, the
    superuser in LANGFLOW_SUPERUSER (servers do not start without it) and the acting user. Piped
    columns: those of list. JSON also has revoked_keys, a list of ids.

    \b
    Examples:
      langkeys user deactivate alice
      langkeys user deactivate alice --revoke-keys
    """
    if is_remote(context):
        from langkeys.cli.remote import users as over_rest

        over_rest.deactivate(context, user, revoke_keys=revoke_keys, yes=yes, dry_run=dry_run)
        return
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.WRITE) as session:
        acting = session.acting.user
        chosen = session.owner(user)
        planned = users.plan_change(
            session.store, session.settings, acting, chosen, is_active=False
        )
        open_keys = _working_keys(session, chosen)
        if dry_run:
            keys = users.keys_of(session.store, chosen) if revoke_keys else []
            already = "is already inactive" if planned.old == planned.new else "would be inactive"
            revoked = f", {plural_keys(keys)} would be revoked" if revoke_keys else ""
            out.note(f"dry run: {chosen.username} {already}{revoked}; nothing was done")
            planned = users.StateChange(planned.old, planned.old, keys)
        else:
            if open_keys and not revoke_keys and not yes and prompts.can_ask():
                revoke_keys = prompts.is_wanted(
                    f"{_warning(session, chosen, open_keys)}. Revoke all of the user's API keys"
                    f" in {session.store.location}?"
                )
            elif planned.old != planned.new or revoke_keys:
                keys = users.keys_of(session.store, chosen)
                confirm_deactivation(
                    chosen, len(keys), session.store.location, revokes=revoke_keys, yes=yes
                )
            planned = users.change_state(
                session.store,
                session.settings,
                acting,
                chosen,
                is_active=False,
                revoke_keys=revoke_keys,
                endings=session.endings,
            )
            say_changed(session, out, planned, "deactivated", "inactive")
            if revoke_keys:
                out.note(f"revoked {plural_keys(planned.revoked)} of {chosen.username}")
                for row in planned.revoked:
                    if row.user_id != chosen.id:
                        session.warn(
                            f"API key {row_named(row)} held the same key and was revoked too"
                        )
                warn_of_unreadable(session)
        show_user(
            out,
            users.get_summary(session.store, chosen.id),
            now(),
            {"revoked_keys": [dashed(key.id) for key in planned.revoked]},
        )
        if open_keys and not revoke_keys:
            session.warn(
                f"{_warning(session, chosen, open_keys)}; use --revoke-keys or"
                " langkeys api-key revoke to revoke them"
            )


def _working_keys(session: Session, user: User) -> list[ApiKey]:
    """Return the user's API keys that still work although the user is inactive."""
    generation = session.generation
    if generation.honours_owner_state:
        return []
    keys, moment = users.keys_of(session.store, user), now()
    if not generation.honours_key_state:
        return keys
    return [key for key in keys if key.status(moment) == "active"]


def _warning(session: Session, user: User, keys: list[ApiKey]) -> str:
    return (
        f"Langflow {session.generation.release} lets API keys of inactive users run flows, and"
        f" {user.username!r} has {plural_keys(keys)}"
    )
