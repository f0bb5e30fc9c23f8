"""The key in a file works and has a name: for start-up scripts, run any number of times."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys import api_keys
from langkeys.errors import ConflictError, FailedError, UsageError
from langkeys.files import StagedFile, find_bytes, without_newline
from langkeys.models import ApiKey, User, dashed
from langkeys.store.base import KeyFilter, Store
from langkeys.times import iso, now
from langkeys.verification import KeyFinder

if TYPE_CHECKING:
    from langkeys.crypto import Cipher

_NEW_KEY_HINT = "remove the file, and a new key is made for it"
_KEY = re.compile(r"sk-[!-~]{32,}")


@dataclass(frozen=True)
class Ensured:
    """What is so now: the key's row, whether anything was changed, and other keys of that name."""

    row: ApiKey
    changed: bool
    others: tuple[ApiKey, ...]


def value_in(path: Path) -> str | None:
    """Return the API key in a file, or None where there is no such file.

    Exactly one trailing newline is dropped. Raises UsageError for what is no API key, FailedError
    where the file cannot be read; a symbolic link (a mounted secret) is followed.
    """
    content = find_bytes(path, "an API key")
    if content is None:
        return None
    try:
        text = without_newline(content.decode("utf-8"))
    except UnicodeDecodeError:
        text = ""
    if not _KEY.fullmatch(text):
        raise UsageError(
            f"{path} holds no API key: that is sk- and at least 32 more characters, on one line",
            hint=_NEW_KEY_HINT,
        )
    return text


def publish_new_value(path: Path) -> str:
    """Make a new API key, put it into the file that is missing, and return what is in the file.

    Where another process has been faster, that is its key. Nothing of this needs a database: a
    crash after it leaves a file that the next run makes work.
    """
    value = f"sk-{secrets.token_urlsafe(32)}"
    try:
        with StagedFile(path, for_server=True) as staged:
            staged.write(f"{value}\n")
            staged.publish(replace=False)
    except FileExistsError:
        found = value_in(path)
        if found is None:
            raise FailedError(f"{path} comes and goes; somebody else is changing it") from None
        return found
    return value


def ensured(
    store: Store,
    cipher: Callable[[], "Cipher"],
    value: str,
    *,
    name: str,
    owner: User,
    expires_at: datetime | None,
    replace_others: bool,
    was_revoked: Callable[[str], bool] = lambda _: False,
) -> Ensured:
    """Make ``value`` a working key of ``owner`` named ``name``, in one transaction.

    ``expires_at`` counts only where the row is made. Raises ConflictError for a key that is
    expired, inactive, revoked before (as ``was_revoked`` knows it) or somebody else's: it is not
    brought back, and not taken over.
    """
    (prepared,) = api_keys.prepared(
        store.generation, cipher, owner=owner, name=name, expires_at=expires_at, value=value
    )
    with store.transaction():
        # Looked for under the write lock: ten processes that start at once make one row.
        rows = [found.key for found in KeyFinder(store, cipher).find(value)]
        if rows:
            row = _accepted(rows, owner, store.location)
            changed = row.name != name
            row = row._replace(name=name)
            if changed:
                store.update_api_key(row)
        elif was_revoked(value):
            raise ConflictError(
                f"the key in the file was revoked before, as the audit trail says; it is not"
                f" brought back in {store.location}",
                hint=_NEW_KEY_HINT,
            )
        else:
            row, changed = prepared.row, True
            store.insert_api_keys([row])
        others = tuple(
            key
            for key in store.api_keys(KeyFilter(now=now(), user_id=owner.id, name=name))
            if key.id != row.id
        )
        if replace_others and others:
            store.delete_api_keys([key.id for key in others])
            changed = True
    with store.reopened() as fresh:
        if fresh.find_api_key(row.id) != row:
            raise FailedError(
                f"API key {dashed(row.id)} of {store.location} does not read back as written"
            )
    return Ensured(row, changed, others)


def _accepted(rows: list[ApiKey], owner: User, location: str) -> ApiKey:
    row = rows[0]
    named = f"the key in the file is API key {dashed(row.id)} of {location}"
    hint = _NEW_KEY_HINT
    if len(rows) > 1:
        raise ConflictError(f"{named}, and {len(rows) - 1} more rows: servers refuse it", hint=hint)
    if row.user_id != owner.id:
        raise ConflictError(
            f"{named}, which belongs to {row.username or 'nobody'} and not to {owner.username}",
            hint="name its owner with --user, or another file",
        )
    status = row.status(now())
    if status == "expired":
        assert row.expires_at is not None
        raise ConflictError(f"{named}, which expired at {iso(row.expires_at)}", hint=hint)
    if status == "inactive":
        raise ConflictError(f"{named}, which is inactive; it is not brought back", hint=hint)
    return row
