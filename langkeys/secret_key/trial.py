"""Try the secret key on what is stored, before anything is encrypted with it.

Nothing that is encrypted is written where it is not, unless somebody has said that the old secret
key is gone for good. What only ends, deletes or changes plain columns needs no secret key.
"""

from typing import TYPE_CHECKING

from langkeys.config.locations import SecretKey
from langkeys.errors import SecretKeyError
from langkeys.store.protocol import Store

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

_UNWRITTEN = "; nothing was written"


def find_lost(store: Store, cipher: "Cipher") -> SecretKeyError | None:
    """Return what is to be said where nothing that is tried can be decrypted, else None.

    None, too, where nothing is encrypted: then any secret key will do.
    """
    tried = set()
    for value in store.sample_of_encrypted_values():
        tried.add((value.table, value.row, value.value))
        if cipher.opens(value.value):
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


def warning_of(lost: SecretKeyError) -> str:
    """Say after something has been done that could be done without the secret key."""
    return (
        f"{lost.message.removesuffix(_UNWRITTEN)}. Only what needs no secret key can be done;"
        " see langkeys doctor for what to do"
    )


def given_up(store: Store, cipher: "Cipher", secret_key: SecretKey, fingerprint: str) -> str:
    """Say what is given up where this secret key counts from now on, as a sentence's beginning."""
    closed = sum(not cipher.opens(value.value) for value in store.encrypted_values())
    return (
        f"the secret key from {secret_key.source} (fingerprint {fingerprint}) is used from now on,"
        f" and {closed} encrypted value{'' if closed == 1 else 's'} of {store.location} that it"
        f" cannot decrypt {'is' if closed == 1 else 'are'} given up"
    )
