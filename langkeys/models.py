"""The data of langkeys: frozen values, with ids as 32 hex digits and times as aware UTC.

No ``repr`` shows a secret, encrypted or not. Values that every small command loads are NamedTuples:
creating frozen dataclasses instead took a tenth of such a command's time.
"""

import os
import re
from datetime import datetime
from typing import Any, NamedTuple

FERNET_PREFIX = "gAAAAA"
"""The start of every Fernet token; Langflow treats stored values without it as plaintext."""


def shown_without(record: Any, *hidden: str) -> str:
    """Return the ``repr`` of a NamedTuple without its secret fields."""
    fields = (
        f"{name}={value!r}"
        for name, value in zip(record._fields, record, strict=True)
        if name not in hidden
    )
    return f"{type(record).__name__}({', '.join(fields)})"


class User(NamedTuple):
    """A row of Langflow's ``user`` table."""

    id: str
    username: str
    password_hash: str
    is_active: bool
    is_superuser: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None = None
    profile_image: str | None = None
    optins: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return shown_without(self, "password_hash")


class UserSummary(NamedTuple):
    """A user, and the number of their API keys and variables; None if REST does not report it."""

    user: User
    api_keys: int | None
    variables: int | None


class ApiKey(NamedTuple):
    """A row of Langflow's ``apikey`` table, with its owner's name if the owner exists."""

    id: str
    name: str | None
    user_id: str
    stored: str
    """The ``api_key`` column as stored: a Fernet token or plaintext; empty if unknown."""
    hash: str | None
    created_at: datetime
    last_used_at: datetime | None
    total_uses: int
    is_active: bool
    expires_at: datetime | None
    username: str | None = None

    def __repr__(self) -> str:
        return shown_without(self, "stored", "hash")

    @property
    def at_rest(self) -> str | None:
        """How the key is stored: ``fernet`` or ``plaintext``; None if unknown, as over REST."""
        if not self.stored:
            return None
        return "fernet" if self.stored.startswith(FERNET_PREFIX) else "plaintext"

    def status(self, now: datetime) -> str:
        """Return ``inactive``, ``expired`` or ``active`` at ``now``: the first that applies."""
        if not self.is_active:
            return "inactive"
        if self.expires_at is not None and self.expires_at < now:
            return "expired"
        return "active"


CREDENTIAL, GENERIC = "Credential", "Generic"
"""The types of a variable. Langflow shows the value of a Generic variable."""


class Variable(NamedTuple):
    """A row of Langflow's ``variable`` table, with its owner's name if the owner exists.

    Times may be missing: a server writes ``updated_at`` only at the first change, and older servers
    did not always write ``created_at``. ``is_environment_managed`` is also None if the column does
    not exist.
    """

    id: str
    name: str
    user_id: str
    stored: str
    """The ``value`` column as stored: a Fernet token or plaintext."""
    type: str | None
    default_fields: tuple[str, ...] | None
    created_at: datetime | None
    updated_at: datetime | None
    is_environment_managed: bool | None = None
    username: str | None = None

    def __repr__(self) -> str:
        return shown_without(self, "stored")

    @property
    def is_encrypted(self) -> bool:
        """Whether the value is stored as a Fernet token."""
        return self.stored.startswith(FERNET_PREFIX)


class EncryptedValue(NamedTuple):
    """A value that the secret key should decrypt, and where it is stored."""

    table: str
    column: str
    row: str
    name: str | None
    value: str

    def __repr__(self) -> str:
        return shown_without(self, "value")


def new_id() -> str:
    """Return an id for a new row: a random UUID (version 4) as 32 hex digits.

    It is equivalent to ``uuid.uuid4().hex``, but takes a quarter of the time and saves the 3 ms for
    importing ``uuid``.
    """
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:12]}4{digits[13:16]}{variant}{digits[17:]}"


_HEX_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def dashed(hex_id: str) -> str:
    """Return an id in the form of Langflow's REST interface: ``8-4-4-4-12``."""
    if len(hex_id) != 32:
        return hex_id
    return f"{hex_id[:8]}-{hex_id[8:12]}-{hex_id[12:16]}-{hex_id[16:20]}-{hex_id[20:]}"


def parsed_id(text: str) -> str | None:
    """Return ``text`` as 32 hex digits if it is a complete id, dashed or not, in any case."""
    lowered = text.lower()
    return lowered.replace("-", "") if _HEX_ID.fullmatch(lowered) else None


def masked(api_key: str) -> str:
    """Mask an API key as Langflow's REST interface does: 8 characters, then ``*`` for the rest.

    Of a key shorter than 32 characters, which Langflow never creates, at most a quarter is shown.
    """
    visible = min(8, len(api_key) // 4)
    return api_key[:visible] + "*" * (len(api_key) - visible)
