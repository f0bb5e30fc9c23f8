"""Hashes of API keys, fingerprints of secrets, and new secret keys. Fast to import."""

import hashlib
import secrets


def api_key_hash(api_key: str) -> str:
    """Hash an API key as Langflow does from 1.9 on: SHA-256 of the whole key, lower-case hex."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def fingerprint(secret: str) -> str:
    """Return 12 hex digits that distinguish secrets without revealing them.

    Stretched (PBKDF2, about 50 ms), because a fast hash of a password could be reversed by
    guessing.
    """
    return hashlib.pbkdf2_hmac("sha256", secret.encode(), b"langkeys fingerprint", 200_000).hex()[
        :12
    ]


def new_secret_key() -> str:
    """Return a new secret key as servers make them: 32 random bytes in url-safe base64."""
    return secrets.token_urlsafe(32)
