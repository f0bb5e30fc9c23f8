"""``langkeys api-key rotate``."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from langkeys.api_keys import rotation
from langkeys.api_keys.ending import WholeKey
from langkeys.api_keys.lifecycle import require_expiry
from langkeys.api_keys.rotation import Expires, Replacement, Selection
from langkeys.cli import prompts
from langkeys.cli.api_key.replacements import deliver_replacements, say_rotated, warn_of_leftovers
from langkeys.cli.api_key.selected import require_yes_for_acting, resolved_keys, rows_of
from langkeys.cli.completion import complete_api_keys
from langkeys.cli.invocation import refuse_own_file, session_of
from langkeys.cli.key_files import (
    Format,
    FormatOption,
    NamespaceOption,
    SecretKeyOption,
    SecretNameOption,
    file_for_each,
    form_of,
    is_file,
    one_file,
    try_file_for_each,
)
from langkeys.cli.messages import plural_keys, row_named, say_other_rows
from langkeys.cli.options import (
    DryRun,
    RemoteEncryptingCommand,
    UserOption,
    Yes,
    invocation,
    is_remote,
    new_app,
)
from langkeys.cli.output import Output
from langkeys.cli.present.api_keys import confirm_for_keys, masked_keys, show_masked_keys
from langkeys.errors import LangkeysError, UsageError
from langkeys.models import dashed
from langkeys.sessions.session import Access, Session
from langkeys.text import listed
from langkeys.times import now, parsed_expiry, parsed_span

app = new_app()


@app.command(cls=RemoteEncryptingCommand)
def rotate(
    context: typer.Context,
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF]...",
            help="The keys, or - for stdin.",
            autocompletion=complete_api_keys,
        ),
    ] = None,
    user: UserOption = None,
    all_keys: Annotated[
        bool, typer.Option("--all", help="All working keys of --user USER.")
    ] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="All working keys created at least this long ago; with --user, only that user's.",
        ),
    ] = None,
    grace: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Keep the old key working for this long.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN|never", help="The new key's expiry. Default: the old key's lifetime."
        ),
    ] = None,
    write_to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the new key to FILE (0600); - is stdout, the default."
        ),
    ] = None,
    keep_old: Annotated[
        bool,
        typer.Option("--keep-old", help="Over REST: keep the old key, to be revoked later."),
    ] = False,
    write_to_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write each new key to a file in DIR, named after the key."
        ),
    ] = None,
    format_: FormatOption = Format.KEY,
    secret_name: SecretNameOption = None,
    secret_key: SecretKeyOption = None,
    namespace: NamespaceOption = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Replace API keys with new ones of the same name, owner and lifetime.

    The new key is stored, then delivered (to stdout, FILE or DIR). Only after that is the old key
    deleted in all of its rows or, with --grace, set to expire after SPAN. After a crash in between,
    both keys work. A name means the working key of that name, if there is only one. Keys that have
    already been replaced and are in their grace period are skipped by --all, --older-than and a
    name, so the command can run every night. If no key needs to be rotated, exit {done}. An
    existing FILE is replaced. On a terminal the command asks before it replaces several keys
    without a grace period. The key that langkeys itself authenticates with is only replaced with
    --yes.

    \b
    Examples:
      langkeys api-key rotate ci --grace 1h --write-to /run/secrets/langflow-key
      langkeys api-key rotate --older-than 90d --grace 7d --write-to-dir /run/secrets
      langkeys api-key rotate - --url https://langflow.example.com --write-to key < key
      langkeys api-key rotate --user alice --all --dry-run
    """
    call = invocation(context)
    out = call.output
    if write_to is not None and write_to_dir is not None:
        raise UsageError("--write-to and --write-to-dir cannot be used together")
    to_files = is_file(write_to) or write_to_dir is not None
    if not to_files or out.as_json or dry_run:
        out.require_stdout()
    span = None if grace is None else parsed_span(grace, "--grace")
    new_expiry = _expires(expires)
    age = None if older_than is None else parsed_span(older_than, "--older-than")
    over_url = is_remote(context)
    _check_selection(refs, user=user, all_keys=all_keys, age=age, is_own=over_url)
    if keep_old and (not over_url or grace is not None):
        raise UsageError(
            "--keep-old requires --url or --remote, and cannot be used with --grace",
            hint="on a database, use --grace SPAN to keep the old key working for a while",
        )
    form = form_of(
        format_,
        secret_name=secret_name,
        secret_key=secret_key,
        namespace=namespace,
        is_shown=not out.as_json or to_files,
    )
    refuse = partial(refuse_own_file, context)
    refuse(write_to)
    if over_url:
        from langkeys.cli.remote import rotation as over_rest

        over_rest.rotate(
            context,
            refs=refs,
            user=user,
            age=age,
            has_grace=span is not None,
            keep_old=keep_old,
            expires=new_expiry,
            write_to=write_to,
            write_to_dir=write_to_dir,
            form=form,
            yes=yes,
            dry_run=dry_run,
        )
        return
    with ExitStack() as stack:
        destination = None
        if write_to is not None and is_file(write_to):
            destination = one_file(stack, write_to, form, replace=True)
        session = stack.enter_context(session_of(context, access=Access.WRITE))
        if span is not None:
            rotation.require_grace(session.generation)
        if new_expiry is not None and new_expiry != "never":
            require_expiry(session.generation)
        keys = _selected(session, refs, user=user, age=age, grace=span)
        require_yes_for_acting(session.acting, rows_of(keys), yes=yes or dry_run)
        form.check_count(len(keys))
        if keys:
            session.check_secret_key(encrypts=session.generation.encrypts_keys)
        if dry_run and write_to_dir is not None:
            try_file_for_each(write_to_dir, [key.meant for key in keys], form, refuse)
        if dry_run or not keys:
            _say_nothing_done(session, keys, dry_run=dry_run)
            _show_rows(session, out, keys)
            return
        _confirm(session, out, keys, yes=yes or span is not None)
        warn_of_leftovers(session, [key.meant for key in keys])
        replacements = rotation.new_replacements(
            session.store,
            lambda: session.cipher,
            keys,
            expires=new_expiry,
            grace=span,
            is_whole=bool(refs),
        )
        if write_to_dir is not None:
            made = [item.new.row for item in replacements]
            destination = file_for_each(stack, write_to_dir, made, form, refuse)
        deliver_replacements(
            session, out, replacements, destination, form, as_array=_is_array(refs, replacements)
        )
        _end_old(session, replacements, grace=span)
        say_rotated(session, out, replacements, destination)
        if destination is not None:
            destination.warn(out)
        acting = session.acting.api_key
        if acting is not None and acting.id in {row.id for row in rows_of(keys)}:
            out.warn("LANGKEYS_API_KEY is one of the replaced keys: set it to the new one")


def _expires(text: str | None) -> Expires:
    if text is None:
        return None
    moment = parsed_expiry(text, "--expires")
    return "never" if moment is None else moment


def _check_selection(
    refs: list[str] | None,
    *,
    user: str | None,
    all_keys: bool,
    age: timedelta | None,
    is_own: bool,
) -> None:
    hint = "use REF..., --user USER --all, or --older-than SPAN"
    if refs and (user is not None or all_keys or age is not None):
        raise UsageError("REF cannot be used with --user, --all or --older-than", hint=hint)
    if all_keys and not is_own and user is None and age is None:
        raise UsageError("--all requires --user USER", hint=hint)
    if not refs and age is None and not ((user is not None or is_own) and all_keys):
        raise UsageError("no keys selected", hint=hint)


def _selected(
    session: Session,
    refs: list[str] | None,
    *,
    user: str | None,
    age: timedelta | None,
    grace: timedelta | None,
) -> list[WholeKey]:
    if refs:
        named = resolved_keys(session, refs, working=True)
        return rotation.get_rotatable(session.endings, named, grace=grace)
    owner = None if user is None else session.owner(user)
    selection = rotation.select_working(
        session.store,
        session.endings,
        user_id=None if owner is None else owner.id,
        created_before=None if age is None else now() - age,
        grace=grace,
    )
    _report_left_out(session, selection)
    return selection.keys


def _report_left_out(session: Session, selection: Selection) -> None:
    in_grace = [row for row, _, is_expected in selection.left_out if is_expected]
    for row, reason, is_expected in selection.left_out:
        if not is_expected:
            session.warn(f"left out: API key {row_named(row)} {reason}")
        elif len(in_grace) == 1:
            session.note(f"left out: API key {row_named(row)} {reason}")
    if len(in_grace) > 1:
        session.note(
            f"left out {plural_keys(in_grace)} that were already replaced and are in their grace"
            f" period: {listed([row_named(row) for row in in_grace])}"
        )


def _is_array(refs: list[str] | None, replacements: Sequence[Replacement]) -> bool:
    return refs is None or len(refs) != 1 or len(replacements) != 1


def _say_nothing_done(session: Session, keys: Sequence[WholeKey], *, dry_run: bool) -> None:
    if not keys:
        session.note(
            f"no API key in {session.store.location} needs to be rotated; nothing was done"
        )
    elif dry_run:
        session.note(f"dry run: {plural_keys(keys)} would be rotated; nothing was done")
        say_other_rows(session, keys, "it would be revoked")


def _show_rows(session: Session, out: Output, keys: Sequence[WholeKey]) -> None:
    if keys or out.as_json:
        show_masked_keys(session, out, [key.meant for key in keys])


def _confirm(session: Session, out: Output, keys: Sequence[WholeKey], *, yes: bool) -> None:
    if len(keys) > 1 and prompts.can_ask():
        confirm_for_keys(
            out,
            masked_keys(session, (key.meant for key in keys)),
            len(keys),
            f"Rotate {plural_keys(keys)} in {session.store.location}? The old keys"
            " stop working immediately.",
            yes=yes,
            store=session.store,
        )


def _end_old(
    session: Session, replacements: Sequence[Replacement], *, grace: timedelta | None
) -> None:
    try:
        rotation.end_old(session.store, session.endings, replacements, grace=grace)
    except LangkeysError as error:
        if session.endings.has_ended:
            raise
        ids = " ".join(dashed(item.old.id) for item in replacements[:10])
        error.hint = (
            "the new keys were delivered and work, but the old keys were not revoked."
            f" To revoke them: langkeys api-key revoke {ids}"
        )
        raise
