"""Show API keys as rows, cards and JSON: their columns, and the functions that print them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from langkeys.api_keys.lifecycle import masked_value
from langkeys.cli import prompts
from langkeys.cli.output import Head, Output
from langkeys.cli.present.columns import Column, Kind, Listing
from langkeys.errors import UnreadableRowError
from langkeys.models import ApiKey, dashed
from langkeys.sessions.session import Session
from langkeys.store.protocol import Store
from langkeys.text import MAX_LISTED
from langkeys.times import now

MAX_OWNERS = 1000
"""How many owners are remembered while a list of keys is shown."""


def _nobody(_: str) -> bool:
    return False


class ApiKeyRow(NamedTuple):
    """An API key, its masked form if known, and the time at which its status is determined.

    ``is_inactive_user`` tells by a user's id whether that user is inactive.
    """

    key: ApiKey
    value: str | None
    moment: datetime
    is_inactive_user: Callable[[str], bool] = _nobody


def _inactive_users(store: Store | None) -> Callable[[str], bool]:
    if store is None:
        return _nobody

    @lru_cache(MAX_OWNERS)
    def is_inactive(user_id: str) -> bool:
        try:
            user = store.find_user(user_id)
        except UnreadableRowError:
            return False
        return user is not None and not user.is_active

    return is_inactive


def _person_status(row: ApiKeyRow) -> str:
    status = row.key.status(row.moment)
    if status == "active" and row.is_inactive_user(row.key.user_id):
        return "owner inactive"
    return status


def _person_value(row: ApiKeyRow) -> str:
    return "(cannot decrypt)" if row.value is None else f"{row.value.rstrip('*')}…"


API_KEYS: Listing[ApiKeyRow] = Listing(
    Column(
        "id",
        lambda row: dashed(row.key.id),
        "The key's id; its first 8 digits are enough as a reference",
        kind=Kind.ID,
        piped=1,
        head=Head("ID", is_kept=True),
    ),
    Column(
        "name",
        lambda row: row.key.name,
        "The key's name; several keys may have the same name",
        piped=2,
        head=Head("NAME", least=8),
    ),
    Column(
        "api_key",
        lambda row: row.value,
        "The key, masked after its first 8 characters; empty if it cannot be decrypted",
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
        "When a server last counted a use of the key",
        kind=Kind.TIME,
        piped=7,
        head=Head("LAST USED", rank=3),
    ),
    Column(
        "total_uses",
        lambda row: row.key.total_uses,
        "How many uses servers have counted",
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
        "When the key expires; empty if never",
        kind=Kind.TIME,
        piped=9,
        head=Head("EXPIRES", rank=1),
    ),
    Column(
        "username",
        lambda row: row.key.username,
        "The owner's name; empty if the user does not exist",
        piped=4,
        head=Head("USER", least=6),
    ),
    Column(
        "status",
        lambda row: row.key.status(row.moment),
        "`inactive`, `expired` or `active`: the first that applies; tables show"
        " `owner inactive` instead of `active` if the owner is inactive",
        piped=5,
        head=Head("STATUS"),
        person=_person_status,
    ),
    Column(
        "at_rest",
        lambda row: row.key.at_rest,
        "`fernet` (encrypted) or `plaintext`; empty if not known",
    ),
    nothing="no API keys",
)


def rotation_heads(delivered: str = "KEY") -> tuple[Head, ...]:
    """Return the columns that a terminal shows after a rotation of several keys."""
    return (
        Head("NAME", least=8, is_kept=True),
        Head("USER", least=6, rank=3),
        Head(delivered, is_kept=True),  # never cut, because a new key is shown only once
        Head("REPLACES", rank=1, is_kept=True),
        Head("UNTIL", rank=2, is_kept=True),
    )


def api_key_object(
    key: ApiKey, value: str | None, moment: datetime | None = None
) -> dict[str, Any]:
    """Return an API key as a JSON object: first Langflow's REST fields, then langkeys' fields."""
    return API_KEYS.document(ApiKeyRow(key, value, moment or now()))


def show_api_keys(
    out: Output,
    keys: Iterable[tuple[ApiKey, str | None]],
    moment: datetime,
    *,
    store: Store | None = None,
    as_array: bool = True,
    are_gone: bool = False,
    nothing: Callable[[], str] | None = None,
) -> None:
    """Show pairs of a key and its masked form, in the format that all commands use.

    A table looks up in ``store`` whether the owners are active. ``are_gone`` says that the keys
    were revoked, so that a table does not call them active. ``nothing`` is that of
    ``Listing.show``.
    """
    is_inactive = _inactive_users(store)
    rows = (ApiKeyRow(key, value, moment, is_inactive) for key, value in keys)
    untitled = ("status",) if are_gone else ()
    API_KEYS.show(out, rows, moment, as_array=as_array, untitled=untitled, nothing=nothing)


def confirm_for_keys(
    out: Output,
    keys: Iterable[tuple[ApiKey, str | None]],
    count: int,
    question: str,
    *,
    yes: bool,
    store: Store | None = None,
) -> None:
    """Ask about keys, with a table of the first ones above the question; see ``prompts.confirm``.

    ``keys`` and ``store`` are as in ``show_api_keys``; ``count`` is the number of keys.
    """
    if not yes and prompts.can_ask():
        moment, is_inactive = now(), _inactive_users(store)
        first = islice(keys, MAX_LISTED)
        rows = [ApiKeyRow(key, value, moment, is_inactive) for key, value in first]
        API_KEYS.ask_about(out, rows, count, moment)
    prompts.confirm(question, yes=yes)


def show_api_key_card(
    out: Output,
    key: ApiKey,
    value: str | None,
    moment: datetime,
    *,
    store: Store | None = None,
) -> None:
    """Show all fields of one API key; the key itself is masked. See ``show_api_keys``."""
    API_KEYS.show_card(out, ApiKeyRow(key, value, moment, _inactive_users(store)), moment)


def masked_keys(session: Session, keys: Iterable[ApiKey]) -> Iterator[tuple[ApiKey, str | None]]:
    """Yield API keys with their masked form, or None if a key cannot be decrypted."""
    for key in keys:
        yield key, masked_value(key, lambda: session.reading_cipher)


def show_masked_keys(
    session: Session,
    out: Output,
    keys: Iterable[ApiKey],
    moment: datetime | None = None,
    *,
    as_array: bool = True,
    are_gone: bool = False,
    nothing: Callable[[], str] | None = None,
) -> None:
    """Show keys with their masked form; see ``show_api_keys``."""
    show_api_keys(
        out,
        masked_keys(session, keys),
        moment or now(),
        store=session.store,
        as_array=as_array,
        are_gone=are_gone,
        nothing=nothing,
    )
