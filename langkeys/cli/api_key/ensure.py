"""``langkeys api-key ensure``."""

import stat
from pathlib import Path
from typing import Annotated

import typer

from langkeys.api_keys import ensure as ensuring
from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys.lifetimes import is_working
from langkeys.api_keys.verification import Judge
from langkeys.cli import prompts
from langkeys.cli.delivery import warn_of_owner
from langkeys.cli.invocation import refuse_own_file, session_of
from langkeys.cli.messages import plural_keys
from langkeys.cli.options import EncryptingCommand, UserOption, Yes, invocation, new_app
from langkeys.cli.present.api_keys import api_key_object, show_masked_keys
from langkeys.files.staged import OTHERS
from langkeys.models import User, dashed, masked
from langkeys.paths import absolute_path
from langkeys.sessions.session import Access, Session
from langkeys.store.generations import require_writable
from langkeys.text import checked_name, pronoun
from langkeys.times import now, parsed_expiry

app = new_app()


@app.command(cls=EncryptingCommand)
def ensure(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")],
    value_file: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The file that holds the key. A missing file is created (0600), with the "
            "stored key or else with a new one.",
        ),
    ],
    user: UserOption = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN|never",
            help="When a new key expires. An existing key keeps its expiry.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Revoke the user's other keys with that name.")
    ] = False,
    new: Annotated[
        bool,
        typer.Option("--new", help="If FILE is missing, always create a new key."),
    ] = False,
    yes: Yes = False,
) -> None:
    """Make sure that the key in a file works and is named NAME; for start-up scripts.

    The command can be run any number of times, and by several processes at once. If FILE is missing
    and the user has exactly one working key named NAME, that key is written to FILE again;
    otherwise FILE gets a new key. A key that is expired, inactive, previously revoked (according to
    the audit trail) or owned by another user is not restored (exit {conflict}). On a terminal the
    command asks before --replace revokes keys that work. Piped columns: those of list.

    \b
    Examples:
      langkeys api-key ensure app --value-file /run/secrets/langflow-key
      langkeys api-key ensure app --value-file key --replace --json
    """
    out = invocation(context).output
    out.require_stdout()
    checked_name(name)
    expires_at = None if expires is None else parsed_expiry(expires, "--expires")
    path = absolute_path(value_file)
    refuse_own_file(context, value_file)
    with session_of(context, access=Access.WRITE) as session:
        owner = session.owner(user)
        if expires_at is not None:
            api_keys.require_expiry(session.generation)
        value = ensuring.find_api_key(path)
        is_new_file, stored = value is None, None
        finder = session.endings.finder
        if is_new_file and not new:
            stored = ensuring.find_stored(session.store, finder, name, owner, out.warn)
        asked = _ask(session, name, owner, value or stored, yes=yes) if replace else None
        if value is None:
            if stored is None:
                # An existing key is not encrypted again.
                session.check_secret_key(encrypts=session.generation.encrypts_keys)
            require_writable(session.generation, session.store.location)
            value = ensuring.publish_value(path, stored, out.warn)
        elif stat.S_IMODE(path.stat().st_mode) & OTHERS:
            out.warn(f"{path} can be read by others: chmod o= {path}")
        result = ensuring.ensure(
            session.store,
            lambda: session.reading_cipher,
            value,
            name=name,
            owner=owner,
            expires_at=expires_at,
            may_revoke=lambda key: replace and (asked is None or key.id in asked),
            is_delivered=value == stored,
            was_revoked=session.was_revoked,
            judge=Judge.by(session.settings),
        )
        what = f"API key {dashed(result.row.id)} ({name}) of {owner.username}"
        where = f"{session.store.location}, from {path}"
        if value == stored:
            out.note(
                f"{path} was missing: the stored key was written to it again (--new makes another)"
            )
        out.note(f"{what} works in {where}{'' if result.changed else '; nothing was changed'}")
        if result.renamed_from is not None:
            out.note(f"it was renamed from {result.renamed_from!r} before")
        left = [key for key in result.others if key not in result.revoked]
        for said, keys in (("revoked", result.revoked), ("there are", left)):
            if keys:
                ids = ", ".join(dashed(key.id) for key in keys)
                out.note(f"{said} other keys of that name: {ids}")
        warn_of_owner(session, owner)
        if out.as_json:
            described = api_key_object(result.row, masked(value))
            if is_new_file:
                described["written_to"] = str(path)
            described["changed"] = result.changed
            described["others"] = [dashed(key.id) for key in result.others]
            out.document(described)
        else:
            show_masked_keys(session, out, [result.row], as_array=False)


def _ask(
    session: Session, name: str, owner: User, value: str | None, *, yes: bool
) -> set[str] | None:
    """Ask before working keys are revoked, if somebody can be asked.

    Returns the ids that may be revoked, or None if nobody was asked: then all may be revoked.
    """
    store = session.store
    rows = () if value is None else session.endings.finder.find_all(value)
    others = ensuring.others_named(store, name, owner, rows)
    working = [key for key in others if is_working(key, store.generation, now())]
    if yes or not working or not prompts.can_ask():
        return None
    prompts.confirm(
        f"Revoke {plural_keys(working)} of {owner.username} named {name} in {store.location}?"
        f" Servers refuse {pronoun(len(working))} at once.",
        yes=False,
    )
    return {key.id for key in others}
