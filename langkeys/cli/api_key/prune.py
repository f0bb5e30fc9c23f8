"""``langkeys api-key prune``."""

from typing import Annotated

import typer

from langkeys.api_keys import lifecycle as api_keys
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import plural_keys, row_named, warn_of_unreadable
from langkeys.cli.options import (
    DryRun,
    RemoteCommand,
    UserOption,
    Yes,
    invocation,
    is_remote,
    new_app,
)
from langkeys.cli.present.api_keys import confirm_for_keys, masked_keys, show_masked_keys
from langkeys.errors import UsageError
from langkeys.sessions.session import Access, Session
from langkeys.store.protocol import KeyFilter
from langkeys.times import now, parsed_span

app = new_app()


@app.command(cls=RemoteCommand)
def prune(
    context: typer.Context,
    expired: Annotated[bool, typer.Option("--expired", help="Keys that have expired.")] = False,
    unused_for: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Keys not used for this long.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Keys created at least this long ago.")
    ] = None,
    user: UserOption = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Apply --unused-for even if the server does not count uses."),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Revoke all API keys, of any user, that match every filter given.

    At least one filter is required. Either all matching keys are revoked or none, in one
    transaction. The key that langkeys itself authenticates with is never revoked. The command asks
    first; --yes skips the question. Piped columns: those of list.

    \b
    Examples:
      langkeys api-key prune --expired --yes
      langkeys api-key prune --unused-for 180d --older-than 180d --dry-run
      langkeys api-key prune --user alice
    """
    out = invocation(context).output
    out.require_stdout()
    if not expired and unused_for is None and older_than is None and user is None:
        raise UsageError(
            "without a filter, every API key would be revoked",
            hint="use --expired, --unused-for SPAN, --older-than SPAN or --user USER",
        )
    unused = None if unused_for is None else parsed_span(unused_for, "--unused-for")
    age = None if older_than is None else parsed_span(older_than, "--older-than")
    moment = now()
    if is_remote(context):
        from langkeys.cli.remote import api_keys as over_rest

        over_rest.prune(
            context,
            user=user,
            moment=moment,
            conditions={
                "unused_since": None if unused is None else moment - unused,
                "created_before": None if age is None else moment - age,
                "is_expired": expired,
            },
            yes=yes,
            dry_run=dry_run,
        )
        return
    with session_of(context, access=Access.WRITE) as session:
        acting = session.acting
        if unused is not None and not force:
            _require_counted_use(session)
        wanted = KeyFilter(
            now=moment,
            user_id=None if user is None else session.owner(user).id,
            unused_since=None if unused is None else moment - unused,
            created_before=None if age is None else moment - age,
            is_expired=expired,
        )
        spared = None if acting.api_key is None else acting.api_key.id
        with session.store.key_batch() as batch:
            batch.add_matching(wanted, spared=spared)
            left = session.endings.exclude_kept_alive(batch)
            if batch and dry_run:
                out.note(f"dry run: {plural_keys(batch)} would be revoked; nothing was done")
            elif batch:
                confirm_for_keys(
                    out,
                    masked_keys(session, batch),
                    len(batch),
                    f"Revoke {plural_keys(batch)} in {session.store.location}?",
                    yes=yes,
                    store=session.store,
                )
                with session.progress("revoking API keys", len(batch)) as done:
                    left += session.endings.revoke_batch(batch, wanted, done=done)
                out.note(f"revoked {plural_keys(batch)} in {session.store.location}")
                warn_of_unreadable(session)
            for key in left:
                session.warn(
                    f"left out: {', '.join(map(row_named, key.others))}, as"
                    f" {row_named(key.meant)} holds the same key, does not match and"
                    " keeps it working"
                )
            show_masked_keys(
                session,
                out,
                batch,
                moment,
                are_gone=not dry_run,
                nothing=lambda: f"no API key in {session.store.location} matches; nothing was done",
            )


def _require_counted_use(session: Session) -> None:
    disabled = session.settings.flag("LANGFLOW_DISABLE_TRACK_APIKEY_USAGE")
    if not api_keys.is_use_counted(session.store, disabled):
        why = (
            "LANGFLOW_DISABLE_TRACK_APIKEY_USAGE is set: the server does not count the use of keys"
            if disabled
            else f"no use of any key is counted in {session.store.location}"
        )
        raise UsageError(
            f"{why}, so keys in use would look unused; nothing was done",
            hint="use --force to prune anyway",
        )
