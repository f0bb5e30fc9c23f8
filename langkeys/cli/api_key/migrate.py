"""``langkeys api-key migrate``."""

import typer

from langkeys.api_keys import reencrypt
from langkeys.cli.invocation import session_of
from langkeys.cli.options import DryRun, EncryptingCommand, invocation, new_app
from langkeys.models import dashed
from langkeys.sessions.session import Access

app = new_app()


@app.command(cls=EncryptingCommand)
def migrate(context: typer.Context, dry_run: DryRun = False) -> None:
    """Re-encrypt stored API keys in the server's current format.

    Plaintext keys from before 1.8 are encrypted and hashed, missing hashes are added, and values
    encrypted with the old derivation of a short secret key are re-encrypted. Either all keys are
    changed or none. The keys themselves stay the same. Piped columns: id, name, username, what was
    done.

    \b
    Examples:
      langkeys api-key migrate --dry-run
      langkeys api-key migrate
    """
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.WRITE) as session:
        session.check_secret_key(encrypts=session.generation.encrypts_keys)
        total = session.store.counts()["API keys"]
        with out.progress("reading API keys", total) as done:
            found = reencrypt.plan_migration(session.store, lambda: session.cipher, done)
        if not dry_run and found.changes:
            reencrypt.migrate(session.store, found)
        location = session.store.location
    many = f"{len(found.changes)} of {found.rows} API keys"
    if dry_run:
        out.note(f"dry run: {many} in {location} would be changed; nothing was done")
    else:
        out.note(f"changed {many} in {location}; the others are already in the current format")
    for row in found.undecryptable[:20]:
        out.warn(f"API key {dashed(row.id)} ({row.name}) cannot be decrypted and was not changed")
    rows = [
        (dashed(new.id), new.name or "", new.username or "", what) for _, new, what in found.changes
    ]
    if out.as_json:
        fields = ("id", "name", "username", "change")
        out.array(dict(zip(fields, row, strict=True)) for row in rows)
    elif out.is_terminal and rows:
        out.table(("ID", "NAME", "USER", "CHANGE"), rows)
    elif not out.is_terminal:
        out.rows(rows)
