"""``langkeys api-key rotate``."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from langkeys import rotation
from langkeys.api_keys import NewApiKey, require_expiry
from langkeys.cli.delivery import store_and_deliver, warn_of_file
from langkeys.cli.invocation import session_of
from langkeys.cli.key_rows import (
    UserOption,
    plural_keys,
    require_yes_for_acting,
    resolved_keys,
    show_plain_keys,
)
from langkeys.cli.options import (
    DryRun,
    RemoteEncryptingCommand,
    Yes,
    invocation,
    is_remote,
    new_app,
)
from langkeys.errors import LangkeysError, NotFoundError, UsageError
from langkeys.files import StagedFile
from langkeys.models import ApiKey, dashed
from langkeys.rotation import Replacement
from langkeys.session import Access, Session
from langkeys.times import iso, iso_or_none, now, parsed_future, parsed_span

app = new_app()


@app.command(cls=RemoteEncryptingCommand)
def rotate(
    context: typer.Context,
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="[REF]...", help="The keys, or - for stdin.")
    ] = None,
    user: UserOption = None,
    all_keys: Annotated[
        bool, typer.Option("--all", help="All working keys of --user USER.")
    ] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN", help="All working keys made so long ago (--user's, if given)."
        ),
    ] = None,
    grace: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Let the old key work for so long.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="The new key's end; else the old lifetime.")
    ] = None,
    write_to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Put the new key in FILE (0600) instead of stdout."),
    ] = None,
    keep_old: Annotated[
        bool,
        typer.Option("--keep-old", help="Over REST: leave the old key, to be revoked later."),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Replace API keys by new ones of the same name, owner and lifetime.

    The new key is stored, then delivered (stdout or FILE, whole and synced), and only then does
    the old one go: deleted, or with --grace expiring at the end of SPAN. A crash in between leaves
    both working, never neither. A name means the working key of that name, where only one works.
    --yes is needed for the key that langkeys itself acts by.

    \b
    Examples:
      langkeys api-key rotate ci --grace 1h --write-to /run/secrets/langflow-key
      langkeys api-key rotate --older-than 90d --json
      langkeys api-key rotate - --url https://langflow.example.com --write-to key < key
      langkeys api-key rotate --user alice --all --dry-run
    """
    call = invocation(context)
    out = call.output
    if write_to is None or out.as_json or dry_run:
        out.require_stdout()
    span = None if grace is None else parsed_span(grace, "--grace")
    expires_at = None if expires is None else parsed_future(expires, "--expires")
    age = None if older_than is None else parsed_span(older_than, "--older-than")
    over_url = is_remote(context)
    _check_selection(refs, user=user, all_keys=all_keys, age=age, is_own=over_url)
    if keep_old and (not over_url or grace is not None):
        raise UsageError(
            "--keep-old is for --url and --remote, and excludes --grace",
            hint="on a database --grace SPAN lets the old key work for so long",
        )
    if over_url:
        from langkeys.cli.remote import api_keys as over_rest

        over_rest.rotate(
            context,
            refs=refs,
            user=user,
            age=age,
            grace=grace,
            keep_old=keep_old,
            expires=expires,
            write_to=write_to,
            yes=yes,
            dry_run=dry_run,
        )
        return
    with ExitStack() as stack:
        session = stack.enter_context(session_of(context, access=Access.WRITE))
        acting = session.acting
        if span is not None:
            rotation.require_grace(session.generation)
        if expires_at is not None:
            require_expiry(session.generation)
        keys = _selected(session, refs, user=user, age=age)
        require_yes_for_acting(acting, keys, yes=yes or dry_run)
        session.check_secret_key(encrypts=session.generation.encrypts_keys)
        if dry_run:
            out.note(f"dry run: {plural_keys(keys)} would be rotated; nothing was done")
            show_plain_keys(session, out, keys)
            return
        _report_leftovers(session, keys)
        staged = None if write_to is None else stack.enter_context(StagedFile(write_to))
        replacements = rotation.prepared(
            session.store, lambda: session.cipher, keys, expires_at=expires_at, grace=span
        )
        by_new = {item.new.row.id: item for item in replacements}

        def additions(key: NewApiKey) -> dict[str, Any]:
            item = by_new[key.row.id]
            return {
                "replaces": dashed(item.old.id),
                "replaces_expires_at": iso_or_none(item.old_expires_at),
            }

        store_and_deliver(
            session,
            out,
            [item.new for item in replacements],
            as_array=refs is None or len(refs) != 1 or len(keys) != 1,
            staged=staged,
            additions=additions,
        )
        _end_old(session, replacements)
        _say_rotated(session, replacements, staged)
        warn_of_file(out, staged)
        if acting.api_key is not None and acting.api_key.id in {key.id for key in keys}:
            out.warn("LANGKEYS_API_KEY held one of these keys: set it to the new one")


def _check_selection(
    refs: list[str] | None,
    *,
    user: str | None,
    all_keys: bool,
    age: timedelta | None,
    is_own: bool,
) -> None:
    hint = "give REF..., or --user USER --all, or --older-than SPAN"
    if refs and (user is not None or all_keys or age is not None):
        raise UsageError("REF excludes --user, --all and --older-than", hint=hint)
    if not refs and age is None and not ((user is not None or is_own) and all_keys):
        raise UsageError("it is not said which keys to rotate", hint=hint)


def _selected(
    session: Session, refs: list[str] | None, *, user: str | None, age: timedelta | None
) -> list[ApiKey]:
    if refs:
        keys = resolved_keys(session, refs, working=True)
        rotation.require_rotatable(keys)
        return keys
    owner = None if user is None else session.owner(user)
    keys = rotation.working_keys(
        session.store,
        user_id=None if owner is None else owner.id,
        created_before=None if age is None else now() - age,
    )
    if not keys:
        raise NotFoundError(f"no working API key of {session.store.location} matches")
    return keys


def _report_leftovers(session: Session, keys: Sequence[ApiKey]) -> None:
    chosen = {key.id for key in keys}
    oldest: dict[tuple[str, str | None], ApiKey] = {}
    for key in keys:
        first = oldest.setdefault((key.user_id, key.name), key)
        if key.created_at < first.created_at:
            oldest[key.user_id, key.name] = key
    # Once for all keys of one name and owner, of whom there may be thousands.
    for key in oldest.values():
        for other in rotation.leftovers(session.store, key):
            if other.id not in chosen:
                session.warn(
                    f"API key {dashed(other.id)} ({other.name}) is newer than {dashed(key.id)} and"
                    " was never used: a rotation that broke off may have left it. Revoke it if"
                    " nobody has it"
                )


def _end_old(session: Session, replacements: Sequence[Replacement]) -> None:
    try:
        rotation.end_old(session.store, replacements)
    except LangkeysError as error:
        ids = " ".join(dashed(item.old.id) for item in replacements[:10])
        error.hint = (
            "the new keys are delivered and work, and the old ones have not been ended: langkeys"
            f" api-key revoke {ids}"
        )
        raise


def _say_rotated(
    session: Session, replacements: Sequence[Replacement], staged: StagedFile | None
) -> None:
    where = "" if staged is None else f"; written to {staged.path}"
    keys = [item.old for item in replacements]
    ends = replacements[0].old_expires_at
    if len(replacements) == 1:
        item = replacements[0]
        old = "is deleted" if ends is None else f"works until {iso(ends)}"
        session.note(
            f"API key {dashed(item.new.row.id)} ({item.old.name}) replaces {dashed(item.old.id)},"
            f" which {old}, in {session.store.location}{where}"
        )
        return
    old = "deleted" if ends is None else "left to work for the grace"
    session.note(
        f"rotated {plural_keys(keys)} in {session.store.location}; the old ones are {old}{where}"
    )
