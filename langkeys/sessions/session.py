"""One invocation's settings, store, cipher and acting user, each opened on first use.

The one place that knows which implementations exist; what is slow to import is imported here, when
it is needed.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from langkeys.api_keys.ending import Endings
from langkeys.api_keys.finder import KeyFinder
from langkeys.api_keys.verification import Judge, Verifier, find_key_hash
from langkeys.authentication import Acting, authenticated, require_superuser
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.crypto.hashes import fingerprint, key_hash
from langkeys.errors import LangkeysError, SecretKeyError, StoreError
from langkeys.models import User
from langkeys.progress import Progress, unseen
from langkeys.secret_key.trial import find_lost, given_up, warning_of
from langkeys.store.generations import Generation
from langkeys.store.protocol import Store
from langkeys.users import get_user

if TYPE_CHECKING:
    from langkeys.audit.log import Recorder
    from langkeys.crypto.cipher import Cipher
    from langkeys.diagnostics.report import Report


_THROUGH_STORE = ("store", "_opened_store", "cipher", "reading_cipher", "verifier", "endings")


class Access(Enum):
    """What a command declares: who must be acting before it gets the store, and what for."""

    WRITE = "write"
    """An active superuser; the store is open for writing."""
    READ = "read"
    """An active superuser."""
    USER = "user"
    """Anybody who can be authenticated."""
    NOBODY = "nobody"
    """Nobody: what is shown needs nobody's leave, or a key that is presented."""
    COUNT = "count"
    """Nobody; the store is open for writing, to count the use of a key that has been verified."""


class Session:
    """Opens what a command needs and no more.

    ``access`` says who must be acting: without that user the store is not to be had, whatever the
    command asks of the session. ``ask_password`` asks for a password by a hidden prompt
    and raises UnauthenticatedError where nobody can be asked; ``note`` and ``warn`` take a sentence
    for the person at the terminal, ``progress`` is told how far long work is; ``command`` and
    ``reason`` go into the audit trail. ``accept_secret_key`` asks whether what a lost secret key
    has encrypted is given up, and raises at a no; without it that is never done. ``cache_kib`` is
    how much of the database may be kept in memory, if not SQLite's own 2000; ``verify_password``
    stands in for the method of that name. Use as a context manager.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        access: Access,
        ask_password: Callable[[str], str],
        note: Callable[[str], None],
        warn: Callable[[str], None],
        progress: Progress = unseen,
        command: str = "",
        reason: str | None = None,
        accept_secret_key: Callable[[str], None] | None = None,
        cache_kib: int | None = None,
        verify_password: Callable[[str, str | None], bool] | None = None,
    ) -> None:
        self.settings = settings
        self.note = note
        self.warn = warn
        self.progress = progress
        self._ask_password = ask_password
        self._access = access
        self._command = command
        self._cache_kib = cache_kib
        self._verify_password = verify_password or self.verify_password
        self._reason = reason
        self._accept_secret_key = accept_secret_key
        self._has_accepted = False
        self._location: str | None = None

    def __enter__(self) -> "Session":
        if self._access in (Access.WRITE, Access.READ, Access.USER):
            try:
                self.store  # noqa: B018 - who may not act finds out before anything is done
            except BaseException:
                self.__exit__(*sys.exc_info())
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, LangkeysError):
            self.settings.explain(error)
        if self._access is Access.WRITE:
            with suppress(LangkeysError):  # the error that led here is the one to tell
                if error is None:
                    if (lost := self._find_lost_secret_key()) is not None:
                        self.warn(warning_of(lost))
                else:
                    self.recorder.refused(error)
        if "_opened_store" in self.__dict__:
            self._opened_store.close()

    @cached_property
    def store(self) -> Store:
        """The database in force; raises where the acting user may not have it.

        The only way to the store, so that no command can forget to ask who acts.
        """
        store = self._opened_store
        if self._access in (Access.WRITE, Access.READ):
            self.acting  # noqa: B018 - raises unless an active superuser acts
        elif self._access is Access.USER:
            self.known_user  # noqa: B018 - raises where nobody is known
        if (journal := locations.find_rotation_journal(self.settings)) is not None:
            self._meet_unfinished(journal)
        return store

    @cached_property
    def _opened_store(self) -> Store:
        """The database in force, for those who find out who acts."""
        try:
            return self._open_store()
        except LangkeysError as error:
            self.settings.explain(error)
            raise

    def _open_store(self) -> Store:
        self.settings.check()
        for warning in (*self.settings.warnings, *locations.database(self.settings).warnings):
            self.warn(warning)
        if self._access is Access.WRITE and (names := self.settings.conflicts):
            self.warn(
                f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} different values in the"
                f" environment and in {self.settings.env_file}: langkeys uses the environment's, a"
                " server started with that file uses the file's"
            )
        store = self._opened()
        store.listen(note=self.note, warn=self.warn)
        self._location = store.location
        # It may have waited for the end of a rotation.
        self.settings.reload_if_changed()
        if self._access is Access.WRITE:
            store.committing = self.recorder.committing
            store.before_encrypted = self._require_secret_key
        if store.generation.note:
            self.note(f"{store.location}: {store.generation.note}")
        return store

    @cached_property
    def recorder(self) -> "Recorder":
        """What writes this invocation's lines into the audit trail."""
        from langkeys.audit.log import Recorder, Trail, actor_of

        return Recorder(
            Trail(self.settings, self.warn),
            command=self._command,
            reason=self._reason,
            acting=lambda: actor_of(self.__dict__.get("known_user")),
            database=lambda: self._location,
            sha256_of=lambda key: find_key_hash(key, lambda: self.reading_cipher),
        )

    def close_store(self) -> None:
        """Close the store and forget what was read through it."""
        if "_opened_store" in self.__dict__:
            self._opened_store.close()
            for name in _THROUGH_STORE:
                self.__dict__.pop(name, None)

    def was_revoked(self, api_key: str) -> bool:
        """Tell whether the audit trail knows a whole API key as revoked."""
        from langkeys.audit.reading import was_revoked

        return was_revoked(self.settings, key_hash(api_key), self.warn)

    def _opened(self) -> Store:
        from langkeys.store.engines import open_store

        target = locations.database(self.settings).target
        try:
            return open_store(
                target,
                writable=self._access in (Access.WRITE, Access.COUNT),
                cache_kib=self._cache_kib,
            )
        except StoreError as error:
            locations.explain_missing(self.settings, error)
            raise

    def _meet_unfinished(self, journal: Path) -> None:
        """Settle a rotation that died before something is written; else say that there is one."""
        if self._access is Access.WRITE:
            self.settle_rotation()
            return
        from langkeys.sessions.rotation import warn_of_unfinished

        if self._access is not Access.COUNT:
            warn_of_unfinished(journal, self.warn)

    def settle_rotation(self) -> None:
        """Complete or undo a rotation that died; see ``langkeys.secret_key.recovery``."""
        from langkeys.sessions.rotation import settle_unfinished

        journal = locations.find_rotation_journal(self.settings)
        if journal is not None and settle_unfinished(
            journal, self.settings, self._opened, self.warn
        ):
            for name in ("cipher", "reading_cipher", "verifier"):
                self.__dict__.pop(name, None)
            with suppress(LangkeysError):  # the rotation itself has its line
                self.recorder.has_settled()

    @property
    def generation(self) -> Generation:
        """Which Langflow wrote the database."""
        return self._opened_store.generation

    @cached_property
    def cipher(self) -> "Cipher":
        """The cipher under the secret key in force; SecretKeyError where there is none."""
        from langkeys.crypto.cipher import Cipher

        secret_key = locations.get_secret_key(self.settings)
        return Cipher(
            secret_key.text,
            source=secret_key.source,
            short_keys_by_prng=self._uses_prng(secret_key.text),
            pads_always=self.generation.pads_always,
        )

    @cached_property
    def reading_cipher(self) -> "Cipher":
        """The cipher for what is only to be shown: where there is none, one that decrypts nothing.

        A leaked key must be revocable when the secret key is lost, and a list must be to be had.
        """
        try:
            return self.cipher
        except SecretKeyError as error:
            from langkeys.crypto.cipher import ClosedCipher

            return ClosedCipher(error)

    def _uses_prng(self, secret_key: str) -> bool:
        told = self.generation.short_keys_by_prng
        if told is None:
            # Two releases of one revision: the newest value says which of them wrote it.
            from langkeys.crypto.cipher import opens_by_prng

            values = (value.value for value in self._opened_store.sample_of_encrypted_values())
            told = opens_by_prng(secret_key, values)
        return told

    @cached_property
    def acting(self) -> Acting:
        """The active superuser that this command acts as; raises where there is none."""
        acting = self.known_user
        require_superuser(acting, self._opened_store.location)
        return acting

    @cached_property
    def known_user(self) -> Acting:
        """The user that this command acts as, superuser or not; raises where there is none."""
        return authenticated(
            self.settings,
            self._opened_store,
            cipher=self._cipher_to_know_by,
            verify_password=self._verify_password,
            ask_password=self._ask_password,
            warn=self.warn,
        )

    def _cipher_to_know_by(self) -> "Cipher":
        """Return the cipher to find an API key with, which nothing but decrypting may tell.

        After a rotation that died behind its commit only the key that is staged decrypts it. It is
        tried, in memory: nothing is settled before it is known who acts.
        """
        journal = locations.find_rotation_journal(self.settings)
        if journal is None:
            return self.cipher
        from langkeys.sessions.rotation import with_staged_key

        return with_staged_key(self.cipher, journal)

    def owner(self, user: str | None) -> User:
        """Return the user that ``--user`` names, by id or name, or else the acting one."""
        return self.acting.user if user is None else get_user(self.store, user, warn=self.warn)

    @staticmethod
    def verify_password(password: str, password_hash: str | None) -> bool:
        """Check a password against a stored hash; see ``langkeys.crypto.passwords.matches``."""
        from langkeys.crypto.passwords import matches

        return matches(password, password_hash)

    @staticmethod
    def hashed_password(password: str) -> str:
        """Hash a new password, at Langflow's cost."""
        from langkeys.crypto.passwords import hashed

        return hashed(password)

    @cached_property
    def verifier(self) -> Verifier:
        """What says whose API key this is, as the server beside the database would."""
        return Verifier(self.store, lambda: self.cipher, **Judge.by(self.settings)._asdict())

    @cached_property
    def endings(self) -> Endings:
        """What ends API keys, whole."""
        finder = KeyFinder(self.store, lambda: self.reading_cipher, self.progress)
        return Endings(self.store, finder, Judge.by(self.settings))

    def examined(self) -> "Report":
        """Look at the whole deployment, as ``doctor`` reports it."""
        from langkeys.diagnostics.report import Means, examined

        def store() -> Store:
            # Whatever else is wrong with the settings: that is a finding of its own.
            self._opened_store = self._opened()
            return self._opened_store

        return examined(
            self.settings,
            Means(
                store=store,
                cipher=lambda: self.cipher,
                acting=lambda: self.known_user,
                has_secret_key=lambda: locations.find_secret_key(self.settings) is not None,
                fingerprint=fingerprint,
            ),
        )

    def check_secret_key(self, *, encrypts: bool = True) -> None:
        """Try the secret key on what is stored, before anything is made that it is to encrypt.

        Raises SecretKeyError if nothing that is tried can be decrypted: most often settings and
        database do not belong together. Where the old key is gone for good, ``accept_secret_key``
        is asked. ``encrypts`` is false where this generation stores the thing in plaintext. The
        store asks again under its lock, so that no command can forget this.
        """
        lost = self._find_lost_secret_key() if encrypts else None
        if lost is None:
            return
        if self._accept_secret_key is None or self.reading_cipher.error is not None:
            raise lost
        secret_key = locations.get_secret_key(self.settings)
        self._accept_secret_key(
            given_up(self.store, self.cipher, secret_key, fingerprint(secret_key.text))
        )
        self._has_accepted = True

    def leave_new_secret_key(self) -> None:
        """Say nothing of a secret key in force that decrypts nothing: it has just been replaced.

        The environment still has it after ``secret-key rotate``, which says itself what to set.
        """
        self._has_accepted = True

    def _require_secret_key(self) -> None:
        lost = self._find_lost_secret_key()
        if lost is not None:
            raise lost

    def _find_lost_secret_key(self) -> SecretKeyError | None:
        if self._has_accepted:
            return None
        return find_lost(self._opened_store, self.reading_cipher)
