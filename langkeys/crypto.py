"""Fernet with Langflow's key derivations, hashes of API keys, and fingerprints.

The only module that imports cryptography, and only when something is encrypted or decrypted. The
derivations are those of ``langflow.services.auth.utils``: ``ensure_fernet_key`` and the one before.
"""

import base64
import hashlib
import random
import secrets
from collections.abc import Iterable

from cryptography.fernet import Fernet, InvalidToken

from langkeys.errors import SecretKeyError

SHORT_SECRET_LENGTH = 32
"""Secret keys with fewer characters are stretched; longer ones are the Fernet key themselves."""


class Cipher:
    """Encrypts and decrypts what Langflow stores, under one secret key.

    ``short_keys_by_prng``: which of its two derivations the server of this generation reads, for a
    secret key shorter than 32 characters. Both are tried when decrypting, as an upgraded server
    leaves older values behind. Raises SecretKeyError for a text that no Fernet key can be made of.
    """

    def __init__(self, secret_key: str, *, source: str, short_keys_by_prng: bool = False) -> None:
        self.source = source
        if len(secret_key) >= SHORT_SECRET_LENGTH:
            candidates = [(secret_key + "=" * (-len(secret_key) % 4)).encode()]
        else:
            candidates = [_prng_key(secret_key), _sha256_key(secret_key)]
            if not short_keys_by_prng:
                candidates.reverse()
        try:
            self._fernets = [Fernet(key) for key in candidates]
        except ValueError:
            newline = secret_key.endswith("\n")
            raise SecretKeyError(
                f"the secret key from {source} is no Fernet key: it has {len(secret_key)}"
                " characters, and from 32 on it must be the url-safe base64 of 32 bytes",
                hint="the newline at its end is part of it, for Langflow too: remove that"
                if newline
                else "take the one that the server has used so far, or make one with:"
                " langkeys secret-key generate",
            ) from None

    def encrypt(self, plaintext: str) -> str:
        """Encrypt with the derivation that this generation's server reads."""
        return self._fernets[0].encrypt(plaintext.encode()).decode()

    def find_plaintext(self, token: str) -> str | None:
        """Decrypt, or return None where this secret key does not open the token."""
        for fernet in self._fernets:
            try:
                return fernet.decrypt(token.encode()).decode()
            except (InvalidToken, UnicodeError):
                continue
        return None

    def opens_any(self, tokens: Iterable[str]) -> bool:
        """Tell whether at least one of the tokens opens."""
        return any(self.find_plaintext(token) is not None for token in tokens)


def _prng_key(secret_key: str) -> bytes:
    generator = random.Random(secret_key)  # noqa: S311 - Langflow's old derivation, to read it
    return base64.urlsafe_b64encode(bytes(generator.getrandbits(8) for _ in range(32)))


def _sha256_key(secret_key: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(secret_key.encode()).digest())


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
