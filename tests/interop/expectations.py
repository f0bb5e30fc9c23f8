"""What each Langflow generation stores, accepts and does, as observed on live servers.

This is independent of langkeys' own table of generations, so that tests can compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Expected:
    """What the tests expect of a server, and of langkeys on its database."""

    generation: str
    """The release that names its generation in langkeys."""
    at_rest: Literal["plaintext", "fernet"]
    """How a new key is stored in its row."""
    has_hash: bool
    """Whether the column `apikey.api_key_hash` exists."""
    has_expiry: bool
    """Whether the column `apikey.expires_at` exists; if so, the server honours it."""
    honours_inactive_key: bool
    inactive_owner_at_whoami: int
    """The status of `GET /api/v1/users/whoami` with the key of an inactive user."""
    inactive_owner_at_run: int
    """The status of `POST /api/v1/run/FLOW` with that key, for a flow of that user."""
    named_auto_login: bool
    """Whether AUTO_LOGIN logs in the user that LANGFLOW_SUPERUSER names, not always `langflow`."""
    whoami_without_key: int
    """The status of `whoami` without a key, if only AUTO_LOGIN=true is set."""
    run_without_key: int
    """The same for `POST /api/v1/run/FLOW`."""
    open_mcp: bool
    """Whether `GET /api/v1/mcp/sse` needs no key if only AUTO_LOGIN=true is set."""
    open_webhooks: bool
    """Whether `POST /api/v1/webhook/FLOW` needs no key, with and without AUTO_LOGIN."""
    deletes_default_superuser: bool
    """Whether a clean stop with AUTO_LOGIN=false deletes `langflow` and its keys."""
    overwrites_variables: bool
    """Whether a start always overwrites an imported variable from the environment."""
    tweak_is_a_value: bool
    """Whether the text of a tweak is a value, not the name of a variable."""
    falls_back: bool
    """Whether a variable that is not stored is taken from the server's environment."""
    undecryptable_falls_back: bool
    """Whether a stored variable that cannot be decrypted is taken from there, too."""
    guards_environment: bool
    """Whether the server's own settings are never taken from there."""
    names_ignore_case: bool = False
    """Whether the server refuses a user name that differs from another only in case."""
    delete_only: bool = False
    """Whether langkeys only reads and revokes keys there; other tests assert that."""


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
"""The expectations, by version of langflow-base."""
