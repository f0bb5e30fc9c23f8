"""Finding the rows of whole API keys: by hash, as plaintext, and by decrypting."""

import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING

from langkeys.crypto.hashes import key_hash
from langkeys.models import FERNET_PREFIX, ApiKey
from langkeys.progress import Advance, Progress
from langkeys.store.protocol import OwnedKey, RowStub, Store

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher


class KeyFinder:
    """Finds the rows of whole API keys.

    Each encrypted row without a hash is decrypted once in the life of the finder, and by ``find``
    only as many of them as it takes. ``cipher`` is only called where such rows are left to try.
    Several threads may use one finder.
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
        # Of what has been decrypted: the tokens by their key's hash, those that did not open, and
        # all of them.
        self._tokens: dict[str, tuple[str, ...]] = {}
        self._unreadable: set[str] = set()
        self._tried: set[str] = set()
        self._pass: Iterator[str] | None = None
        self._pass_version = self._complete_version = -1
        self._decrypting = Lock()

    def on(self, store: Store) -> "KeyFinder":
        """Return a finder on another connection to the same database, which knows the same.

        What has been decrypted is not decrypted again; which rows there are is read anew.
        """
        other = KeyFinder(store, self._cipher)
        with self._decrypting:
            other._tokens = dict(self._tokens)
            other._unreadable, other._tried = set(self._unreadable), set(self._tried)
        return other

    # One key

    def find(self, api_key: str) -> Sequence[OwnedKey]:
        """Return rows of an API key, by the first way that finds some; none where it is unknown."""
        try:
            hashed = key_hash(api_key)
        except UnicodeEncodeError:
            return []  # lone surrogates: no key has them
        return self.find_hashed(api_key, hashed)

    def find_hashed(self, api_key: str, hashed: str) -> Sequence[OwnedKey]:
        """Return what ``find`` does, for a key whose hash is known already."""
        if not api_key:
            return []
        return self._store.owned_by_hash(hashed) or self.find_unhashed(api_key, hashed)

    def find_unhashed(self, api_key: str, hashed: str) -> Sequence[OwnedKey]:
        """Return rows without a hash, by the first way that finds some."""
        found: Sequence[OwnedKey] = []
        if api_key and not api_key.startswith(FERNET_PREFIX):
            # A Fernet token is not a key, though it stands in the column: it is what a thief has
            # who has read the database.
            found = [
                row
                for row in self._unhashed_stored_as(api_key)
                if secrets.compare_digest(row.key.stored.encode(), api_key.encode())
            ]
        return found or self._encrypted(hashed)

    def find_all(self, api_key: str) -> Sequence[OwnedKey]:
        """Return every row of an API key that can be found, in the order that servers read them.

        Rows that do not open are not among them; ``count_unreadable`` says how many there are.
        """
        try:
            hashed = key_hash(api_key)
        except UnicodeEncodeError:
            return []
        return self.find_all_hashed(hashed, api_key) if api_key else []

    def find_all_hashed(self, hashed: str, api_key: str | None) -> Sequence[OwnedKey]:
        """Return what ``find_all`` does; ``api_key`` is None where only its hash is known."""
        return self._store.rows_of_key(hashed, self._forms(hashed, api_key))

    def find_stubs(self, hashed: str, api_key: str | None) -> Sequence[RowStub]:
        """Return those rows of a key that cannot be read for what is in other cells of them."""
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
        """Return the hash that stands for a row's key, or None where that cannot be known."""
        return self.find_key(row)[0] if row.hash is None else row.hash

    def find_key(self, row: ApiKey) -> tuple[str | None, str | None]:
        """Return the hash that stands for a row's key, and the key; None what cannot be known."""
        plaintext = self._open(row)
        if row.hash is None:
            return (None if plaintext is None else key_hash(plaintext)), plaintext
        if plaintext is not None and key_hash(plaintext) != row.hash:
            plaintext = None  # the hash is another key's, and that is the one that servers know
        return row.hash, plaintext

    def find_rows_with(self, row: ApiKey) -> tuple[str | None, str | None, Sequence[OwnedKey]]:
        """Return what ``find_key`` does, and all rows of the key; none where it cannot be known."""
        plaintext = self._open(row)
        if row.hash is not None and plaintext is not None and key_hash(plaintext) != row.hash:
            # The hash of one key beside the token of another: whoever names the row means both.
            true_hash = key_hash(plaintext)
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

    def _open(self, row: ApiKey) -> str | None:
        if row.at_rest == "plaintext":
            return row.stored
        return self._cipher().find_plaintext(row.stored)

    def _find_plaintext(self, hashed: str, tokens: Collection[str]) -> str | None:
        for token in tokens:
            return self._cipher().find_plaintext(token)
        # No index has the hashes of these, but there are few of them, if any.
        for page in self._store.unhashed_plaintexts():
            for stored in page:
                if key_hash(stored) == hashed:
                    return stored
        return None

    # All keys

    def decrypt_all(self) -> None:
        """Decrypt every row without a hash that has not been decrypted yet."""
        with self._decrypting:
            self._decrypted_until("")

    def count_unreadable(self) -> int:
        """Count the rows that may be of any key: without a hash, and the secret key opens them not.

        Up to Langflow 1.7 there are none: servers let nobody in by an encrypted row.
        """
        if not self._store.generation.encrypts_keys:
            return 0
        self.decrypt_all()
        if not self._unreadable:
            return 0
        pages = self._store.key_tokens(unhashed_only=True)
        return sum(token in self._unreadable for page in pages for token in page)

    def find_repeated(self) -> set[str]:
        """Return the hashes of all keys that stand in more than one row."""
        self.decrypt_all()
        store = self._store
        repeated = set(store.repeated_hashes())
        for hashed, tokens in self._tokens.items():
            if len(tokens) > 1 or store.owned_by_hash(hashed):
                repeated.add(hashed)
        if self._tokens or store.generation.has_key_hash:
            for page in store.unhashed_plaintexts():
                for stored in page:
                    hashed = key_hash(stored)
                    if hashed in self._tokens or store.owned_by_hash(hashed):
                        repeated.add(hashed)
        return repeated

    # Decrypting

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
                if plaintext is None:
                    self._unreadable.add(token)
                else:
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
