"""A store that stays open: it verifies API keys, and opens sessions for all other operations."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

from langkeys.api_keys.verification import Verified, Verifier, require_current
from langkeys.audit import log as audit
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import FailedError, InvalidKeyError, UnauthenticatedError
from langkeys.library.api_keys import ApiKeys
from langkeys.library.variables import Variables
from langkeys.sessions.session import Access, Session
from langkeys.store.protocol import Store
from langkeys.times import now

CACHE_KIB = 32_768
"""The size of a reader's page cache: enough for the inner index pages of a million keys."""

SCHEMA_SECONDS = 1.0
"""How often to check whether the server has been upgraded."""

_logger = logging.getLogger("langkeys")


class LangflowStore:
    """An open Langflow database; ``close`` or the end of a ``with`` block closes it.

    ``verify`` needs no authentication. ``api_keys`` and ``variables`` act as the user that the
    settings name, and write to the audit trail, as the command line does. That user must be an
    active superuser (else UnauthenticatedError or ForbiddenError). Several threads may use one
    store. After a fork, the child process must open its own store.
    """

    location: str
    """The path of the database, or its URL without the password."""
    release: str
    """The Langflow release that the database belongs to, such as ``1.13``."""
    _reader: Session
    _store: Store
    _is_snapshot: bool
    _verifier: Verifier
    _schema_version: int
    _looked_at: float
    _counts: bool

    def __init__(
        self, given: Mapping[str, str], *, env_file: str | None, reason: str | None
    ) -> None:
        self._given = {name: (text, "open_store()") for name, text in given.items()}
        self._env_file = env_file
        self._reason = reason
        self._proved: tuple[str, str] | None = None
        self._process = os.getpid()
        self._opening = Lock()
        self._open: list[Session] = []
        self._counter: Store | None = None
        try:
            self._reopen()
            self._pin()
        except BaseException:
            self.close()
            raise
        self.api_keys = ApiKeys(self._acting)
        self.variables = Variables(self._acting)

    def __enter__(self) -> "LangflowStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; may be called more than once."""
        with self._opening:
            for session in self._open:
                session.close_store()
            self._open.clear()
            self._counter = None

    def verify(self, api_key: str | None, *, count_use: bool = False) -> Verified:
        """Return an API key and its user; raise InvalidKeyError with a ``reason``.

        The ``reason`` is ``unknown``, ``expired``, ``inactive``, ``owner inactive`` or
        ``duplicate``: why a server of this generation would refuse the key. If only servers of an
        old generation accept the key, the result has a ``warning``. A revoked key is refused at the
        next call. ``count_use`` records the use, as a server does, unless
        LANGFLOW_DISABLE_TRACK_APIKEY_USAGE is set; StoreError if the use cannot be written.
        """
        self._check()
        if not api_key:
            raise InvalidKeyError("no API key was given", reason="unknown")
        verified = self._verifier.verify(api_key)
        if count_use and self._counts and verified.api_key is not None:
            counter = self._counter or self._open_counter()
            if not counter.count_use(verified.api_key.id, now()):
                raise InvalidKeyError(
                    f"the API key is no longer in {self.location}", reason="unknown"
                )
        return verified

    def _check(self) -> None:
        if not self._open:
            raise FailedError(f"the store at {self.location} is closed")
        if os.getpid() != self._process:
            raise FailedError(
                f"the store at {self.location} was opened by another process",
                hint="database connections do not survive a fork: call open_store() in"
                " each worker process",
            )
        if self._store.is_replaced():
            self._reopen()
        if self._is_snapshot:
            require_current(self._store)
        moment = time.monotonic()
        if moment - self._looked_at > SCHEMA_SECONDS:
            self._looked_at = moment
            if self._store.schema_version() != self._schema_version:
                self._reopen()

    def _reopen(self) -> None:
        # A server upgrade while a gateway runs adds columns, such as the expiry of keys. A restored
        # backup is another file with the same name. Older connections stay open until ``close``,
        # because threads may be using them.
        with self._opening:
            is_replaced = bool(self._open) and self._store.is_replaced()
            reader = self._session(cache_kib=CACHE_KIB)
            self.location = reader.store.location
            if self._open and not is_replaced and reader.generation == self._reader.generation:
                # The change was another table or a VACUUM, so everything that was read is still
                # valid.
                self._schema_version = reader.store.schema_version()
                reader.close_store()
                return
            self._open.append(reader)
            if is_replaced:
                self._counter = None  # it would write to the replaced database
            self.release = reader.generation.release
            self._schema_version = reader.store.schema_version()
            self._looked_at = time.monotonic()
            self._counts = not reader.settings.flag("LANGFLOW_DISABLE_TRACK_APIKEY_USAGE")
            self._verifier = reader.verifier
            # Servers may commit at each request, so a pass over all rows at each verification would
            # be too slow.
            self._verifier.is_exact = False
            self._reader, self._store = reader, reader.store
            self._is_snapshot = reader.store.is_snapshot

    def _pin(self) -> None:
        """Keep using the files that were opened, even if the program changes its working folder."""
        settings = self._reader.settings
        # If there was no file, ignore one that appears later.
        self._env_file = os.devnull if settings.env_file is None else str(settings.env_file)
        for name, path in settings.value_files():
            value = settings.find(name)
            if value is not None and not path.is_absolute():
                self._given[name] = (value.text, value.source)
        log = settings.find(audit.SETTING)
        if log is not None:
            file = audit.log_path(settings)
            self._given[audit.SETTING] = (audit.OFF if file is None else str(file), log.source)
        database, folder = locations.database(settings), locations.config_folder(settings)
        self._given["LANGFLOW_DATABASE_URL"] = (database.target.setting, database.source)
        self._given["LANGFLOW_CONFIG_DIR"] = (str(folder.path.absolute()), folder.source)

    def _open_counter(self) -> Store:
        with self._opening:
            if self._counter is None:
                session = self._session(access=Access.COUNT)
                self._counter = session.store
                self._open.append(session)
            return self._counter

    def _session(
        self,
        command: str = "",
        *,
        access: Access = Access.NOBODY,
        cache_kib: int | None = None,
    ) -> Session:
        return Session(
            Settings(self._given, env_file=self._env_file),
            access=access,
            ask_password=_no_password,
            note=_logger.info,
            warn=_logger.warning,
            verify_password=self._verified_password,
            command=f"library {command}",
            reason=self._reason,
            cache_kib=cache_kib,
        )

    @contextmanager
    def _acting(self, command: str, *, access: Access = Access.READ) -> Iterator[Session]:
        """Open a session for one operation, as for one command, and authenticate the user."""
        with self._session(command, access=access) as session:
            yield session

    def _verified_password(self, password: str, password_hash: str | None) -> bool:
        # A check takes a quarter of a second, so its result is kept until the hash changes.
        if password_hash is not None and self._proved == (password, password_hash):
            return True
        is_right = Session.verify_password(password, password_hash)
        if is_right and password_hash is not None:
            self._proved = (password, password_hash)
        return is_right


def _no_password(username: str) -> str:
    raise UnauthenticatedError(
        f"no password for the superuser {username!r}: LANGFLOW_SUPERUSER_PASSWORD is not set",
        hint="set it, or LANGKEYS_API_KEY to an API key of a superuser, here or in the environment",
    )
