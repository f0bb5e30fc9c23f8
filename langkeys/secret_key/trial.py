"""Try the secret key on stored values before encrypting anything with it.

If it decrypts none of them, no encrypted value is written, unless the user accepts that the old
secret key is lost. Revoking, deleting and changing unencrypted columns need no secret key.
"""

from typing import TYPE_CHECKING

from langkeys.config.locations import SecretKey
from langkeys.errors import SecretKeyError
from langkeys.store.protocol import Store
from langkeys.text import agreeing, counted

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

_UNWRITTEN = "; nothing was written"


def find_lost_key_error(store: Store, cipher: "Cipher") -> SecretKeyError | None:
    """Return an error if the secret key decrypts no value in a sample of stored values.

    Returns None if it decrypts one, or if nothing is encrypted: then any secret key is acceptable.
    """
    tried = set()
    for value in store.sample_of_encrypted_values():
        tried.add((value.table, value.row, value.value))
        if cipher.can_decrypt(value.value):
            return None
    if not tried:
        return None
    if cipher.error is not None:
        first = f"{cipher.error.hint}; " if cipher.error.hint else ""
        return SecretKeyError(
            f"{cipher.error.message}{_UNWRITTEN}",
            hint=f"{first}if the old secret key is lost, set a new one (langkeys"
            " secret-key generate) and use --accept-secret-key",
        )
    many = f"the {len(tried)} encrypted values" if len(tried) > 1 else "the encrypted value"
    return SecretKeyError(
        f"the secret key from {cipher.source} cannot decrypt {many} tried in"
        f" {store.location}{_UNWRITTEN}",
        hint="use the secret key of the server that wrote them: LANGFLOW_SECRET_KEY,"
        " or the file secret_key in its config folder; if that key is lost, use"
        " --accept-secret-key to continue with this one",
    )


def lost_key_warning(lost: SecretKeyError) -> str:
    """Return a warning for a command that has finished and did not need the secret key."""
    return (
        f"{lost.message.removesuffix(_UNWRITTEN)}. Only what needs no secret key can be done;"
        " see langkeys doctor for what to do"
    )


def given_up_warning(
    store: Store, cipher: "Cipher", secret_key: SecretKey, fingerprint: str
) -> str:
    """Say which values would be lost by accepting this secret key, as the start of a question."""
    lost = sum(not cipher.can_decrypt(value.value) for value in store.encrypted_values())
    return (
        f"the secret key from {secret_key.source} (fingerprint {fingerprint}) is used from now on,"
        f" and {counted(lost, 'encrypted value')} in {store.location} that it cannot decrypt"
        f" {agreeing('are', lost)} given up"
    )
