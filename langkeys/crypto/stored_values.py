"""Read a column whose values are either encrypted or plaintext."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from langkeys.models import FERNET_PREFIX

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher


def find_stored_value(stored: str, cipher: Callable[[], "Cipher"]) -> str | None:
    """Return a column's value, decrypted if it is a Fernet token; None if that fails.

    ``cipher`` is called only for a token, so that plaintext can be read without a secret key.
    """
    return cipher().find_plaintext(stored) if stored.startswith(FERNET_PREFIX) else stored
