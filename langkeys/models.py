"""What langkeys works with: frozen values, with ids as 32 hex digits and times as aware UTC.

Stored and plain secrets are kept out of every ``repr``.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FERNET_PREFIX = "gAAAAA"
"""How every Fernet token starts; Langflow takes a stored value without it for plaintext."""


@dataclass(frozen=True)
class User:
    """A row of Langflow's ``user`` table."""

    id: str
    username: str
    password_hash: str = field(repr=False)
    is_active: bool
    is_superuser: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None = None
    profile_image: str | None = None
    optins: dict[str, Any] | None = None


@dataclass(frozen=True)
class ApiKey:
    """A row of Langflow's ``apikey`` table, with its owner's name where the owner exists."""

    id: str
    name: str | None
    user_id: str
    stored: str = field(repr=False)
    """The ``api_key`` column as it is at rest: a Fernet token, or plaintext."""
    hash: str | None = field(repr=False)
    created_at: datetime
    last_used_at: datetime | None
    total_uses: int
    is_active: bool
    expires_at: datetime | None
    username: str | None = None

    @property
    def at_rest(self) -> str:
        """``fernet`` or ``plaintext``."""
        return "fernet" if self.stored.startswith(FERNET_PREFIX) else "plaintext"

    def status(self, now: datetime) -> str:
        """``inactive``, ``expired`` or ``active`` at the time ``now``, the first that is true."""
        if not self.is_active:
            return "inactive"
        if self.expires_at is not None and self.expires_at < now:
            return "expired"
        return "active"


@dataclass(frozen=True)
class EncryptedValue:
    """A value that should open with the secret key, and where it is stored."""

    table: str
    column: str
    row: str
    name: str | None
    value: str = field(repr=False)


_HEX_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def dashed(hex_id: str) -> str:
    """Write an id as Langflow's REST interface does: ``8-4-4-4-12``."""
    if len(hex_id) != 32:
        return hex_id
    return "-".join((hex_id[:8], hex_id[8:12], hex_id[12:16], hex_id[16:20], hex_id[20:]))


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
