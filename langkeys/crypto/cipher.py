"""Fernet with Langflow's key derivations.

Only this module imports cryptography. langkeys imports this module only to encrypt or decrypt. The
key derivations are those of ``langflow.services.auth.utils``: ``ensure_fernet_key`` and its
predecessor.
"""

import base64
import hashlib
import os
from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken

from langkeys.errors import SecretKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SHORT_SECRET_LENGTH = 32
"""Shorter secret keys are stretched to a Fernet key; longer ones are used directly."""

# The envelope format of langflow.services.database.models.auth.sso_secret, version 1.
ENVELOPE_ALGORITHM = "aes-256-gcm"
ENVELOPE_HEADER = f"lf-sso:v1:hkdf-sha256-v1:{ENVELOPE_ALGORITHM}"
_ENVELOPE_SALT = b"langflow/sso/client-secret/hkdf-salt/v1"
_ENVELOPE_INFO = b"langflow/sso/client-secret/encryption"


class Cipher:
    """Encrypts and decrypts Langflow's stored values with one secret key.

    ``short_keys_by_prng`` selects the derivation for encrypting with a secret key shorter than 32
    characters. Decryption tries both derivations, because an upgraded server keeps older values.
    ``pads_always`` is for servers that add padding even to a multiple of 4 characters. Raises
    SecretKeyError if the secret key cannot be made into a Fernet key.
    """

    def __init__(
        self,
        secret_key: str,
        *,
        source: str,
        short_keys_by_prng: bool = False,
        pads_always: bool = False,
    ) -> None:
        self.source = source
        self.error: SecretKeyError | None = None
        self._secret_key = secret_key
        if len(secret_key) >= SHORT_SECRET_LENGTH:
            missing = -len(secret_key) % 4
            padding = "=" * (4 if pads_always and missing == 0 else missing)
            candidates = [(secret_key + padding).encode()]
        else:
            candidates = [_prng_key(secret_key), _sha256_key(secret_key)]
            if not short_keys_by_prng:
                candidates.reverse()
        try:
            self._fernets = [Fernet(key) for key in candidates]
        except ValueError:
            hint = "use the secret key that the server has used so far"
            if secret_key.endswith("\n"):
                hint = (
                    "remove the newline at its end: langkeys and Langflow treat it as"
                    " part of the key"
                )
            elif secret_key[0] == secret_key[-1] and secret_key[0] in "\"'":
                hint = (
                    "it has quotes around it that are part of the value: docker"
                    " --env-file and kubectl do not remove them. Write it without"
                    " quotes"
                )
            raise SecretKeyError(
                f"the secret key from {source} is not a valid Fernet key: a secret key"
                " of 32 or more characters must be 32 bytes in URL-safe base64, and"
                f" this one has {len(secret_key)} characters",
                hint=hint,
            ) from None

    def with_fallbacks(self, *others: "Cipher") -> "Cipher":
        """Return a cipher that also decrypts what the others can decrypt."""
        joined = copy(self)
        joined._fernets = [fernet for cipher in (self, *others) for fernet in cipher._fernets]
        return joined

    def encrypt(self, plaintext: str) -> str:
        """Encrypt with the derivation that a server of this generation uses."""
        return self._fernets[0].encrypt(plaintext.encode()).decode()

    def find_plaintext(self, token: str) -> str | None:
        """Decrypt a token to text; None if this secret key cannot."""
        for fernet in self._fernets:
            try:
                return fernet.decrypt(token.encode()).decode()
            except (InvalidToken, UnicodeError):
                continue
        return None

    def find_content(self, token: bytes) -> bytes | None:
        """Decrypt a token to bytes; None if this secret key cannot."""
        for fernet in self._fernets:
            try:
                return fernet.decrypt(token)
            except InvalidToken:
                continue
        return None

    def encrypt_content(self, content: bytes, *, at: int) -> bytes:
        """Encrypt bytes with the Unix time ``at``, so that a replaced token keeps its age."""
        return self._fernets[0].encrypt_at_time(content, at)

    def seal(self, plaintext: str) -> str:
        """Encrypt an SSO client secret as an envelope."""
        nonce = os.urandom(12)
        header = ENVELOPE_HEADER.encode()
        ciphertext = self._envelope_cipher().encrypt(nonce, plaintext.encode(), header)
        parts = (
            base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (nonce, ciphertext)
        )
        return ":".join((ENVELOPE_HEADER, *parts))

    def find_unsealed(self, envelope: str) -> str | None:
        """Decrypt the envelope of an SSO client secret; None if this secret key cannot."""
        header, _, sealed = envelope.rpartition(f":{ENVELOPE_ALGORITHM}:")
        parts = sealed.split(":")
        if f"{header}:{ENVELOPE_ALGORITHM}" != ENVELOPE_HEADER or len(parts) != 2:
            return None
        from cryptography.exceptions import InvalidTag

        try:
            nonce, ciphertext = (
                base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts
            )
            return (
                self._envelope_cipher()
                .decrypt(nonce, ciphertext, ENVELOPE_HEADER.encode())
                .decode()
            )
        except (InvalidTag, ValueError):
            return None

    def _envelope_cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derivation = HKDF(SHA256(), 32, _ENVELOPE_SALT, _ENVELOPE_INFO)
        return AESGCM(derivation.derive(self._secret_key.encode()))

    def can_decrypt(self, value: str) -> bool:
        """Tell whether this secret key can decrypt a Fernet token or an envelope."""
        find = self.find_unsealed if value.startswith("lf-sso:") else self.find_plaintext
        return find(value) is not None

    def is_old_form(self, token: str) -> bool:
        """Tell whether a token uses a key derivation that this generation no longer uses."""
        try:
            self._fernets[0].decrypt(token.encode())
        except (InvalidToken, UnicodeError):
            return self.find_plaintext(token) is not None
        return False


class UnavailableCipher(Cipher):
    """Replaces the cipher if the secret key is missing or malformed; it decrypts nothing.

    ``error`` says why there is no cipher; ``encrypt`` raises that error.
    """

    def __init__(self, error: SecretKeyError) -> None:
        self.source = "nowhere"
        self.error = error
        self._fernets = []

    def encrypt(self, plaintext: str) -> str:  # noqa: ARG002
        """Raise the error that explains why there is no cipher."""
        assert self.error is not None
        raise self.error

    def find_unsealed(self, envelope: str) -> str | None:  # noqa: ARG002
        """Return None."""
        return None

    def is_old_form(self, token: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False


def decrypts_by_prng(secret_key: str, tokens: Iterable[str]) -> bool:
    """Tell whether the first token that a short secret key decrypts uses the PRNG derivation."""
    if len(secret_key) < SHORT_SECRET_LENGTH:
        for token in tokens:
            for key, is_prng in ((_sha256_key(secret_key), False), (_prng_key(secret_key), True)):
                try:
                    Fernet(key).decrypt(token.encode())
                except (InvalidToken, UnicodeError):
                    continue
                return is_prng
    return False


def _prng_key(secret_key: str) -> bytes:
    import random

    generator = random.Random(secret_key)  # noqa: S311 - Langflow's old derivation
    return base64.urlsafe_b64encode(bytes(generator.getrandbits(8) for _ in range(32)))


def _sha256_key(secret_key: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(secret_key.encode()).digest())
