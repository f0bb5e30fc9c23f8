"""``langkeys backup``."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from langkeys.cli.invocation import refuse_own_file, session_of
from langkeys.cli.options import Command, invocation, new_app
from langkeys.errors import ConflictError, LangkeysError
from langkeys.files.staged import StagedFile
from langkeys.paths import absolute_path
from langkeys.sessions.session import Access, Session

app = new_app()


@app.command(cls=Command)
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup file to create (0600).")],
    with_secret_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the secret key to this new file (0600)."),
    ] = None,
) -> None:
    """Back up the database, even while the server runs, and check the copy.

    The copy is a consistent snapshot. It cannot be used without the secret key: keep the key
    separately, with --with-secret-key or otherwise. The key's fingerprint is printed. An existing
    file is not replaced (exit {conflict}). Needs no password.

    Piped columns: the copy, its size in bytes, the Langflow generation, the secret key's
    fingerprint.

    \b
    Examples:
      langkeys backup /backups/langflow-$(date +%F).db
      langkeys backup copy.db --with-secret-key copy.secret_key
    """
    out = invocation(context).output
    out.require_stdout()
    path = absolute_path(file)
    for written in (file, with_secret_key):
        refuse_own_file(context, written)
    with ExitStack() as stack:
        session = stack.enter_context(session_of(context, access=Access.NOBODY))
        store = session.store
        staged = None
        if with_secret_key is not None:
            if with_secret_key.exists() or with_secret_key.is_symlink():
                raise ConflictError(
                    f"{absolute_path(with_secret_key)} already exists, and a backup never"
                    " replaces a file",
                    hint="choose another file",
                )
            staged = stack.enter_context(StagedFile(with_secret_key))
            staged.write(_secret_key(session))
        with out.progress("copying", store.copy_size()) as done:
            store.copy_to(path, lambda copied, _: done(copied))
        if staged is not None:
            staged.publish_new()
        fingerprint = _fingerprint(session)
        release = store.generation.release
    size = path.stat().st_size
    if out.is_terminal:
        out.sentence(
            f"{path}: {size} bytes, Langflow {release}, checked; it needs the secret"
            f" key with fingerprint {fingerprint or '(none)'}"
        )
    else:
        out.rows([(path, size, release, fingerprint)])
    if staged is not None:
        out.note(f"the secret key is in {staged.path}")


def _secret_key(session: Session) -> str:
    from langkeys.sessions.secret_key import get_secret_key

    return get_secret_key(session).text


def _fingerprint(session: Session) -> str | None:
    """Return the secret key's fingerprint; warn if that key cannot decrypt the copy."""
    from langkeys.sessions.secret_key import get_secret_key

    try:
        session.check_secret_key()
        return get_secret_key(session).fingerprint
    except LangkeysError as error:
        session.warn(f"the copy is complete, but {error.message}")
        return None
