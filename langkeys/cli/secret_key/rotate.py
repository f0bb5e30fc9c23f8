"""``langkeys secret-key rotate``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from langkeys.cli import prompts
from langkeys.cli.invocation import session_of
from langkeys.cli.options import Command, DryRun, Yes, invocation, new_app
from langkeys.cli.output import Head, Output
from langkeys.secret_key.reencryption import ScanResult
from langkeys.secret_key.rotation import RotationPlan, decrypted_counts
from langkeys.sessions import secret_key
from langkeys.sessions.session import Access
from langkeys.text import counted, joined

app = new_app()

MAX_NAMED = 20


@app.command(cls=Command)
def rotate(
    context: typer.Context,
    new_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file with the new key. If it is missing, a generated key is "
            "written to it (0600).",
        ),
    ] = None,
    old_key_file: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Also decrypt with the older key in FILE; repeatable."),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option("--skip-unreadable", help="Keep values that no key can decrypt as they are."),
    ] = False,
    ignore_sessions_of: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE",
            help="On PostgreSQL: allow open sessions of ROLE, such as a monitor's; repeatable.",
        ),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Re-encrypt the whole database with a new secret key. The server must be stopped.

    Either all values are re-encrypted or none. Every value is read back with the new key before the
    commit; then the new key replaces the old one in the secret_key file, the .env file, or both.
    Before that, the database and the old key are backed up next to the database or, on PostgreSQL,
    in the config folder. After a crash, the next langkeys command that writes completes or undoes
    the rotation. Users must log in again; API keys keep working. If the key is set in the process
    environment, --new-key-file is required.

    Piped columns: table, column, values re-encrypted.

    \b
    Examples:
      langkeys secret-key rotate
      langkeys secret-key rotate --old-key-file secret_key.before --yes
      langkeys secret-key rotate --new-key-file /run/secrets/new-key --dry-run
    """
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.WRITE) as session:
        plan = secret_key.plan_rotation(
            session,
            new_key_file=new_key_file,
            old_key_files=old_key_file or (),
            skips=skip_unreadable,
            ignored_roles=ignore_sessions_of or (),
        )
        location = session.store.location
        if dry_run:
            result = secret_key.scan(session, plan, out.progress)
            total = sum(result.decrypted.values())
            out.note(
                f"dry run: {counted(total, 'value')} in {location} would be re-encrypted; nothing"
                " was done"
            )
        else:
            prompts.confirm(_question(location, plan), yes=yes)
            rotated = secret_key.rotate(session, plan, out.progress, out.warn)
            result = rotated.scan_result
            total = sum(result.decrypted.values())
            out.note(
                f"re-encrypted {counted(total, 'value')} in {location} with a new secret key"
                f" (fingerprint {plan.new_fingerprint}, previously"
                f" {plan.old_fingerprint}), and read all of them back"
            )
            out.note(
                f"the previous database is in {rotated.backup}, its secret key in"
                f" {rotated.old_key_file}: remove both when everything works"
            )
    try:
        _show_counts(out, decrypted_counts(result))
    finally:  # the rotation is done, even if stdout fails
        for is_expected in (True, False):
            _name_undecrypted(out, result, is_expected=is_expected)
        if not dry_run:
            for key_file in plan.key_files:
                out.note(f"the new secret key is in {key_file.title}")
            out.note("all users have to log in again; API keys keep working")
            _say_what_to_set(out, plan)


def _question(location: str, plan: RotationPlan) -> str:
    where = ", ".join(key_file.title for key_file in plan.key_files) or str(plan.new_key_file)
    return (
        f"Re-encrypt {location} with a new secret key, and write the key to {where}?"
        " The server must be stopped, and all users will have to log in again."
    )


def _show_counts(out: Output, counts: Sequence[tuple[str, str, int]]) -> None:
    if not out.is_terminal:
        out.rows(counts)
    elif counts:
        out.table(
            [Head("COLUMN", is_kept=True), Head("VALUES", is_kept=True)],
            [(f"{table}.{column}", str(n)) for table, column, n in counts],
        )


def _name_undecrypted(out: Output, result: ScanResult, *, is_expected: bool) -> None:
    total = result.undecrypted_expected if is_expected else result.undecrypted_unexpected
    named = result.named(is_expected=is_expected)[:MAX_NAMED]
    if total:
        what = "values" if is_expected else "unexpected tokens"
        more = "" if total <= len(named) else ", ..."
        out.warn(
            f"{total} {what} cannot be decrypted with any of the given keys and were"
            f" not changed: {', '.join(named)}{more}"
        )


def _say_what_to_set(out: Output, plan: RotationPlan) -> None:
    if plan.read_only:
        out.warn(
            "before you start the server, set LANGFLOW_SECRET_KEY to the content of"
            f" {plan.new_key_file}: {joined(plan.read_only)} still has the old key,"
            " and a server started with it writes it back"
        )
    else:
        out.note("if a service file or a container sets LANGFLOW_SECRET_KEY, change it there too")
