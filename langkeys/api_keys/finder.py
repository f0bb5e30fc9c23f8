"""Find the rows of an API key: by hash, as plaintext, and by decrypting them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from hmac import compare_digest
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING

from langkeys.crypto.hashes import api_key_hash
from langkeys.crypto.stored_values import find_stored_value
from langkeys.models import FERNET_PREFIX, ApiKey
from langkeys.progress import Advance, Progress
from langkeys.store.protocol import OwnedKey, RowStub, Store

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher


def find_api_key(row: ApiKey, cipher: Callable[[], "Cipher"]) -> str | None:
    """Return the API key in a row; None if it cannot be decrypted, or if there is none."""
    return find_stored_value(row.stored, cipher) if row.stored else None


def find_hash(row: ApiKey, cipher: Callable[[], "Cipher"]) -> str | None:
    """Return the hash that identifies a row's key, or None if it cannot be determined."""
    if row.hash is not None:
        return row.hash
    plaintext = find_api_key(row, cipher)
    return None if plaintext is None else api_key_hash(plaintext)


class KeyFinder:
    """Finds all rows of API keys.

    A finder decrypts an encrypted row without a hash at most once, and ``find`` decrypts no more
    rows than it needs. ``cipher`` is called only if there are such rows. Several threads may use
    one finder.
    """

    def __init__(
        self,
        store: Store,
        cipher: Callable[[], "Cipher"],
        progress: Progress | None = None,
    ) -> None:
        self._store = store
        self._cipher = cipher
        self._progress = progress
        # Results of decryption: the tokens by the hash of their key, the tokens that could not be
        # decrypted, and all tokens that were tried.
        self._tokens: dict[str, tuple[str, ...]] = {}
        self._unreadable: set[str] = set()
        self._tried: set[str] = set()
        self._pass: Iterator[str] | None = None
        self._pass_version = self._complete_version = -1
        self._decrypting = Lock()

    def on(self, store: Store) -> "KeyFinder":
        """Return a finder that uses another connection to the same database.

        It keeps the results of decryption, but reads the rows again.
        """
        other = KeyFinder(store, self._cipher)
        with self._decrypting:
            other._tokens = dict(self._tokens)
            other._unreadable, other._tried = set(self._unreadable), set(self._tried)
        return other

    # Finding one key

    def find(self, api_key: str) -> Sequence[OwnedKey]:
        """Return some rows of an API key: those found by the first method that finds any.

        Returns no rows if the key is unknown.
        """
        try:
            hashed = api_key_hash(api_key)
        except UnicodeEncodeError:
            return []  # a lone surrogate is in no key
        return self.find_hashed(api_key, hashed)

    def find_hashed(self, api_key: str, hashed: str) -> Sequence[OwnedKey]:
        """Do what ``find`` does, for a key whose hash is already known."""
        if not api_key:
            return []
        return self._store.owned_by_hash(hashed) or self.find_unhashed(api_key, hashed)

    def find_unhashed(self, api_key: str, hashed: str) -> Sequence[OwnedKey]:
        """Return rows without a hash: those found by the first method that finds any."""
        found: Sequence[OwnedKey] = []
        if api_key and not api_key.startswith(FERNET_PREFIX):
            # A Fernet token in the key column is not a key: everybody who can read the database has
            # it.
            found = [
                row
                for row in self._unhashed_stored_as(api_key)
                if compare_digest(row.key.stored.encode(), api_key.encode())
            ]
        return found or self._encrypted(hashed)

    def find_all(self, api_key: str) -> Sequence[OwnedKey]:
        """Return all known rows of an API key, in the order in which servers read them.

        Rows that cannot be decrypted are missing; ``count_unreadable`` counts them.
        """
        try:
            hashed = api_key_hash(api_key)
        except UnicodeEncodeError:
            return []
        return self.find_all_hashed(hashed, api_key) if api_key else []

    def find_all_hashed(self, hashed: str, api_key: str | None) -> Sequence[OwnedKey]:
        """Do what ``find_all`` does; ``api_key`` is None if only the hash is known."""
        return self._store.rows_of_key(hashed, self._forms(hashed, api_key))

    def find_stubs(self, hashed: str, api_key: str | None) -> Sequence[RowStub]:
        """Return the rows of a key that are unreadable because of another column."""
        stubs = list(self._store.api_key_stubs(key_hash=hashed))
        for form in self._forms(hashed, api_key):
            stubs += self._store.api_key_stubs(stored=form)
        return list({stub.position: stub for stub in stubs if stub.problem is not None}.values())

    def _forms(self, hashed: str, api_key: str | None) -> set[str]:
        self.decrypt_all()
        stored = set(self._tokens.get(hashed, ()))
        if api_key is None:
            api_key = self._find_plaintext(hashed, stored)
        if api_key is not None and not api_key.startswith(FERNET_PREFIX):
            stored.add(api_key)
        return stored

    def find_hash(self, row: ApiKey) -> str | None:
        """Return the hash that identifies a row's key, or None if it cannot be determined."""
        return find_hash(row, self._cipher)

    def find_key(self, row: ApiKey) -> tuple[str | None, str | None]:
        """Return the hash that identifies a row's key, and the key; either is None if unknown."""
        plaintext = find_api_key(row, self._cipher)
        if row.hash is None:
            return (None if plaintext is None else api_key_hash(plaintext)), plaintext
        if plaintext is not None and api_key_hash(plaintext) != row.hash:
            plaintext = None  # the hash is of another key, and servers use the hash
        return row.hash, plaintext

    def find_rows_with(self, row: ApiKey) -> tuple[str | None, str | None, Sequence[OwnedKey]]:
        """Return the result of ``find_key`` and all rows of the key; no rows for an unknown key."""
        plaintext = find_api_key(row, self._cipher)
        if row.hash is not None and plaintext is not None and api_key_hash(plaintext) != row.hash:
            # This row has the hash of one key and the token of another. A REF to the row means both
            # keys.
            true_hash = api_key_hash(plaintext)
            both = (
                *self.find_all_hashed(true_hash, plaintext),
                *self.find_all_hashed(row.hash, None),
            )
            return true_hash, plaintext, list({owned.key.id: owned for owned in both}.values())
        hashed, plaintext = self.find_key(row)
        if hashed is None:
            self.decrypt_all()
            return None, None, ()
        return hashed, plaintext, self.find_all_hashed(hashed, plaintext)

    def _find_plaintext(self, hashed: str, tokens: Collection[str]) -> str | None:
        for token in tokens:
            return self._cipher().find_plaintext(token)
        # No index contains these hashes, but there are few such rows, if any.
        for page in self._store.unhashed_plaintexts():
            for stored in page:
                if api_key_hash(stored) == hashed:
                    return stored
        return None

    # Finding all keys

    def decrypt_all(self) -> None:
        """Decrypt every row without a hash that has not been tried yet."""
        with self._decrypting:
            self._decrypt_until("")

    def count_unreadable(self) -> int:
        """Count the rows without a hash that cannot be decrypted, and so may belong to any key.

        The result is 0 up to Langflow 1.7, because those servers accept no encrypted key.
        """
        if not self._store.generation.encrypts_keys:
            return 0
        self.decrypt_all()
        if not self._unreadable:
            return 0
        pages = self._store.key_tokens(unhashed_only=True)
        return sum(token in self._unreadable for page in pages for token in page)

    def find_repeated(self) -> set[str]:
        """Return the hashes of all keys with more than one row."""
        self.decrypt_all()
        store = self._store
        repeated = set(store.repeated_hashes())
        for hashed, tokens in self._tokens.items():
            if len(tokens) > 1 or store.owned_by_hash(hashed):
                repeated.add(hashed)
        if self._tokens or store.generation.has_key_hash:
            for page in store.unhashed_plaintexts():
                for stored in page:
                    hashed = api_key_hash(stored)
                    if hashed in self._tokens or store.owned_by_hash(hashed):
                        repeated.add(hashed)
        return repeated

    # Decrypting

    def _unhashed_stored_as(self, value: str) -> list[OwnedKey]:
        return [row for row in self._store.owned_stored_as(value) if row.key.hash is None]

    def _encrypted(self, hashed: str) -> list[OwnedKey]:
        with self._decrypting:
            for known in self._tokens.get(hashed, ()):
                # Read the row each time: a key is revoked as soon as its row is gone.
                found = self._unhashed_stored_as(known)
                if found:
                    return found
            # Try these tokens again if their rows come back.
            self._tried.difference_update(self._tokens.pop(hashed, ()))
            token = self._decrypt_until(hashed)
        return [] if token is None else self._unhashed_stored_as(token)

    def _decrypt_until(self, hashed: str) -> str | None:
        """Decrypt rows until the key with this hash is found, and return its token.

        This continues where the last call stopped. Returns None after a full pass, or if nothing
        has been written since the last full pass.
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
                token = self._decrypt_until_found(self._pass, hashed)
            except BaseException:
                self._pass = None
                raise
            if token is not None:
                return token
            self._pass, self._complete_version = None, self._pass_version

    def _decrypt_until_found(self, tokens: Iterator[str], hashed: str) -> str | None:
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
                if plaintext is None:
                    self._unreadable.add(token)
                else:
                    found = api_key_hash(plaintext)
                    self._tokens[found] = (*self._tokens.get(found, ()), token)
                    if found == hashed:
                        return token
                if done is not None and len(self._tried) % 100 == 0:
                    done(len(self._tried))
        return None

    def _untried(self) -> Iterator[str]:
        for page in self._store.key_tokens(unhashed_only=True):
            yield from (token for token in page if token not in self._tried)
