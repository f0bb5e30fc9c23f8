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

    generation: str
    """The release by whose name langkeys knows its generation."""
    at_rest: Literal["plaintext", "fernet"]
    """How a new key is stored in its row."""
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
    overwrites_variables: bool
    """Whether a start overwrites a variable from the environment whatever is done."""
    tweak_is_a_value: bool
    """Whether the text of a tweak is a value, or the name of another variable."""
    falls_back: bool
    """Whether a variable that is not stored is taken from the server's environment."""
    undecryptable_falls_back: bool
    """Whether one is, too, that is stored and cannot be decrypted."""
    guards_environment: bool
    """Whether its own settings are never taken from there."""
    names_ignore_case: bool = False
    """Whether a user is refused whose name differs from another's in case alone."""
    delete_only: bool = False
    """Whether langkeys reads and ends keys there and writes nothing else: other tests hold that."""


_1_5 = Expected(
    generation="1.5",
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
    overwrites_variables=True,
    tweak_is_a_value=False,
    falls_back=False,
    undecryptable_falls_back=False,
    guards_environment=False,
)
_1_6 = replace(_1_5, generation="1.6", whoami_without_key=403, run_without_key=403, falls_back=True)
_1_7 = replace(_1_6, generation="1.7", falls_back=False)
_1_8 = replace(
    _1_7,
    generation="1.8",
    at_rest="fernet",
    inactive_owner_at_whoami=403,
    overwrites_variables=False,
    tweak_is_a_value=True,
    falls_back=True,
)
_1_9 = replace(_1_8, generation="1.9", has_hash=True, open_webhooks=False)
_1_10_0 = replace(_1_9, generation="1.10.0", has_expiry=True, honours_inactive_key=True)
_1_10_3 = replace(_1_10_0, generation="1.10.2", named_auto_login=True, guards_environment=True)
_1_11 = replace(
    _1_10_3,
    generation="1.11",
    inactive_owner_at_run=403,
    open_mcp=False,
    undecryptable_falls_back=True,
)
_1_12_0 = replace(_1_11, generation="1.12.0")
_1_12_1 = replace(_1_11, generation="1.12.1")
_1_13 = replace(_1_11, generation="1.13", deletes_default_superuser=False, names_ignore_case=True)

EXPECTED = {
    "0.4.3": replace(_1_5, generation="1.4", delete_only=True),
    "0.5.1": _1_5,
    "0.6.9": _1_6,
    "0.7.3": _1_7,
    "0.8.4": _1_8,
    "0.9.6": _1_9,
    "0.10.0": _1_10_0,
    "0.10.3": _1_10_3,
    "0.11.6": _1_11,
    "1.12.0": _1_12_0,
    "1.12.8": _1_12_1,
    "1.13.0": _1_13,
}
"""By the number of langflow-base."""
