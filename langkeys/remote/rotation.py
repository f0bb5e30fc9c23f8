"""Revoke and replace API keys over REST, one by one, because there are no transactions."""

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Literal, NamedTuple

from langkeys.errors import ConflictError, FailedError, LangkeysError
from langkeys.models import ApiKey, dashed
from langkeys.remote.api_keys import end, require_gone, require_refused
from langkeys.remote.client import Client
from langkeys.remote.creation import MadeKey, NewKey, create, revoke_on_failure
from langkeys.remote.references import ChosenKey, with_acting_last
from langkeys.text import counted
from langkeys.times import now

Expires = datetime | Literal["never"] | None
"""The expiry of new keys; None keeps the lifetimes of the old keys."""


PROOF_USES = 2
"""The number of uses of a new key that langkeys itself causes when it tests the key."""


class Replacement(NamedTuple):
    """An old key and its replacement."""

    old: ChosenKey
    new: NewKey


def revoke(chosen: Sequence[ChosenKey], done: Callable[[int], None] = lambda _: None) -> None:
    """Revoke keys one by one, and prove each revocation; FailedError says which failed."""
    ordered = with_acting_last(chosen)
    for number, item in enumerate(ordered):
        try:
            end(item.server, item.key_id, item.listed.key.name, item.whole)
            _prove(item, item.server.client)
        except LangkeysError as error:
            raise _partly(error, "revoked", ordered, number) from None
        except (KeyboardInterrupt, SystemExit):
            item.server.warn(
                f"{number} of {counted(len(ordered), 'API key')} revoked;"
                f" {dashed(item.key_id)} may be"
            )
            raise
        done(number + 1)


def _prove(item: ChosenKey, client: Client) -> None:
    if item.whole is None:
        require_gone(item.server, {item.key_id}, client)
    else:
        require_refused(client.by(item.whole), item.key_id)


def _partly(
    error: LangkeysError, what: str, chosen: Sequence[ChosenKey], number: int
) -> LangkeysError:
    if len(chosen) > 1:
        error.message = (
            f"{number} of {counted(len(chosen), 'API key')} {what},"
            f" {dashed(chosen[number].key_id)} failed:"
            f" {error.message}"
        )
        error.args = (error.message,)
        error.candidates = tuple(
            f"{dashed(item.key_id)}  {item.listed.key.name or '(no name)'}"
            f"  {what if position < number else 'failed' if position == number else 'not tried'}"
            for position, item in enumerate(chosen)
        )
    return error


def require_rotatable(keys: Sequence[ApiKey]) -> None:
    """Raise ConflictError for a deactivated key, because a new key would undo the deactivation."""
    for key in keys:
        if not key.is_active:
            raise ConflictError(
                f"API key {dashed(key.id)} ({key.name}) is inactive; nothing was done",
                hint="create a new key instead",
            )


def new_expiry(key: ApiKey, moment: datetime) -> datetime | None:
    """Return the expiry that keeps the old key's lifetime; ConflictError if it is negative."""
    if key.expires_at is None:
        return None
    lifetime = key.expires_at - key.created_at
    if lifetime.total_seconds() <= 0:
        raise ConflictError(
            f"API key {dashed(key.id)} ({key.name}) expired before it was created;"
            " nothing was done",
            hint="use --expires to set how long the new key works",
        )
    try:
        return moment + lifetime
    except OverflowError:
        return datetime.max.replace(microsecond=0, tzinfo=timezone.utc)


def _expiry(key: ApiKey, expires: Expires, moment: datetime) -> datetime | None:
    if expires is None:
        return new_expiry(key, moment)
    return expires if isinstance(expires, datetime) else None


def rotate(
    chosen: Sequence[ChosenKey],
    deliver: Callable[[Sequence[Replacement], set[str]], None],
    *,
    expires: Expires = None,
    keeps_old: bool = False,
) -> list[Replacement]:
    """Create and deliver a new key for each old one, then revoke the old keys.

    Each new key is tested before any is delivered. If anything fails before all keys are delivered,
    the new keys are revoked again, except those whose ids ``deliver`` has added to its set. After a
    crash, both the old and the new keys work.
    """
    moment = now()
    require_rotatable([item.listed.key for item in chosen])
    if isinstance(expires, datetime):
        for item in chosen:
            item.server.require("api-key rotate --expires")
    expiries = [_expiry(item.listed.key, expires, moment) for item in chosen]
    replacements: list[Replacement] = []
    made: list[MadeKey] = []
    arrived: set[str] = set()
    with revoke_on_failure(made, arrived):
        for item, expiry in zip(chosen, expiries, strict=True):
            name = item.listed.key.name or ""
            new = create(item.server, name, expiry, ability="api-key rotate")
            made.append(MadeKey(item.server, new.row.id, name, new.plaintext))
            replacements.append(Replacement(item, new))
        deliver(replacements, arrived)
    if not keeps_old:
        _end_old(replacements)
    return replacements


def leftovers(chosen: Sequence[ChosenKey]) -> list[tuple[ApiKey, ChosenKey]]:
    """Return newer, unused keys with the same name as a chosen key, each with the chosen key.

    A rotation that was interrupted before delivery leaves such a key: langkeys has tested it, and
    nobody has used it since. Only the lists that contain the chosen keys are searched.
    """
    ids = {item.key_id for item in chosen}
    return [
        (key, item)
        for item in chosen
        for key, _ in item.server.listed
        if key.id not in ids
        and key.name == item.listed.key.name
        and key.created_at > item.listed.key.created_at
        and key.total_uses <= PROOF_USES
    ]


def _end_old(replacements: Sequence[Replacement]) -> None:
    for number, item in enumerate(replacements):
        left = " ".join(dashed(other.old.key_id) for other in replacements[number:])
        hint = (
            "the new keys were delivered and work. Use one of them to revoke the remaining old"
            f" keys: langkeys api-key revoke {left} {item.old.server.option}"
        )
        by_new = item.old.server.by_own(item.new.plaintext, item.new.row.id)
        try:
            end(by_new, item.old.key_id, item.old.listed.key.name, item.old.whole)
            _prove(item.old, by_new.client)
        except LangkeysError as error:
            raise FailedError(
                f"{number} of {len(replacements)} old API keys revoked,"
                f" {dashed(item.old.key_id)} failed: {error.message}",
                hint=hint,
            ) from None
        except (KeyboardInterrupt, SystemExit):
            item.old.server.warn(hint)
            raise
