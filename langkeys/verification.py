"""Whose API key is this, and is it valid: what a server of the database's generation would say."""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from langkeys.errors import InvalidKeyError, StoreError
from langkeys.models import FERNET_PREFIX, ApiKey, User, dashed
from langkeys.progress import Advance, Progress
from langkeys.store.base import OwnedKey, Store
from langkeys.times import iso, now

if TYPE_CHECKING:
    from langkeys.crypto import Cipher

MOST_REMEMBERED = 20_000
"""So many valid keys are remembered before a verifier starts anew: some 40 MB."""


class Verified(NamedTuple):
    """A valid API key and its user.

    ``api_key`` is None for the key in the server's environment. ``warning`` says what is marked as
    off and still let in by a server of this generation.
    """

    user: User
    api_key: ApiKey | None
    warning: str | None = None


def require_current(store: Store) -> None:
    """Raise StoreError where the store may lack that a key has just been revoked."""
    if store.is_snapshot:
        raise StoreError(
            f"whether an API key is valid cannot be told from {store.location}: it is read without"
            " a lock, and a key that a running server has revoked would pass",
            hint="run langkeys as the server's user, or where the database's folder can be written",
        )


def key_hash(api_key: str) -> str:
    """Hash an API key as Langflow does from 1.9 on: SHA-256 of the whole key, lower-case hex."""
    return hashlib.sha256(api_key.encode()).hexdigest()


class KeyFinder:
    """Finds the rows of whole API keys: by hash, else as plaintext, else by decrypting.

    Each encrypted row without a hash is decrypted once in the life of the finder, and only as many
    of them as it takes to find what is asked for. ``cipher`` is only called where such rows are
    left to try. Several threads may use one finder.
    """

    def __init__(
        self, store: Store, cipher: Callable[[], "Cipher"], progress: Progress | None = None
    ) -> None:
        self._store = store
        self._cipher = cipher
        self._progress = progress
        # Of what has been decrypted: the tokens by their key's hash, and all of them.
        self._tokens: dict[str, tuple[str, ...]] = {}
        self._tried: set[str] = set()
        self._pass: Iterator[str] | None = None
        self._pass_version = self._complete_version = -1
        self._decrypting = Lock()

    def find(self, api_key: str) -> Sequence[OwnedKey]:
        """Return the rows of an API key; none where nobody has made it, or it is revoked."""
        try:
            hashed = key_hash(api_key)
        except UnicodeEncodeError:
            return []  # lone surrogates: no key has them
        return self.find_hashed(api_key, hashed)

    def find_hashed(self, api_key: str, hashed: str) -> Sequence[OwnedKey]:
        """Return what ``find`` does, for a key whose hash is known already."""
        if not api_key:
            return []
        found = self._store.owned_by_hash(hashed)
        if not found and not api_key.startswith(FERNET_PREFIX):
            # A Fernet token is not a key, though it stands in the column: it is what a thief has
            # who has read the database.
            found = [
                row
                for row in self._unhashed_stored_as(api_key)
                if secrets.compare_digest(row.key.stored.encode(), api_key.encode())
            ]
        return found or self._encrypted(hashed)

    def _unhashed_stored_as(self, value: str) -> list[OwnedKey]:
        return [row for row in self._store.owned_stored_as(value) if row.key.hash is None]

    def _encrypted(self, hashed: str) -> list[OwnedKey]:
        with self._decrypting:
            for known in self._tokens.get(hashed, ()):
                # Read each time: where the row is gone, the key is revoked.
                found = self._unhashed_stored_as(known)
                if found:
                    return found
            # Should they come back, they are tried again.
            self._tried.difference_update(self._tokens.pop(hashed, ()))
            token = self._decrypted_until(hashed)
        return [] if token is None else self._unhashed_stored_as(token)

    def _decrypted_until(self, hashed: str) -> str | None:
        """Decrypt what has not been yet until the key with this hash comes, and return its token.

        Goes on where the last call left off. None after a whole pass that began in this call, or
        where nothing has been written since the last one.
        """
        is_own = False
        while True:
            if self._pass is None:
                version = self._store.version()
                if is_own or version == self._complete_version:
                    return None
                self._pass, self._pass_version = self._untried(), version
                is_own = True
            try:
                token = self._found_in(self._pass, hashed)
            except BaseException:
                self._pass = None
                raise
            if token is not None:
                return token
            self._pass, self._complete_version = None, self._pass_version

    def _found_in(self, tokens: Iterator[str], hashed: str) -> str | None:
        first = next(tokens, None)
        if first is None:
            return None
        with ExitStack() as stack:
            done: Advance | None = None
            if self._progress is not None:
                total = self._store.api_key_count()
                done = stack.enter_context(self._progress("decrypting API keys", total))
            cipher = self._cipher()
            for token in chain((first,), tokens):
                plaintext = cipher.find_plaintext(token)
                self._tried.add(token)
                if plaintext is not None:
                    found = key_hash(plaintext)
                    self._tokens[found] = (*self._tokens.get(found, ()), token)
                    if found == hashed:
                        return token
                if done is not None and len(self._tried) % 100 == 0:
                    done(len(self._tried))
        return None

    def _untried(self) -> Iterator[str]:
        for page in self._store.key_tokens(unhashed_only=True):
            yield from (token for token in page if token not in self._tried)


class Verifier:
    """Says whether API keys are valid, and remembers it for as long as nobody changes anything.

    What it remembers is only good for the version of the database that it was read from: a key that
    is revoked, or whose owner is deactivated, is refused at the very next call. ``environment_key``
    is LANGFLOW_API_KEY where LANGFLOW_API_KEY_SOURCE is ``env``, else None: a request with it acts
    as the user named ``superuser``. Several threads may use one verifier.
    """

    def __init__(
        self,
        store: Store,
        cipher: Callable[[], "Cipher"],
        *,
        environment_key: str | None = None,
        superuser: str = "",
    ) -> None:
        self._store = store
        self._finder = KeyFinder(store, cipher)
        self._environment_key = environment_key if store.generation.reads_env_key else None
        self._superuser = superuser
        self._remembered: dict[str, tuple[int, Verified]] = {}
        self._version = store.version()

    def verify(self, api_key: str) -> Verified:
        """Return the user of an API key; raise InvalidKeyError with the reason for a refusal.

        Nothing is written: no use is counted.
        """
        if self._environment_key:
            found = self._by_environment(self._environment_key, api_key)
            if found is not None:
                return found
        try:
            hashed = key_hash(api_key)
        except UnicodeEncodeError:
            raise self._unknown() from None  # lone surrogates: no key has them
        remembered = self._remembered.get(hashed)
        # Asked for before anything else is read: should somebody write meanwhile, what is
        # remembered counts as older than it is.
        version = self._version if remembered is None else self._store.version()
        if remembered is not None and remembered[0] == version:
            verified = remembered[1]
            assert verified.api_key is not None
            _refuse_expired(verified.api_key)
            return verified
        self._version = version
        # Nearly always by the hash; the finder asks for that again before it looks elsewhere.
        rows = self._store.owned_by_hash(hashed) if api_key else ()
        verified = self._verified(rows or self._finder.find_hashed(api_key, hashed))
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[hashed] = (version, verified)
        return verified

    def _by_environment(self, environment_key: str, api_key: str) -> Verified | None:
        if not secrets.compare_digest(
            environment_key.encode(), api_key.encode("utf-8", "surrogatepass")
        ):
            return None
        user = self._store.find_user_named(self._superuser)
        return Verified(user, None) if user is not None and user.is_active else None

    def _unknown(self) -> InvalidKeyError:
        return InvalidKeyError(
            f"unknown: no such API key in {self._store.location}", reason="unknown"
        )

    def _verified(self, rows: Sequence[OwnedKey]) -> Verified:
        generation = self._store.generation
        if not rows:
            raise self._unknown()
        key, owner = rows[0]
        if len(rows) > 1:
            active = [row for row in rows if row.key.is_active]
            key, owner = (active or rows)[0]
            if len(active) > 1 and generation.has_key_hash:
                raise InvalidKeyError(
                    f"{len(active)} rows of {self._store.location} have this key's hash"
                    f" ({_named(key)} and others); a server refuses it",
                    reason="duplicate",
                )
        warning = None
        if not key.is_active:
            if generation.honours_key_state:
                raise InvalidKeyError(f"{_named(key)} is inactive", reason="inactive")
            warning = (
                f"{_named(key)} is marked inactive, but a Langflow {generation.release} server"
                " lets it in: revoke it to end it"
            )
        _refuse_expired(key)
        if owner is None:
            raise InvalidKeyError(
                f"{_named(key)} belongs to a user who does not exist", reason="unknown"
            )
        if not owner.is_active:
            if generation.honours_owner_state:
                raise InvalidKeyError(
                    f"the owner of {_named(key)}, {owner.username!r}, is inactive",
                    reason="owner inactive",
                )
            warning = (
                f"the owner of {_named(key)}, {owner.username!r}, is inactive, but a Langflow"
                f" {generation.release} server still lets the key run flows: revoke it to end it"
            )
        return Verified(owner, key, warning)


def verify(store: Store, cipher: Callable[[], "Cipher"], api_key: str) -> Verified:
    """Return the user of one API key; see ``Verifier.verify``."""
    return Verifier(store, cipher).verify(api_key)


def _named(key: ApiKey) -> str:
    return f"API key {dashed(key.id)}"


def _refuse_expired(key: ApiKey) -> None:
    if key.expires_at is not None and key.expires_at < now():
        raise InvalidKeyError(f"{_named(key)} expired at {iso(key.expires_at)}", reason="expired")
