"""What each Langflow generation stores, accepts and does, as it was seen on live servers.

Written down apart from langkeys' own table of generations, so that the tests hold the one against
the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Expected:
    """What the tests expect of one server and of langkeys beside it."""

    at_rest: Literal["plaintext", "fernet"]
    """How a new key stands in its row."""
    has_hash: bool
    """Whether `apikey.api_key_hash` is there."""
    has_expiry: bool
    """Whether `apikey.expires_at` is there. Where it is, the server honours it."""
    honours_inactive_key: bool
    inactive_owner_at_whoami: int
    """The status that the key of an inactive user gets from `GET /api/v1/users/whoami`."""
    inactive_owner_at_run: int
    """The status that it gets from `POST /api/v1/run/FLOW`, for a flow of that user."""
    named_auto_login: bool
    """Whether AUTO_LOGIN logs in the user that LANGFLOW_SUPERUSER names, or always `langflow`."""
    whoami_without_key: int
    """The status of a `whoami` without any key, AUTO_LOGIN true and nothing else set."""
    run_without_key: int
    """The same for `POST /api/v1/run/FLOW`."""
    open_mcp: bool
    """Whether AUTO_LOGIN alone opens `GET /api/v1/mcp/sse` to callers without a key."""
    open_webhooks: bool
    """Whether `POST /api/v1/webhook/FLOW` asks for no key, AUTO_LOGIN or not."""
    deletes_default_superuser: bool
    """Whether a clean stop deletes `langflow`, keys and all, where AUTO_LOGIN is false."""


_1_5 = Expected(
    at_rest="plaintext",
    has_hash=False,
    has_expiry=False,
    honours_inactive_key=False,
    inactive_owner_at_whoami=401,
    inactive_owner_at_run=200,
    named_auto_login=False,
    whoami_without_key=200,
    run_without_key=200,
    open_mcp=True,
    open_webhooks=True,
    deletes_default_superuser=True,
)
_1_6 = replace(_1_5, whoami_without_key=403, run_without_key=403)
_1_8 = replace(_1_6, at_rest="fernet", inactive_owner_at_whoami=403)
_1_11 = replace(
    _1_8,
    has_hash=True,
    has_expiry=True,
    honours_inactive_key=True,
    inactive_owner_at_run=403,
    named_auto_login=True,
    open_mcp=False,
    open_webhooks=False,
)
_1_13 = replace(_1_11, deletes_default_superuser=False)

EXPECTED = {
    "0.5.1": _1_5,
    "0.6.9": _1_6,
    "0.8.4": _1_8,
    "0.11.6": _1_11,
    "1.13.0": _1_13,
}
"""By the number of langflow-base."""
