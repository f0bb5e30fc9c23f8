"""Whose API key is this, and is it valid: what a server of the database's generation would say."""

import hashlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from langkeys.errors import InvalidKeyError
from langkeys.models import FERNET_PREFIX, ApiKey, User, dashed
from langkeys.store.base import Store
from langkeys.times import iso, now

if TYPE_CHECKING:
    from langkeys.crypto import Cipher


class Verified(NamedTuple):
    """A valid API key and its user.

    ``api_key`` is None for the key in the server's environment. ``warning`` says what is marked as
    off and still let in by a server of this generation.
    """

    user: User
    api_key: ApiKey | None
    warning: str | None = None


def key_hash(api_key: str) -> str:
    """Hash an API key as Langflow does from 1.9 on: SHA-256 of the whole key, lower-case hex."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def find_by_value(store: Store, cipher: Callable[[], "Cipher"], api_key: str) -> list[ApiKey]:
    """Return the rows of a whole API key: by its hash, else as plaintext, else by decrypting.

    ``cipher`` is only called where encrypted rows without a hash are left to try.
    """
    if not api_key:
        return []
    found = list(store.api_keys_by_hash(key_hash(api_key)))
    if not found and not api_key.startswith(FERNET_PREFIX):
        # A Fernet token is not a key, though it stands in the column: it is what a thief has who
        # has read the database.
        found = [
            row
            for row in store.api_keys_stored_as(api_key)
            if row.hash is None and secrets.compare_digest(row.stored.encode(), api_key.encode())
        ]
    if not found:
        for row in store.encrypted_api_keys(unhashed_only=True):
            plaintext = cipher().find_plaintext(row.stored)
            if plaintext is not None and secrets.compare_digest(
                plaintext.encode(), api_key.encode()
            ):
                found.append(row)
                break
    return found


def verify(store: Store, cipher: Callable[[], "Cipher"], api_key: str) -> Verified:
    """Return the user of an API key; raise InvalidKeyError with the reason a server would refuse.

    Nothing is written: no use is counted.
    """
    generation = store.generation
    rows = find_by_value(store, cipher, api_key)
    if not rows:
        raise InvalidKeyError(f"unknown: no such API key in {store.location}", reason="unknown")
    active = [row for row in rows if row.is_active]
    row = (active or rows)[0]
    named = f"API key {dashed(row.id)}"
    if len(active) > 1 and generation.has_key_hash:
        raise InvalidKeyError(
            f"{len(active)} rows of {store.location} have this key's hash ({named} and others);"
            " a server refuses it",
            reason="duplicate",
        )
    warning = None
    if not row.is_active:
        if generation.honours_key_state:
            raise InvalidKeyError(f"{named} is inactive", reason="inactive")
        warning = (
            f"{named} is marked inactive, but a Langflow {generation.release} server lets it in:"
            " revoke it to end it"
        )
    if row.expires_at is not None and row.expires_at < now():
        raise InvalidKeyError(f"{named} expired at {iso(row.expires_at)}", reason="expired")
    user = store.find_user(row.user_id)
    if user is None:
        raise InvalidKeyError(f"{named} belongs to a user who does not exist", reason="unknown")
    if not user.is_active:
        if generation.honours_owner_state:
            raise InvalidKeyError(
                f"the owner of {named}, {user.username!r}, is inactive", reason="owner inactive"
            )
        warning = (
            f"the owner of {named}, {user.username!r}, is inactive, but a Langflow"
            f" {generation.release} server still lets the key run flows: revoke it to end it"
        )
    return Verified(user, row, warning)


def verify_as_server(
    store: Store,
    cipher: Callable[[], "Cipher"],
    api_key: str,
    *,
    environment_key: str | None,
    superuser: str,
) -> Verified:
    """Verify as ``verify`` does, after the key that LANGFLOW_API_KEY_SOURCE=env lets in.

    ``environment_key`` is LANGFLOW_API_KEY where that source is on, else None: a request with it
    acts as the user named ``superuser``.
    """
    if (
        environment_key
        and store.generation.reads_env_key
        and secrets.compare_digest(environment_key.encode(), api_key.encode())
    ):
        user = store.find_user_named(superuser)
        if user is not None and user.is_active:
            return Verified(user, None)
    return verify(store, cipher, api_key)
