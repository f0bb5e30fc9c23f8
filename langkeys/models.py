"""What langkeys works with: frozen values, with ids as 32 hex digits and times as aware UTC.

Stored and plain secrets are kept out of every ``repr``. The values that every small command loads
are NamedTuples and not frozen dataclasses, which take seven times as long to make: as dataclasses
they were a tenth of such a command's whole time.
"""

import re
import secrets
from datetime import datetime
from typing import Any, NamedTuple

FERNET_PREFIX = "gAAAAA"
"""How every Fernet token starts; Langflow takes a stored value without it for plaintext."""


def shown_without(record: Any, *hidden: str) -> str:
    """Return the ``repr`` of a NamedTuple without the fields that are secrets."""
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
    """A user, and how many API keys and variables they have; None where REST does not tell."""

    user: User
    api_keys: int | None
    variables: int | None


class ApiKey(NamedTuple):
    """A row of Langflow's ``apikey`` table, with its owner's name where the owner exists."""

    id: str
    name: str | None
    user_id: str
    stored: str
    """The ``api_key`` column as it is at rest: a Fernet token, or plaintext; empty if not known."""
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
        """``fernet`` or ``plaintext``; None where it is not known, as of a key listed over REST."""
        if not self.stored:
            return None
        return "fernet" if self.stored.startswith(FERNET_PREFIX) else "plaintext"

    def status(self, now: datetime) -> str:
        """``inactive``, ``expired`` or ``active`` at the time ``now``, the first that is true."""
        if not self.is_active:
            return "inactive"
        if self.expires_at is not None and self.expires_at < now:
            return "expired"
        return "active"


CREDENTIAL, GENERIC = "Credential", "Generic"
"""The types of a variable; Langflow shows the value of a Generic one."""


class Variable(NamedTuple):
    """A row of Langflow's ``variable`` table, with its owner's name where the owner exists.

    Times may be missing: a server writes ``updated_at`` at the first change, and older ones left
    ``created_at`` to chance. ``is_environment_managed`` is None where the column is missing, too.
    """

    id: str
    name: str
    user_id: str
    stored: str
    """The ``value`` column as it is at rest: a Fernet token, or plaintext."""
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
        """Whether the value is at rest as a Fernet token."""
        return self.stored.startswith(FERNET_PREFIX)


class EncryptedValue(NamedTuple):
    """A value that should open with the secret key, and where it is stored."""

    table: str
    column: str
    row: str
    name: str | None
    value: str

    def __repr__(self) -> str:
        return shown_without(self, "value")


def new_id() -> str:
    """Make the id of a new row: a random UUID (version 4), as 32 hex digits.

    What ``uuid.uuid4().hex`` makes, in a quarter of the time and without that import's 3 ms.
    """
    digits = secrets.token_hex(16)
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:12]}4{digits[13:16]}{variant}{digits[17:]}"


_HEX_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def dashed(hex_id: str) -> str:
    """Write an id as Langflow's REST interface does: ``8-4-4-4-12``."""
    if len(hex_id) != 32:
        return hex_id
    return f"{hex_id[:8]}-{hex_id[8:12]}-{hex_id[12:16]}-{hex_id[16:20]}-{hex_id[20:]}"


def parsed_id(text: str) -> str | None:
    """Return ``text`` as 32 hex digits if it is a whole id, dashed or not, in either case."""
    lowered = text.lower()
    return lowered.replace("-", "") if _HEX_ID.fullmatch(lowered) else None


def masked(api_key: str) -> str:
    """Mask an API key as Langflow's REST interface does: 8 characters, then ``*`` for each other.

    Of a key shorter than 32 characters, which Langflow never makes, no more than a quarter shows.
    """
    visible = min(8, len(api_key) // 4)
    return api_key[:visible] + "*" * (len(api_key) - visible)
