"""bcrypt, as Langflow uses it. The only module that imports bcrypt."""

import bcrypt

from langkeys.password_rules import COUNTED_BYTES

ROUNDS = 12
"""Langflow's cost, about a quarter of a second a check."""

# A hash of this cost that belongs to nobody: checked where there is no user, so that a refusal
# takes the same time whether the user exists or not.
_NOBODY = b"$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZBZ5q1Xr5c5q7mQbG0p8d1v0b7h1vW"


def _cut(password: str) -> bytes:
    """Cut at 72 bytes of UTF-8 as Langflow does; bcrypt 5 refuses more."""
    return password.encode()[:COUNTED_BYTES]


def hashed(password: str, *, rounds: int = ROUNDS) -> str:
    """Hash a password with a fresh salt."""
    return bcrypt.hashpw(_cut(password), bcrypt.gensalt(rounds)).decode()


def matches(password: str, password_hash: str | None) -> bool:
    """Check a password against a stored hash, or against nobody's where that is None.

    A stored hash that is no bcrypt hash matches nothing, at the same cost.
    """
    if password_hash is not None:
        try:
            return bcrypt.checkpw(_cut(password), password_hash.encode())
        except ValueError:
            pass  # not a bcrypt hash: fall through to the same work as for nobody
    bcrypt.checkpw(_cut(password), _NOBODY)
    return False
