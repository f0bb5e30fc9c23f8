"""Verify API keys as servers of the database's generation do."""

from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple

from langkeys.api_keys.finder import KeyFinder
from langkeys.config.settings import Settings
from langkeys.crypto.hashes import api_key_hash
from langkeys.errors import InvalidKeyError, StoreError
from langkeys.models import ApiKey, User, dashed, shown_without
from langkeys.store.protocol import OwnedKey, Store
from langkeys.times import now, person_iso

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

__all__ = ["Judge", "KeyFinder", "Verified", "Verifier", "api_key_hash", "verify"]

MAX_CACHED = 20_000
"""The number of valid keys, about 40 MB, after which a verifier empties its cache."""


class Verified(NamedTuple):
    """A valid API key and its user.

    ``api_key`` is None for the key in the server's environment. ``warning`` says that the key or
    its owner is inactive, if servers of this generation ignore that.
    """

    user: User
    api_key: ApiKey | None
    warning: str | None = None


def require_current(store: Store) -> None:
    """Raise StoreError if the store may still show a key that has just been revoked."""
    if store.is_snapshot:
        raise StoreError(
            f"cannot verify an API key in {store.location}: it is read without a lock,"
            " and a key that a running server has revoked would be accepted",
            hint="run langkeys as the server's user, or as one who can write to the"
            " database's folder",
        )


class Judge(NamedTuple):
    """Answers for API keys as a server with this database and these settings would.

    ``environment_key`` is LANGFLOW_API_KEY if LANGFLOW_API_KEY_SOURCE is ``env``, else None. A
    request with this key acts as the user named ``superuser``.
    """

    environment_key: str | None = None
    superuser: str = ""

    def __repr__(self) -> str:
        return shown_without(self, "environment_key")

    @classmethod
    def by(cls, settings: Settings) -> "Judge":
        """Return the judge for these settings."""
        from_environment = settings.text("LANGFLOW_API_KEY_SOURCE") == "env"
        return cls(
            settings.text("LANGFLOW_API_KEY") if from_environment else None, settings.superuser
        )

    def judge(self, store: Store, hashed: str, rows: Sequence[OwnedKey]) -> Verified:
        """Return the user whom this key authenticates to a server; raise InvalidKeyError.

        ``rows`` are all rows of the key in ``store``, in the order in which servers read them.
        """
        return self.find_by_environment(store, hashed) or verify_rows(store, hashed, rows)

    def find_by_environment(self, store: Store, hashed: str) -> Verified | None:
        """Return the superuser if this is the key in the server's environment."""
        if not self.environment_key or not store.generation.reads_env_key:
            return None
        if not compare_digest(api_key_hash(self.environment_key), hashed):
            return None
        user = store.find_user_named(self.superuser)
        return Verified(user, None) if user is not None and user.is_active else None


NOTHING_SET = Judge()
"""A judge that uses only the database."""


def verify_rows(store: Store, hashed: str, rows: Sequence[OwnedKey]) -> Verified:
    """Return the user whom a key with these rows authenticates; see ``Judge.judge``."""
    generation = store.generation
    # Filter the rows before the lookup: servers from 1.10 on ignore inactive rows, and earlier ones
    # do not read is_active.
    counted = [row for row in rows if row.key.is_active or not generation.honours_key_state]
    if not generation.encrypts_keys:
        counted = [row for row in counted if row.key.at_rest == "plaintext"]
    by_hash = [row for row in counted if row.key.hash == hashed]
    if len(by_hash) > 1:
        raise InvalidKeyError(
            f"{len(by_hash)} rows in {store.location} have this key's hash"
            f" (API key {dashed(by_hash[0].key.id)} and others); a server refuses it",
            reason="duplicate",
            hint="to end all of its rows: langkeys api-key revoke - < FILE; then create another",
        )
    chosen = by_hash or [row for row in counted if row.key.hash is None][:1]
    if not chosen:
        if rows and generation.honours_key_state:
            key_id = dashed(rows[0].key.id)
            raise InvalidKeyError(
                f"API key {key_id} is inactive in {store.location}",
                reason="inactive",
                hint=f"to let it in again: langkeys api-key activate {key_id}",
            )
        raise _unknown(store)
    return _by_row(store, chosen[0])


def representative(store: Store, hashed: str, rows: Sequence[OwnedKey]) -> ApiKey:
    """Return the row that a server uses for a key, or else one of the key's rows."""
    try:
        found = verify_rows(store, hashed, rows).api_key
    except InvalidKeyError:
        found = None
    return found or next((row.key for row in rows if row.key.is_active), rows[0].key)


def _by_row(store: Store, row: OwnedKey) -> Verified:
    generation = store.generation
    key, owner = row
    _refuse_expired(store, key)
    named = f"API key {dashed(key.id)}"
    if owner is None:
        raise InvalidKeyError(
            f"{named} belongs to a user that does not exist in {store.location}",
            reason="unknown",
            hint=f"to remove it: langkeys api-key revoke {dashed(key.id)}; then create another",
        )
    warning = None
    if not key.is_active:
        warning = (
            f"{named} is marked inactive, but a Langflow {generation.release}"
            " server still accepts it: revoke it to disable it"
        )
    if not owner.is_active:
        if generation.honours_owner_state:
            raise InvalidKeyError(
                f"the owner of {named}, {owner.username!r}, is inactive in {store.location}",
                reason="owner inactive",
                hint=f"to let the owner in again: langkeys user activate {dashed(owner.id)}",
            )
        warning = (
            f"the owner of {named}, {owner.username!r}, is inactive, but a"
            f" Langflow {generation.release} server still lets the key run flows:"
            " revoke it to disable it"
        )
    return Verified(owner, key, warning)


class Verifier:
    """Verifies API keys, and caches valid ones until the database changes.

    A cached result is used only while the database is unchanged. So a key that is revoked, or whose
    owner is deactivated, is refused at the next call. See ``Judge`` for ``environment_key`` and
    ``superuser``. Several threads may use one verifier.

    A key without a hash may have several rows, and a server uses the first. With ``is_exact``, all
    such rows are searched each time. Otherwise the first row found is used if it makes the key
    valid; a server might find another user's row first.
    """

    def __init__(
        self,
        store: Store,
        cipher: Callable[[], "Cipher"],
        *,
        environment_key: str | None = None,
        superuser: str = "",
        is_exact: bool = True,
    ) -> None:
        self.is_exact = is_exact
        self._store = store
        self._finder = KeyFinder(store, cipher)
        self._judge = Judge(environment_key, superuser)
        self._cache: dict[str, tuple[int, Verified]] = {}
        self._version = store.version()

    def verify(self, api_key: str) -> Verified:
        """Return the user of an API key; raise InvalidKeyError with the reason for a refusal.

        Nothing is written, so the use is not counted.
        """
        try:
            hashed = api_key_hash(api_key)
        except UnicodeEncodeError:
            raise _unknown(self._store) from None  # a lone surrogate is in no key
        if self._judge.environment_key:
            found = self._judge.find_by_environment(self._store, hashed)
            if found is not None:
                return found
        cached = self._cache.get(hashed)
        # Read the version first: if somebody writes meanwhile, the cached result counts as
        # outdated.
        version = self._version if cached is None else self._store.version()
        if cached is not None and cached[0] == version:
            verified = cached[1]
            assert verified.api_key is not None
            _refuse_expired(self._store, verified.api_key)
            return verified
        self._version = version
        verified = self._look_up(api_key, hashed)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[hashed] = (version, verified)
        return verified

    def count_unreadable(self) -> int:
        """Count the rows that may hold an unknown key, because they cannot be decrypted."""
        return self._finder.count_unreadable()

    def _look_up(self, api_key: str, hashed: str) -> Verified:
        store = self._store
        # Nearly every key is found by its hash, and then no other row matters.
        rows = store.owned_by_hash(hashed) if api_key else ()
        if any(row.key.is_active for row in rows) or (
            rows and not store.generation.honours_key_state
        ):
            return verify_rows(store, hashed, rows)
        if not self.is_exact:
            unhashed = self._finder.find_unhashed(api_key, hashed)
            try:
                return verify_rows(store, hashed, [*rows, *unhashed])
            except InvalidKeyError:
                if not unhashed:
                    raise
        return verify_rows(store, hashed, self._finder.find_all(api_key))


def verify(store: Store, cipher: Callable[[], "Cipher"], api_key: str) -> Verified:
    """Return the user of one API key; see ``Verifier.verify``."""
    return Verifier(store, cipher).verify(api_key)


def _unknown(store: Store) -> InvalidKeyError:
    return InvalidKeyError(f"no such API key in {store.location}", reason="unknown")


def _refuse_expired(store: Store, key: ApiKey) -> None:
    if key.expires_at is not None and key.expires_at < now():
        key_id = dashed(key.id)
        raise InvalidKeyError(
            f"API key {key_id} in {store.location} expired at {person_iso(key.expires_at)}",
            reason="expired",
            hint=f"to replace it: langkeys api-key rotate {key_id}; to let it in again:"
            f" langkeys api-key update {key_id} --expires WHEN",
        )
