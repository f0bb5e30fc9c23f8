"""bcrypt, as Langflow uses it. The only module that imports bcrypt."""

import re

import bcrypt

from langkeys.crypto.password_rules import COUNTED_BYTES

ROUNDS = 12
"""Langflow's cost factor: a check takes about a quarter of a second."""

# A dummy hash of this cost, checked if there is no such user, so that a refusal takes the same time
# whether the user exists or not.
_NOBODY = b"$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZBZ5q1Xr5c5q7mQbG0p8d1v0b7h1vW"


# A cost above 16 would take minutes or hours; no server stores such a hash.
_HASH = re.compile(r"\$2[abxy]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")


def _cut(password: str) -> bytes:
    """Cut at 72 bytes of UTF-8, as Langflow does; bcrypt 5 refuses longer passwords."""
    return password.encode("utf-8", "surrogatepass")[:COUNTED_BYTES]


def hash_password(password: str, *, rounds: int = ROUNDS) -> str:
    """Hash a password with a fresh salt."""
    return bcrypt.hashpw(_cut(password), bcrypt.gensalt(rounds)).decode()


def matches(password: str, password_hash: str | None) -> bool:
    """Check a password against a stored hash, or against a dummy hash for None.

    A stored hash that is not a bcrypt hash, or has a cost above 16, matches no password. The check
    then takes as long as that of the dummy hash.
    """
    if password_hash is not None and _HASH.fullmatch(password_hash):
        try:
            return bcrypt.checkpw(_cut(password), password_hash.encode())
        except ValueError:
            pass  # not a bcrypt hash: do the same work as for the dummy hash
    bcrypt.checkpw(_cut(password), _NOBODY)
    return False
