"""Make sure that the API key in a file works under a given name; for start-up scripts."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys.ending import Endings
from langkeys.api_keys.finder import KeyFinder
from langkeys.api_keys.lifetimes import is_working, lasting
from langkeys.api_keys.verification import NOTHING_SET, Judge, representative, verify_rows
from langkeys.crypto.hashes import api_key_hash, new_api_key
from langkeys.errors import ConflictError, FailedError, InvalidKeyError, UsageError
from langkeys.files.reading import find_bytes, without_newline
from langkeys.files.staged import write_new
from langkeys.models import ApiKey, User, dashed
from langkeys.store.protocol import Change, KeyFilter, OwnedKey, Store
from langkeys.text import holds_several_keys
from langkeys.times import now, person_iso

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

_NEW_KEY_HINT = "remove the file, and run the command again to create a new key"
_KEY = re.compile(r"sk-[!-~]{32,}")


@dataclass(frozen=True)
class EnsureResult:
    """The result of ``ensure``: the key's row, and the owner's other keys with the same name.

    ``revoked`` are those other keys that were revoked. ``renamed_from`` is the key's previous name,
    if it was different.
    """

    row: ApiKey
    changed: bool
    others: tuple[ApiKey, ...]
    revoked: tuple[ApiKey, ...] = ()
    renamed_from: str | None = None


def is_api_key(text: str) -> bool:
    """Tell whether a text looks like a single API key: one line of sufficient length."""
    return _KEY.fullmatch(text) is not None and not holds_several_keys(text)


def find_api_key(path: Path) -> str | None:
    """Return the API key in a file, or None if the file does not exist.

    One trailing newline is dropped. Symbolic links are followed, because mounted secrets are links.
    Raises UsageError if the content is not an API key, FailedError if the file cannot be read.
    """
    content = find_bytes(path, "an API key")
    if content is None:
        return None
    text = without_newline(content.decode("utf-8", "replace"))
    if holds_several_keys(text):
        raise UsageError(
            f"{path} holds several API keys in one line", hint="put only one of them in the file"
        )
    if not _KEY.fullmatch(text):
        raise UsageError(
            f"{path} does not hold an API key: sk- and at least 32 more characters, on one line",
            hint=_NEW_KEY_HINT,
        )
    return text


def find_stored(
    store: Store, finder: KeyFinder, name: str, owner: User, warn: Callable[[str], None]
) -> str | None:
    """Return the only working API key with this name and owner, to write it to the file again.

    Returns None if there is no such key, or several: then it is unknown which of them the file
    contained. ``warn`` is called for a key that cannot be decrypted.
    """
    moment = now()
    rows = list(store.api_keys(KeyFilter(now=moment, user_id=owner.id, name=name)))
    rows = [row for row in lasting(rows) if is_working(row, store.generation, moment)]
    if len(rows) != 1:
        return None
    value = finder.find_key(rows[0])[1]
    if value is None or not is_api_key(value):
        warn(
            f"API key {dashed(rows[0].id)} ({name}) of {owner.username} cannot be decrypted, so it"
            " is not written to the file again; another key is created"
        )
        return None
    return value


def others_named(
    store: Store, name: str, owner: User, rows: Iterable[OwnedKey]
) -> tuple[ApiKey, ...]:
    """Return the owner's API keys with this name, except the given rows of the key in the file."""
    own = {row.key.id for row in rows}
    named = store.api_keys(KeyFilter(now=now(), user_id=owner.id, name=name))
    return tuple(key for key in named if key.id not in own)


def publish_value(path: Path, value: str | None, warn: Callable[[str], None]) -> str:
    """Write an API key to the missing file, and return the key that the file then contains.

    This is ``value``, or a new key if ``value`` is None, or another process's key if that process
    was faster. A new key needs no database: if langkeys crashes here, the next run makes the key in
    the file work.
    """
    value = value or new_api_key()
    try:
        warnings = write_new(path, value, what="an API key", for_server=True)
    except ConflictError:
        found = find_api_key(path)
        if found is None:
            raise FailedError(f"{path} keeps changing; another process is writing it") from None
        return found
    for warning in warnings:
        warn(warning)
    return value


def ensure(
    store: Store,
    cipher: Callable[[], "Cipher"],
    value: str,
    *,
    name: str,
    owner: User,
    expires_at: datetime | None,
    may_revoke: Callable[[ApiKey], bool],
    is_delivered: bool = False,
    was_revoked: Callable[[str], bool] = lambda _: False,
    judge: Judge = NOTHING_SET,
) -> EnsureResult:
    """Make ``value`` a working key of ``owner`` named ``name``, in one transaction.

    ``expires_at`` applies only to a new row. ``may_revoke`` selects which of the owner's other keys
    with that name are revoked. ``is_delivered`` says that the existing key was written to the file
    again, which counts as a change. Raises ConflictError if the key is expired, inactive or another
    user's, or was revoked before (according to ``was_revoked``). Such a key is neither restored nor
    given to ``owner``.
    """
    api_keys.require_working_owner(store.generation, owner)
    finder = KeyFinder(store, cipher)
    endings = Endings(store, finder, judge)
    hashed = api_key_hash(value)
    renamed_from = None
    with store.transaction():
        # Look the key up under the write lock, so that ten processes that start together create
        # only one row.
        rows = finder.find_all(value)
        is_new = not rows
        if rows:
            row = _get_accepted(store, hashed, rows, owner)
            changed = is_delivered
            if is_delivered:
                store.note(Change("deliver", "api_key", row.id, row.name, row.user_id))
            if row.name != name:
                changed = True
                renamed_from = row.name or ""
                row = row._replace(name=name)
                store.update_api_key(row)
        elif was_revoked(value):
            raise ConflictError(
                "according to the audit trail, the key in the file was revoked; it is"
                f" not restored in {store.location}",
                hint=_NEW_KEY_HINT,
            )
        else:
            (made,) = api_keys.new_api_keys(
                store.generation, cipher, owner=owner, name=name, expires_at=expires_at, value=value
            )
            row, changed = made.row, True
            store.insert_api_keys([row])
        others = others_named(store, name, owner, rows)
        others = tuple(key for key in others if key.id != row.id)
        revoked = tuple(filter(may_revoke, others))
        ended = endings.whole_keys(revoked)
        if ended:
            endings.delete_rows(ended)
            changed = True
    endings.check_written([row])
    with store.reopened() as fresh:
        refusal = _refusal(fresh, finder.on(fresh), value, row)
    if refusal is not None:
        if is_new:
            endings.revoke([endings.single_row_key(row)])
        raise ConflictError(
            f"a server would refuse API key {dashed(row.id)} in {store.location}: {refusal}",
            hint=(
                "it has been removed again; remove the file, and run the command again to"
                " create a new key"
            )
            if is_new
            else _NEW_KEY_HINT,
        )
    endings.prove_revoked(ended)
    return EnsureResult(row, changed, others, revoked, renamed_from)


def _refusal(fresh: Store, finder: KeyFinder, value: str, row: ApiKey) -> str | None:
    try:
        verified = verify_rows(fresh, api_key_hash(value), finder.find_all(value))
    except InvalidKeyError as error:
        return error.message
    if verified.api_key is None or verified.api_key.id != row.id:
        return "another row with the same key takes precedence"
    return None


def _get_accepted(store: Store, hashed: str, rows: Sequence[OwnedKey], owner: User) -> ApiKey:
    row, refusal = representative(store, hashed, rows), ""
    try:
        verify_rows(store, hashed, rows)
    except InvalidKeyError as error:
        refusal = error.message
    named = f"the key in the file is API key {dashed(row.id)} in {store.location}"
    if row.user_id != owner.id:
        raise ConflictError(
            f"{named}, which belongs to {row.username or 'nobody'} and not to {owner.username}",
            hint="set its owner with --user, or use another file",
        )
    status = row.status(now())
    if status == "expired":
        assert row.expires_at is not None
        refusal = f"it expired at {person_iso(row.expires_at)}"
    elif status == "inactive":
        refusal = "it is inactive, and is not activated again"
    if refusal:
        raise ConflictError(f"{named}, but a server refuses it: {refusal}", hint=_NEW_KEY_HINT)
    return row
