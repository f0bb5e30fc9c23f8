"""The settings, store, cipher and acting user of one invocation, each opened on first use.

This module chooses the concrete implementations, and imports slow modules only when they are
needed.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from langkeys.api_keys.finder import KeyFinder, find_hash
from langkeys.api_keys.verification import Judge, Verifier
from langkeys.authentication import Acting, authenticate, require_superuser
from langkeys.config import locations, rotation_files
from langkeys.config.env_file import conflict_warning
from langkeys.config.settings import Settings
from langkeys.crypto.hashes import api_key_hash, fingerprint
from langkeys.errors import LangkeysError, SecretKeyError, StoreError
from langkeys.models import User
from langkeys.progress import Progress, unseen
from langkeys.secret_key.trial import find_lost_key_error, given_up_warning, lost_key_warning
from langkeys.store.generations import Generation
from langkeys.store.protocol import Store
from langkeys.users import get_user

if TYPE_CHECKING:
    from langkeys.api_keys.ending import Endings
    from langkeys.audit.log import Recorder
    from langkeys.crypto.cipher import Cipher
    from langkeys.diagnostics.report import Report


_THROUGH_STORE = ("store", "_opened_store", "cipher", "reading_cipher", "verifier", "endings")


class Access(Enum):
    """What a command declares: who must be authenticated, and how the store is opened."""

    WRITE = "write"
    """An active superuser; the store is opened for writing."""
    READ = "read"
    """An active superuser."""
    USER = "user"
    """Any user who can be authenticated."""
    NOBODY = "nobody"
    """Nobody: the output is public, or for anybody who presents an API key."""
    COUNT = "count"
    """Nobody; the store is opened for writing, to count the use of a verified key."""


class Session:
    """Opens the resources that a command needs, and no others. Use it as a context manager.

    ``access`` says who must be authenticated. Without that user, nothing here gives access to the
    store. ``ask_password`` asks at a hidden prompt, and raises UnauthenticatedError if it cannot.
    ``note`` and ``warn`` show a message; ``progress`` shows the progress of long work. ``command``
    and ``reason`` go into the audit trail. ``accept_secret_key`` asks whether to give up the values
    that were encrypted with a lost secret key; without it, a secret key that decrypts nothing is
    refused. ``cache_kib`` limits the memory for the database; SQLite's default is 2000.
    ``verify_password`` replaces the method of that name.
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
                self.store  # noqa: B018 - authenticate before anything is done
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
            with suppress(LangkeysError):  # report the original error instead
                if error is None:
                    if (lost := self._find_lost_secret_key()) is not None:
                        self.warn(lost_key_warning(lost))
                else:
                    self.recorder.record_refusal(error)
        if "_opened_store" in self.__dict__:
            self._opened_store.close()

    @cached_property
    def store(self) -> Store:
        """The configured database; raises an error if the acting user may not use it.

        Commands have no other access to the store, so none can forget to authenticate.
        """
        store = self._opened_store
        if self._access in (Access.WRITE, Access.READ):
            self.acting  # noqa: B018 - requires an active superuser
        elif self._access is Access.USER:
            self.known_user  # noqa: B018 - requires an authenticated user
        if (journal := self._find_rotation_journal()) is not None:
            self._handle_unfinished(journal)
        return store

    @cached_property
    def _opened_store(self) -> Store:
        """The configured database, without authentication; for authentication itself."""
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
            self.warn(conflict_warning(names, self.settings.env_file))
        store = self._open_engine()
        store.listen(note=self.note, warn=self.warn)
        self._location = store.location
        # Opening may have waited for a rotation that replaced the secret key.
        self.settings.reload_if_changed()
        if self._access is Access.WRITE:
            store.commit_context = self.recorder.commit_context
            store.before_encrypted = self._require_secret_key
        if store.generation.note:
            self.note(f"{store.location}: {store.generation.note}")
        return store

    @cached_property
    def recorder(self) -> "Recorder":
        """Writes this invocation's lines in the audit trail."""
        from langkeys.audit.log import AuditLog, Recorder, actor_of

        return Recorder(
            AuditLog(self.settings, self.warn),
            command=self._command,
            reason=self._reason,
            acting=lambda: actor_of(self.__dict__.get("known_user")),
            database=lambda: self._location,
            sha256_of=lambda key: find_hash(key, lambda: self.reading_cipher),
        )

    def close_store(self) -> None:
        """Close the store and forget everything that was read through it."""
        if "_opened_store" in self.__dict__:
            self._opened_store.close()
            for name in _THROUGH_STORE:
                self.__dict__.pop(name, None)

    def was_revoked(self, api_key: str) -> bool:
        """Tell whether the audit trail records the revocation of a whole API key."""
        from langkeys.audit.reading import was_revoked

        return was_revoked(self.settings, api_key_hash(api_key), self.warn)

    def _open_engine(self) -> Store:
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

    def _handle_unfinished(self, journal: Path) -> None:
        """Recover an interrupted rotation before a write; only warn of it before a read."""
        if self._access is Access.WRITE:
            self.recover_rotation()
            return
        from langkeys.sessions.rotation import warn_of_unfinished

        if self._access is not Access.COUNT:
            warn_of_unfinished(journal, self.warn)

    def _find_rotation_journal(self) -> Path | None:
        """Return the journal of a rotation of this database, by whatever URL it was started."""
        journal = rotation_files.find_rotation_journal(self.settings)
        others = [] if journal else rotation_files.other_rotation_journals(self.settings)
        if others:
            from langkeys.secret_key.journal import find_journal

            journal = find_journal(others, self._opened_store)
        return journal

    def recover_rotation(self) -> None:
        """Complete or undo an interrupted rotation; see ``langkeys.secret_key.recovery``."""
        from langkeys.sessions.rotation import recover_unfinished

        journal = self._find_rotation_journal()
        if journal is not None and recover_unfinished(
            journal, self.settings, self._open_engine, self.warn
        ):
            for name in ("cipher", "reading_cipher", "verifier"):
                self.__dict__.pop(name, None)
            with suppress(LangkeysError):  # the rotation itself is already recorded
                self.recorder.record_recovery()

    @property
    def generation(self) -> Generation:
        """The Langflow generation of the database."""
        return self._opened_store.generation

    @cached_property
    def cipher(self) -> "Cipher":
        """The cipher with the current secret key; SecretKeyError if there is no usable key."""
        from langkeys.sessions.ciphers import open_cipher

        return open_cipher(locations.get_secret_key(self.settings), self._opened_store)

    @cached_property
    def reading_cipher(self) -> "Cipher":
        """The cipher for displaying values; without a usable secret key, it decrypts nothing.

        If the secret key is lost, it must still be possible to list keys, and to revoke a leaked
        one.
        """
        try:
            return self.cipher
        except SecretKeyError as error:
            from langkeys.crypto.cipher import UnavailableCipher

            return UnavailableCipher(error)

    @cached_property
    def acting(self) -> Acting:
        """The active superuser that this command acts as; raises if there is none."""
        acting = self.known_user
        require_superuser(acting, self._opened_store.location)
        return acting

    @cached_property
    def known_user(self) -> Acting:
        """The user that this command acts as, superuser or not; raises if there is none."""
        return authenticate(
            self.settings,
            self._opened_store,
            cipher=self._cipher_for_authentication,
            verify_password=self._verify_password,
            ask_password=self._ask_password,
            warn=self.warn,
        )

    def _cipher_for_authentication(self) -> "Cipher":
        """Return the cipher for authentication by an API key that must be decrypted to be found.

        If a rotation was interrupted after its commit, only the staged key decrypts the API key.
        Nothing is recovered before the user is authenticated.
        """
        journal = self._find_rotation_journal()
        if journal is None:
            return self.cipher
        from langkeys.sessions.rotation import with_staged_key

        return with_staged_key(self.cipher, journal)

    def owner(self, user: str | None) -> User:
        """Return the user that ``--user`` names by id or name, or else the acting user."""
        return self.acting.user if user is None else get_user(self.store, user, warn=self.warn)

    @staticmethod
    def verify_password(password: str, password_hash: str | None) -> bool:
        """Check a password against a stored hash; see ``langkeys.crypto.passwords.matches``."""
        from langkeys.crypto.passwords import matches

        return matches(password, password_hash)

    @staticmethod
    def hash_password(password: str) -> str:
        """Hash a new password with Langflow's cost factor."""
        from langkeys.crypto.passwords import hash_password

        return hash_password(password)

    @cached_property
    def verifier(self) -> Verifier:
        """Verifies API keys as a server with this database would."""
        return Verifier(self.store, lambda: self.cipher, **Judge.by(self.settings)._asdict())

    @cached_property
    def endings(self) -> "Endings":
        """Ends API keys with all of their rows."""
        from langkeys.api_keys.ending import Endings

        finder = KeyFinder(self.store, lambda: self.reading_cipher, self.progress)
        return Endings(self.store, finder, Judge.by(self.settings))

    def examine(self) -> "Report":
        """Check the whole deployment, for ``doctor``."""
        from langkeys.diagnostics.report import Sources, examine

        def store() -> Store:
            # Do not check the settings here, because another check reports them.
            self._opened_store = self._open_engine()
            return self._opened_store

        return examine(
            self.settings,
            Sources(
                store=store,
                cipher=lambda: self.cipher,
                acting=lambda: self.known_user,
                has_secret_key=lambda: locations.find_secret_key(self.settings) is not None,
                fingerprint=fingerprint,
            ),
        )

    def check_secret_key(self, *, encrypts: bool = True) -> None:
        """Try the secret key on stored values before it encrypts new ones.

        Raises SecretKeyError if it decrypts none of them, unless ``accept_secret_key`` accepts
        that. ``encrypts`` is false if this generation stores the value in plaintext. The store
        repeats this check while it holds its lock, so that no command can forget it.
        """
        lost = self._find_lost_secret_key() if encrypts else None
        if lost is None:
            return
        if self._accept_secret_key is None or self.reading_cipher.error is not None:
            raise lost
        secret_key = locations.get_secret_key(self.settings)
        self._accept_secret_key(
            given_up_warning(self.store, self.cipher, secret_key, fingerprint(secret_key.text))
        )
        self._has_accepted = True

    def leave_new_secret_key(self) -> None:
        """Do not warn that the current secret key decrypts nothing: a rotation has just set it."""
        self._has_accepted = True

    def _require_secret_key(self) -> None:
        lost = self._find_lost_secret_key()
        if lost is not None:
            raise lost

    def _find_lost_secret_key(self) -> SecretKeyError | None:
        if self._has_accepted:
            return None
        return find_lost_key_error(self._opened_store, self.reading_cipher)
