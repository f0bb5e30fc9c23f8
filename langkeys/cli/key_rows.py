"""API keys as REFs in, and as rows, cards and JSON out: the same for every command."""

from collections.abc import Iterable, Sequence, Sized
from datetime import datetime
from typing import Annotated, Any

import typer

from langkeys.api_keys.ending import WholeKey
from langkeys.api_keys.lifecycle import masked_value, require_key_state
from langkeys.api_keys.references import find_stubs, find_value_stubs, resolved, resolved_value
from langkeys.authentication import Acting
from langkeys.cli import prompts
from langkeys.cli.invocation import session_of
from langkeys.cli.options import invocation
from langkeys.cli.output import Output
from langkeys.errors import (
    LangkeysError,
    NotFoundError,
    SecretKeyError,
    UnreadableRowError,
    UsageError,
)
from langkeys.models import ApiKey, dashed
from langkeys.sessions.session import Access, Session
from langkeys.store.protocol import RowStub
from langkeys.times import iso, iso_or_none, now, parsed_iso, relative

UserOption = Annotated[
    str | None, typer.Option("--user", metavar="USER", help="The owner, by user name or id.")
]


def resolved_key(session: Session, ref: str) -> ApiKey:
    """Return the one key that a REF names; raise UsageError where stdin has several."""
    keys = resolved_keys(session, [ref])
    if len(keys) != 1:
        raise UsageError(f"stdin has {len(keys)} keys, but this command takes one")
    return keys[0]


def resolved_keys(
    session: Session, refs: Sequence[str], *, destroys: bool = False, working: bool = False
) -> list[ApiKey]:
    """Return the keys that REFs name, each once, in their order; ``-`` stands for stdin's lines.

    See ``langkeys.api_keys.references.resolved`` for ``destroys`` and ``working``.
    """
    found: dict[str, ApiKey] = {}
    for ref in refs:
        if ref == "-":
            lines = prompts.secret_lines("API key")
            finder = session.endings.finder
            keys = [
                resolved_value(session.store, finder, line, f"line {number} of stdin")
                for number, line in enumerate(lines, 1)
            ]
        else:
            keys = [
                resolved(
                    session.store,
                    lambda: session.reading_cipher,
                    ref,
                    destroys=destroys,
                    working=working,
                    progress=session.progress,
                    note=session.note,
                )
            ]
        found.update((key.id, key) for key in keys)
    return list(found.values())


def resolved_rows(session: Session, refs: Sequence[str]) -> tuple[list[ApiKey], list[RowStub]]:
    """Return the keys that REFs name, to be revoked, and the rows that cannot be read."""
    keys: list[ApiKey] = []
    stubs: list[RowStub] = []
    finder = session.endings.finder
    for ref in refs:
        if ref != "-":
            try:
                keys += resolved_keys(session, [ref], destroys=True)
            except (NotFoundError, UnreadableRowError) as error:
                stubs += _stubs(find_stubs(session.store, ref), error)
            continue
        for number, line in enumerate(prompts.secret_lines("API key"), 1):
            try:
                keys.append(resolved_value(session.store, finder, line, f"line {number} of stdin"))
            except (NotFoundError, SecretKeyError) as error:
                stubs += _stubs(find_value_stubs(finder, line), error)
    return list({key.id: key for key in keys}.values()), stubs


def _stubs(found: Sequence[RowStub], error: LangkeysError) -> Sequence[RowStub]:
    if not found:
        raise error
    return found


def key_object(key: ApiKey, value: str | None, moment: datetime | None = None) -> dict[str, Any]:
    """Return a key as JSON: Langflow's REST fields in their order, then ours."""
    return {
        "id": dashed(key.id),
        "name": key.name,
        "api_key": value,
        "user_id": dashed(key.user_id),
        "created_at": iso(key.created_at),
        "last_used_at": iso_or_none(key.last_used_at),
        "total_uses": key.total_uses,
        "is_active": key.is_active,
        "expires_at": iso_or_none(key.expires_at),
        "username": key.username,
        "status": key.status(moment or now()),
        "at_rest": key.at_rest,
    }


def person_time(moment: datetime | None, reference: datetime) -> str:
    """Write a time for a person: how long ago it was, or a dash."""
    return "-" if moment is None else relative(moment, reference)


def card_value(name: str, content: object, reference: datetime) -> str:
    """Write a field of a card for a person: times with how long ago, yes or no, a dash."""
    if content is None:
        return "(cannot decrypt)" if name == "api_key" else "-"
    if isinstance(content, bool):
        return "yes" if content else "no"
    if name.endswith("_at"):
        return f"{content} ({relative(parsed_iso(str(content)), reference)})"
    return str(content)


def show_key_card(out: Output, key: ApiKey, value: str | None, moment: datetime) -> None:
    """Show everything that is known of one key; never the key itself."""
    if not out.is_sentences:
        show_keys(out, [(key, value)], moment, as_array=False)
        return
    described = key_object(key, value, moment)
    out.card({name: card_value(name, content, moment) for name, content in described.items()})


_COLUMNS = ("ID", "NAME", "KEY", "USER", "STATUS", "CREATED", "LAST USED", "EXPIRES")


def show_keys(
    out: Output,
    keys: Iterable[tuple[ApiKey, str | None]],
    moment: datetime,
    *,
    as_array: bool = True,
) -> None:
    """Show pairs of a key and its masked form, as every command does that shows keys."""
    if out.as_json:
        objects = (key_object(key, value, moment) for key, value in keys)
        if as_array:
            out.array(objects)
        else:
            out.document(next(objects))
    elif out.is_terminal:
        if not out.table(_COLUMNS, (_person_row(key, value, moment) for key, value in keys)):
            out.note("no API keys")
    else:
        out.rows(_piped_row(key, value, moment) for key, value in keys)


def _person_row(key: ApiKey, value: str | None, moment: datetime) -> list[str]:
    used = person_time(key.last_used_at, moment)
    return [
        key.id[:8],  # enough of it to name the key by
        key.name or "",
        "(cannot decrypt)" if value is None else f"{value.rstrip('*')}…",
        key.username or "",
        key.status(moment),
        relative(key.created_at, moment),
        f"{used} ({key.total_uses})" if key.total_uses else used,
        person_time(key.expires_at, moment),
    ]


def _piped_row(key: ApiKey, value: str | None, moment: datetime) -> tuple[object, ...]:
    return (
        dashed(key.id),
        key.name,
        value,
        key.username,
        key.status(moment),
        iso(key.created_at),
        iso_or_none(key.last_used_at),
        key.total_uses,
        iso_or_none(key.expires_at),
    )


def show_plain_keys(
    session: Session,
    out: Output,
    keys: Iterable[ApiKey],
    moment: datetime | None = None,
    *,
    as_array: bool = True,
) -> None:
    """Show keys with their masked form; see ``show_keys``."""
    values = ((key, masked_value(key, lambda: session.reading_cipher)) for key in keys)
    show_keys(out, values, moment or now(), as_array=as_array)


def warn_of_closed(session: Session, what: str) -> None:
    """Say what cannot be decrypted, with which secret key or for want of one."""
    cipher = session.reading_cipher
    if cipher.error is None:
        session.warn(f"the secret key from {cipher.source} cannot decrypt {what}")
    else:
        session.warn(f"{cipher.error.message}: cannot decrypt {what}")


def plural_keys(keys: Sized) -> str:
    """Say how many API keys: ``1 API key``, ``2 API keys``."""
    return f"{len(keys)} API key{'' if len(keys) == 1 else 's'}"


def require_yes_for_acting(acting: Acting, keys: Sequence[ApiKey], *, yes: bool) -> None:
    """Raise UsageError where the acting key is about to end and nobody has said --yes."""
    key = acting.api_key
    if key is not None and not yes and key.id in {chosen.id for chosen in keys}:
        raise UsageError(
            f"API key {dashed(key.id)} is the key that langkeys authenticates with"
            " (LANGKEYS_API_KEY); nothing was done",
            hint="use --yes to do it anyway",
        )


def row_named(row: ApiKey) -> str:
    """Name a row for a person: its id, its name and its owner."""
    return f"{dashed(row.id)} ({row.name}, {row.username or 'no owner'})"


def rows_of(keys: Iterable[WholeKey]) -> list[ApiKey]:
    """Return all rows of keys, of each first the one that is meant."""
    return [row for key in keys for row in (key.meant, *key.others)]


def say_other_rows(
    session: Session, keys: Iterable[WholeKey], done: str, *, deleted: bool = True
) -> None:
    """Name the rows that were not named themselves and are of the same keys: ``done`` with them.

    Only where they are ``deleted`` rows that cannot be read are ended, too.
    """
    for key in keys:
        for row in key.others:
            session.warn(
                f"API key {row_named(row)} holds the same key as"
                f" {dashed(key.meant.id)}: {done}, too"
            )
        for stub in key.stubs:
            session.warn(
                f"row {stub.id} of apikey cannot be read, but holds the same key as"
                f" {dashed(key.meant.id)}: {done if deleted else 'it was not changed'}"
            )


def warn_of_unreadable(session: Session) -> None:
    """Say how many rows may be of the same keys, as far as anybody can tell."""
    count = session.endings.unreadable
    if count:
        rows = "1 API key" if count == 1 else f"{count} API keys"
        session.warn(
            f"{rows} of {session.store.location} cannot be decrypted:"
            f" {'it' if count == 1 else 'they'} may hold the same key"
        )


def set_activity(context: typer.Context, ref: str, *, is_active: bool) -> None:
    """Carry out ``activate`` and ``deactivate``."""
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.WRITE) as session:
        require_key_state(session.generation)
        key = session.endings.whole(resolved_key(session, ref))
        if is_active:
            _activate(session, key)
        else:
            _deactivate(session, key)
        new = session.store.find_api_key(key.meant.id)
        assert new is not None
        show_plain_keys(session, out, [new], as_array=False)


def _activate(session: Session, key: WholeKey) -> None:
    named = f"API key {dashed(key.meant.id)} ({key.meant.name})"
    if key.meant.is_active:
        session.note(f"{named} is already active")
        return
    refusal = session.endings.activate(key.meant)
    session.note(f"{named} is now active in {session.store.location}")
    if refusal is not None:
        session.warn(f"a server still refuses the key: {refusal}")


def _deactivate(session: Session, key: WholeKey) -> None:
    named = f"API key {dashed(key.meant.id)} ({key.meant.name})"
    if not any(row.is_active for row in key.rows):
        session.note(f"{named} is already inactive")
    ended = session.endings.deactivate(key)
    if ended.rows:
        session.note(f"{named} is now inactive in {session.store.location}")
        say_other_rows(session, [ended], "now inactive", deleted=False)
    warn_of_unreadable(session)
    acting = session.acting.api_key
    if acting is not None and acting.id in {row.id for row in ended.rows}:
        session.warn("LANGKEYS_API_KEY is that key: langkeys can no longer authenticate with it")
