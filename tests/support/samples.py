"""Made-up secrets and keys, and the assertion that a text contains none of them."""

from __future__ import annotations

import functools
import hashlib
import re
import secrets

from cryptography.fernet import Fernet

from langkeys.crypto import passwords

SECRET_KEY = "uB1cJc8XnVdwYw0Yl0mDqT6h3zO2rKsP9eHfGaWvLxE"
OTHER_SECRET_KEY = "kQ7nZx2LrT5vYb8mWc1PdF4sHj6gAe9uIoR3KtXwNyM"
PASSWORD = "correct horse battery staple"
WRONG_PASSWORD = "incorrect-horse-battery-staple"
CREDENTIAL = "credential-value-that-nobody-may-see"
SECRETS = (SECRET_KEY, OTHER_SECRET_KEY, PASSWORD, WRONG_PASSWORD, CREDENTIAL)

KEY_FIELDS = [
    "id", "name", "api_key", "user_id", "created_at", "last_used_at", "total_uses", "is_active",
    "expires_at", "username", "status", "at_rest",
]  # fmt: skip
"""The fields of an API key in JSON, in their order: Langflow's, then langkeys' own."""

USER_FIELDS = [
    "id", "username", "profile_image", "store_api_key", "is_active", "is_superuser", "create_at",
    "updated_at", "last_login_at",
]  # fmt: skip
"""The fields of ``whoami`` in JSON, in Langflow's order."""

_WHOLE_KEY = re.compile(r"sk-[A-Za-z0-9_-]{32,}")
_FERNET_TOKEN = re.compile(r"gAAAAA[A-Za-z0-9_-]{20,}")
_BCRYPT_HASH = re.compile(r"\$2[aby]\$")


def new_api_key() -> str:
    return f"sk-{secrets.token_urlsafe(32)}"


def hash_of(api_key: str) -> str:
    return hashlib.sha256(api_key.encode()).hexdigest()


def encrypted(plaintext: str, secret_key: str = SECRET_KEY) -> str:
    """Encrypt without langkeys, as Langflow does with a secret key of 43 characters."""
    return Fernet(secret_key + "=").encrypt(plaintext.encode()).decode()


def decrypted(token: str, secret_key: str = SECRET_KEY) -> str:
    return Fernet(secret_key + "=").decrypt(token.encode()).decode()


@functools.cache
def password_hash(password: str = PASSWORD) -> str:
    """Hash at bcrypt's lowest cost, so that tests are fast."""
    return passwords.hash_password(password, rounds=4)


def assert_no_secret(text: str, *more: str) -> None:
    """Assert that a text contains no sample secret, API key, token or password hash."""
    for secret in (*SECRETS, *more):
        assert secret not in text, "the text contains a sample secret"
    assert not _WHOLE_KEY.search(text), "the text contains a whole API key"
    assert not _FERNET_TOKEN.search(text), "the text contains a Fernet token"
    assert not _BCRYPT_HASH.search(text), "the text contains a password hash"
