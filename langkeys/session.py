"""One invocation's settings, store, cipher and acting user, each opened on first use.

The one place that knows which implementations exist; what is slow to import is imported here, when
it is needed.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langkeys import places
from langkeys.authentication import Acting, authenticated, require_superuser
from langkeys.diagnostics import Means, Report, examined
from langkeys.errors import SecretKeyError
from langkeys.initialization import Plan, carry_out
from langkeys.settings import UNPREFIXED, Settings
from langkeys.store.base import Store
from langkeys.store.generations import Generation
from langkeys.verification import Verified, verify_as_server

if TYPE_CHECKING:
    from langkeys.crypto import Cipher


class Session:
    """Opens what a command needs and no more.

    ``writes`` opens the store for writing. ``ask_password`` asks for a password by a hidden prompt
    and raises UnauthenticatedError where nobody can be asked; ``note`` and ``warn`` take a sentence
    for the person at the terminal. Use as a context manager.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        writes: bool = False,
        ask_password: Callable[[str], str],
        note: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.note = note
        self.warn = warn
        self._ask_password = ask_password
        self._writes = writes

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        if "store" in self.__dict__:
            self.store.close()

    @cached_property
    def store(self) -> Store:
        """The database in force."""
        self.settings.check()
        for name in self.settings.unprefixed_names:
            self.warn(f"{self.settings.env_file} sets {name}; {UNPREFIXED}")
        store = self._opened()
        if store.generation.note:
            self.note(f"{store.location}: {store.generation.note}")
        return store

    def _opened(self) -> Store:
        from langkeys.store.sqlite import SqliteStore

        return SqliteStore(places.database(self.settings).path, writable=self._writes)

    @property
    def generation(self) -> Generation:
        """Which Langflow wrote the database."""
        return self.store.generation

    @cached_property
    def cipher(self) -> "Cipher":
        """The cipher under the secret key in force; SecretKeyError where there is none."""
        from langkeys.crypto import Cipher

        secret_key = places.find_secret_key(self.settings)
        if secret_key is None:
            raise SecretKeyError(
                "there is no secret key: LANGFLOW_SECRET_KEY is not set and"
                f" {places.secret_key_file(self.settings)} does not exist",
                hint="set LANGFLOW_SECRET_KEY, or LANGFLOW_CONFIG_DIR to the server's folder",
            )
        return Cipher(
            secret_key.text,
            source=secret_key.source,
            short_keys_by_prng=self._uses_prng(secret_key.text),
            pads_always=self.generation.pads_always,
        )

    def _uses_prng(self, secret_key: str) -> bool:
        told = self.generation.short_keys_by_prng
        if told is None:
            # Two releases of one revision: the newest value says which of them wrote it.
            from langkeys.crypto import opens_by_prng

            values = (value.value for value in self.store.sample_of_encrypted_values())
            told = opens_by_prng(secret_key, values)
        return told

    @cached_property
    def acting(self) -> Acting:
        """The active superuser that this command acts as; raises where there is none."""
        acting = self.known_user
        require_superuser(acting, self.store.location)
        return acting

    @cached_property
    def known_user(self) -> Acting:
        """The user that this command acts as, superuser or not; raises where there is none."""
        return authenticated(
            self.settings,
            self.store,
            cipher=lambda: self.cipher,
            verify_password=self._verify_password,
            ask_password=self._ask_password,
        )

    @staticmethod
    def _verify_password(password: str, password_hash: str | None) -> bool:
        from langkeys import passwords

        return passwords.matches(password, password_hash)

    def verified_as_server(self, api_key: str) -> Verified:
        """Return whose API key this is, as the server beside the database would say it."""
        from_environment = self.settings.text("LANGFLOW_API_KEY_SOURCE") == "env"
        return verify_as_server(
            self.store,
            lambda: self.cipher,
            api_key,
            environment_key=self.settings.text("LANGFLOW_API_KEY") if from_environment else None,
            superuser=self.settings.superuser,
        )

    def examined(self) -> Report:
        """Look at the whole deployment, as ``doctor`` reports it."""
        from langkeys.crypto import fingerprint

        def store() -> Store:
            # Whatever else is wrong with the settings: that is a finding of its own.
            self.store = self._opened()
            return self.store

        return examined(
            self.settings,
            Means(
                store=store,
                cipher=lambda: self.cipher,
                acting=lambda: self.known_user,
                fingerprint=fingerprint,
            ),
        )

    def check_secret_key(self) -> None:
        """Try the secret key on what is stored; raise SecretKeyError if nothing tried opens.

        To be called before every write: a wrong secret key is most often a sign that settings and
        database do not belong together.
        """
        tried = 0
        for value in self.store.sample_of_encrypted_values():
            tried += 1
            if self.cipher.opens(value.value):
                return
        if tried:
            raise SecretKeyError(
                f"the secret key from {self.cipher.source} opens none of the {tried} encrypted"
                f" values tried in {self.store.location}; nothing was written",
                hint="use the secret key of the server that wrote them: LANGFLOW_SECRET_KEY, or"
                " the file secret_key in its config folder",
            )


def check_database(path: Path) -> None:
    """Raise StoreError or UnsupportedError unless this is a Langflow database."""
    from langkeys.store.sqlite import SqliteStore

    SqliteStore(path).close()


def initialize(plan: Plan) -> None:
    """Carry out what ``init`` has planned; see ``langkeys.initialization``."""
    from langkeys.crypto import Cipher
    from langkeys.passwords import hashed
    from langkeys.store.sqlite import create_database

    carry_out(
        plan,
        cipher=lambda text, source: Cipher(text, source=source),
        hashed=hashed,
        create_database=create_database,
    )


def remote_whoami(url: str, api_key: str, *, via: str) -> dict[str, Any]:
    """Ask a live server whose API key this is; see ``langkeys.remote``."""
    from langkeys.remote import whoami

    return whoami(url, api_key, via=via)
