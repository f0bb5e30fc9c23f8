"""API keys as rows, cards and JSON: the columns, and what shows them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from langkeys.api_keys.lifecycle import masked_value
from langkeys.cli.output import Head, Output
from langkeys.cli.present.columns import Column, Kind, Listing
from langkeys.models import ApiKey, dashed
from langkeys.sessions.session import Session
from langkeys.times import now


class KeyRow(NamedTuple):
    """A key, its masked form if it is known, and when it is looked at: its status hangs on that."""

    key: ApiKey
    value: str | None
    moment: datetime


def _person_value(row: KeyRow) -> str:
    return "(cannot decrypt)" if row.value is None else f"{row.value.rstrip('*')}…"


API_KEYS: Listing[KeyRow] = Listing(
    Column(
        "id",
        lambda row: dashed(row.key.id),
        "The key's id; its first 8 digits are enough to name it",
        kind=Kind.ID,
        piped=1,
        head=Head("ID", is_kept=True),
    ),
    Column(
        "name",
        lambda row: row.key.name,
        "The key's name; several keys may have one name",
        piped=2,
        head=Head("NAME", least=8),
    ),
    Column(
        "api_key",
        lambda row: row.value,
        "The key, masked behind its first 8 characters; nothing where it cannot be decrypted",
        piped=3,
        head=Head("KEY", least=9),
        person=_person_value,
    ),
    Column("user_id", lambda row: dashed(row.key.user_id), "The owner's id", kind=Kind.ID),
    Column(
        "created_at",
        lambda row: row.key.created_at,
        "When the key was created",
        kind=Kind.TIME,
        piped=6,
        head=Head("CREATED", rank=2),
    ),
    Column(
        "last_used_at",
        lambda row: row.key.last_used_at,
        "When a server last counted a use of it",
        kind=Kind.TIME,
        piped=7,
        head=Head("LAST USED", rank=3),
    ),
    Column(
        "total_uses",
        lambda row: row.key.total_uses,
        "How often servers counted a use of it",
        kind=Kind.NUMBER,
        piped=8,
        head=Head("USES", rank=4),
        unit="use",
    ),
    Column(
        "is_active",
        lambda row: row.key.is_active,
        "Whether the key is activated",
        kind=Kind.FLAG,
    ),
    Column(
        "expires_at",
        lambda row: row.key.expires_at,
        "When the key expires; nothing if it never does",
        kind=Kind.TIME,
        piped=9,
        head=Head("EXPIRES", rank=1),
    ),
    Column(
        "username",
        lambda row: row.key.username,
        "The owner's name; nothing where there is no such user",
        piped=4,
        head=Head("USER", least=6),
    ),
    Column(
        "status",
        lambda row: row.key.status(row.moment),
        "`inactive`, `expired` or `active`, the first that is true",
        piped=5,
        head=Head("STATUS"),
    ),
    Column(
        "at_rest",
        lambda row: row.key.at_rest,
        "`fernet` (encrypted) or `plaintext`; nothing where it is not known",
    ),
    nothing="no API keys",
)


ROTATION_HEADS = (
    Head("NAME", least=8, is_kept=True),
    Head("USER", least=6, rank=3),
    Head("KEY", is_kept=True),
    Head("REPLACES", rank=1, is_kept=True),
    Head("UNTIL", rank=2, is_kept=True),
)
"""What a rotation of several keys shows at a terminal: each new key, never cut, is seen once."""


def key_object(key: ApiKey, value: str | None, moment: datetime | None = None) -> dict[str, Any]:
    """Return a key as JSON: Langflow's REST fields in their order, then ours."""
    return API_KEYS.document(KeyRow(key, value, moment or now()))


def show_keys(
    out: Output,
    keys: Iterable[tuple[ApiKey, str | None]],
    moment: datetime,
    *,
    as_array: bool = True,
) -> None:
    """Show pairs of a key and its masked form, as every command does that shows keys."""
    rows = (KeyRow(key, value, moment) for key, value in keys)
    API_KEYS.show(out, rows, moment, as_array=as_array)


def show_key_card(out: Output, key: ApiKey, value: str | None, moment: datetime) -> None:
    """Show everything that is known of one key; never the key itself."""
    API_KEYS.show_card(out, KeyRow(key, value, moment), moment)


def masked_keys(session: Session, keys: Iterable[ApiKey]) -> Iterator[tuple[ApiKey, str | None]]:
    """Yield keys with their masked form, None where the secret key does not decrypt one."""
    for key in keys:
        yield key, masked_value(key, lambda: session.reading_cipher)


def show_plain_keys(
    session: Session,
    out: Output,
    keys: Iterable[ApiKey],
    moment: datetime | None = None,
    *,
    as_array: bool = True,
) -> None:
    """Show keys with their masked form; see ``show_keys``."""
    show_keys(out, masked_keys(session, keys), moment or now(), as_array=as_array)
