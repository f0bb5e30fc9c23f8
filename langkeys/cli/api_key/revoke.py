"""``langkeys api-key revoke``."""

from typing import Annotated

import typer

from langkeys.api_keys import lifecycle as api_keys
from langkeys.cli import prompts
from langkeys.cli.api_key.selected import require_yes_for_acting, resolved_rows, rows_of
from langkeys.cli.completion import complete_api_keys
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import plural_keys, row_named, say_other_rows, warn_of_unreadable
from langkeys.cli.options import DryRun, RemoteCommand, Yes, invocation, is_remote, new_app
from langkeys.cli.present.api_keys import show_api_keys
from langkeys.sessions.session import Access
from langkeys.text import listed
from langkeys.times import now

app = new_app()


@app.command(cls=RemoteCommand)
def revoke(
    context: typer.Context,
    refs: Annotated[
        list[str],
        typer.Argument(
            metavar="REF...",
            help="The keys, or - for stdin.",
            autocompletion=complete_api_keys,
        ),
    ],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Revoke API keys of any user. A running server refuses them at once.

    Either all keys are revoked or none. A key can be stored in several rows, even of different
    users: all of its rows are deleted. The command asks first; --yes skips the question. The key
    that langkeys itself authenticates with is only revoked with --yes. Exit {failed} if a server
    would still accept a key. Looking up a key by its visible start (sk-XXXXX) decrypts every key,
    so it is slower with many keys. Piped columns: those of list.

    \b
    Examples:
      langkeys api-key revoke ci
      langkeys api-key revoke - --yes < leaked.txt
      langkeys api-key revoke - --yes --url https://langflow.example.com < leaked.txt
      langkeys api-key revoke 3f2a9c41 --dry-run
    """
    if is_remote(context):
        from langkeys.cli.remote import api_keys as over_rest

        over_rest.revoke(context, refs, yes=yes, dry_run=dry_run)
        return
    call = invocation(context)
    call.output.require_stdout()
    out = call.output
    with session_of(context, access=Access.WRITE) as session:
        endings = session.endings
        named, stubs = resolved_rows(session, refs)
        keys = endings.whole_keys(named)
        rows = rows_of(keys)
        if not dry_run:
            require_yes_for_acting(session.acting, rows, yes=yes)
            every = [*map(row_named, rows), *(f"row {stub.id} ({stub.name})" for stub in stubs)]
            prompts.confirm(f"Revoke {listed(every)} in {session.store.location}?", yes=yes)
        values = {
            row.id: api_keys.masked_value(row, lambda: session.reading_cipher) for row in rows
        }
        many = plural_keys([*keys, *stubs])
        if dry_run:
            out.note(f"dry run: {many} would be revoked; nothing was done")
            say_other_rows(session, keys, "it would be deleted")
        else:
            keys = endings.revoke(keys, stubs)
            rows = rows_of(keys)
            out.note(f"revoked {many} in {session.store.location}")
            say_other_rows(session, keys, "revoked")
            warn_of_unreadable(session)
        for stub in stubs:
            session.warn(
                f"row {stub.id} ({stub.name}) cannot be read, its {stub.problem} is"
                " malformed. It may hold one of these keys"
            )
        shown = ((row, values.get(row.id)) for row in rows)
        show_api_keys(out, shown, now(), store=session.store, are_gone=not dry_run)
