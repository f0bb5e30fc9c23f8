"""API keys as REFs in, and as rows, cards and JSON out: the same for every command."""

from collections.abc import Iterable, Sequence, Sized
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langkeys.api_keys import changed, masked_value, require_key_state
from langkeys.authentication import Acting
from langkeys.cli import prompts
from langkeys.cli.invocation import session_of
from langkeys.cli.options import invocation
from langkeys.cli.output import Output
from langkeys.errors import UsageError
from langkeys.models import ApiKey, dashed
from langkeys.references import resolved, resolved_value
from langkeys.session import Access, Session
from langkeys.times import iso, iso_or_none, now, parsed_iso, relative
from langkeys.verification import KeyFinder

if TYPE_CHECKING:
    from langkeys.crypto import Cipher


UserOption = Annotated[
    str | None, typer.Option("--user", metavar="USER", help="The owner, by user name or id.")
]


def resolved_key(session: Session, ref: str) -> ApiKey:
    """Return the one key that a REF names; raise UsageError where stdin has several."""
    keys = resolved_keys(session, [ref])
    if len(keys) != 1:
        raise UsageError(f"{len(keys)} keys came on stdin; this command takes one")
    return keys[0]


def resolved_keys(
    session: Session, refs: Sequence[str], *, destroys: bool = False, working: bool = False
) -> list[ApiKey]:
    """Return the keys that REFs name, each once, in their order; ``-`` stands for stdin's lines.

    See ``langkeys.references.resolved`` for ``destroys`` and ``working``.
    """

    def cipher() -> "Cipher":
        return session.cipher

    progress = session.progress
    finder = KeyFinder(session.store, cipher, progress)
    found: dict[str, ApiKey] = {}
    for ref in refs:
        if ref == "-":
            lines = prompts.secret_lines("API key")
            keys = [
                resolved_value(session.store, finder, line, f"line {number} of stdin")
                for number, line in enumerate(lines, 1)
            ]
        else:
            keys = [
                resolved(
                    session.store,
                    cipher,
                    ref,
                    destroys=destroys,
                    working=working,
                    progress=progress,
                )
            ]
        found.update((key.id, key) for key in keys)
    return list(found.values())


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
        return "(the secret key does not open it)" if name == "api_key" else "-"
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
        "(closed)" if value is None else f"{value.rstrip('*')}…",
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
            f"API key {dashed(key.id)} is the one that langkeys acts by (LANGKEYS_API_KEY);"
            " nothing was done",
            hint="give --yes to do it all the same",
        )


def set_activity(context: typer.Context, ref: str, *, is_active: bool) -> None:
    """Carry out ``activate`` and ``deactivate``."""
    out = invocation(context).output
    out.require_stdout()
    with session_of(context, access=Access.WRITE) as session:
        acting = session.acting
        require_key_state(session.generation)
        key = resolved_key(session, ref)
        new = key._replace(is_active=is_active)
        what = "active" if is_active else "inactive"
        if key.is_active == is_active:
            out.note(f"API key {dashed(key.id)} ({key.name}) is {what} already")
        else:
            changed(session.store, key, new)
            out.note(
                f"API key {dashed(key.id)} ({key.name}) is {what} now in {session.store.location}"
            )
            if not is_active and acting.api_key is not None and acting.api_key.id == key.id:
                out.warn("LANGKEYS_API_KEY is that key: langkeys cannot act by it any more")
        show_plain_keys(session, out, [new], as_array=False)
