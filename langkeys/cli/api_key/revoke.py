"""``langkeys api-key revoke``."""

from typing import Annotated

import typer

from langkeys import api_keys
from langkeys.cli import prompts
from langkeys.cli.invocation import session_of
from langkeys.cli.key_rows import (
    plural_keys,
    require_yes_for_acting,
    resolved_keys,
    show_keys,
)
from langkeys.cli.options import DryRun, RemoteCommand, Yes, invocation, is_remote, new_app
from langkeys.models import dashed
from langkeys.session import Access
from langkeys.times import now

app = new_app()


@app.command(cls=RemoteCommand)
def revoke(
    context: typer.Context,
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="The keys, or - for stdin.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Revoke API keys, anybody's: a running server refuses them at once.

    All of them or none. It asks first; --yes skips the question, and is needed to revoke the key
    that langkeys itself acts by. To find a key by its visible start (sk-XXXXX) every key is
    decrypted, so that it takes longer the more there are. Piped columns: those of list.

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
    with session_of(context, access=Access.WRITE) as session:
        acting = session.acting
        keys = resolved_keys(session, refs, destroys=True)
        if not dry_run:
            require_yes_for_acting(acting, keys, yes=yes)
            names = ", ".join(f"{dashed(k.id)} ({k.name}, {k.username})" for k in keys[:10])
            more = "" if len(keys) <= 10 else f" and {len(keys) - 10} more"
            prompts.confirm(f"Revoke {names}{more}?", yes=yes)
        values = [api_keys.masked_value(key, lambda: session.reading_cipher) for key in keys]
        if not dry_run:
            api_keys.revoke(session.store, keys)
        many = plural_keys(keys)
        if dry_run:
            call.output.note(f"dry run: {many} would be revoked; nothing was done")
        else:
            call.output.note(f"revoked {many} in {session.store.location}")
        show_keys(call.output, zip(keys, values, strict=True), now())
