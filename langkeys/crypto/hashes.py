"""Hashes of API keys, fingerprints of secrets, and new random secrets.

Fast to import: random bytes come from ``os.urandom``, because importing ``secrets`` would also
import ``random`` and ``hmac`` in every command.
"""

import hashlib
import os
from base64 import urlsafe_b64encode


def api_key_hash(api_key: str) -> str:
    """Hash an API key as Langflow does from 1.9 on: SHA-256 of the whole key, lower-case hex."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def fingerprint(secret: str) -> str:
    """Return 12 hex digits that distinguish secrets without revealing them.

    The hash is slow (PBKDF2, about 50 ms), because a fast hash of a password could be reversed by
    guessing.
    """
    return hashlib.pbkdf2_hmac("sha256", secret.encode(), b"langkeys fingerprint", 200_000).hex()[
        :12
    ]


def new_secret_key() -> str:
    """Return a new secret key, made as servers do: 32 random bytes in URL-safe base64."""
    return url_safe_token(32)


def new_api_key() -> str:
    """Return a new API key, made as servers do: ``sk-`` and 32 random bytes in URL-safe base64."""
    return f"sk-{url_safe_token(32)}"


def url_safe_token(size: int) -> str:
    """Return ``size`` random bytes in URL-safe base64, without padding."""
    return urlsafe_b64encode(os.urandom(size)).rstrip(b"=").decode()
