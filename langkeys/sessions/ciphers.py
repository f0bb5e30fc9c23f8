"""Open the cipher that a server of the database's generation uses."""

from langkeys.config.locations import SecretKey
from langkeys.crypto.cipher import Cipher, decrypts_by_prng
from langkeys.store.protocol import Store


def open_cipher(secret_key: SecretKey, store: Store) -> Cipher:
    """Return the cipher with this secret key; SecretKeyError if it is malformed."""
    uses_prng = store.generation.short_keys_by_prng
    if uses_prng is None:
        # Two releases have the same revision; stored values show which of them wrote the
        # database.
        values = (value.value for value in store.sample_of_encrypted_values())
        uses_prng = decrypts_by_prng(secret_key.text, values)
    return Cipher(
        secret_key.text,
        source=secret_key.source,
        short_keys_by_prng=uses_prng,
        pads_always=store.generation.pads_always,
    )
