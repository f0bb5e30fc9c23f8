"""Hashes of API keys, fingerprints of secrets, and new secret keys. Light to import."""

import hashlib
import secrets


def key_hash(api_key: str) -> str:
    """Hash an API key as Langflow does from 1.9 on: SHA-256 of the whole key, lower-case hex."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def fingerprint(secret: str) -> str:
    """Return 12 hex digits that tell two secrets apart and give neither away.

    Stretched (PBKDF2, some 50 ms), because a fast hash of a password could be guessed back.
    """
    return hashlib.pbkdf2_hmac("sha256", secret.encode(), b"langkeys fingerprint", 200_000).hex()[
        :12
    ]


def new_secret_key() -> str:
    """Make a secret key as a server does: 32 random bytes in url-safe base64, 43 characters."""
    return secrets.token_urlsafe(32)
