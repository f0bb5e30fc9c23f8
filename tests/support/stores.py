"""Open stores of test databases, and create ciphers for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from langkeys.crypto.cipher import Cipher
from langkeys.store.protocol import Store

from .databases import Database
from .samples import SECRET_KEY


@contextmanager
def opened(
    database: Database, *, writable: bool = False, busy_timeout: float = 10.0
) -> Iterator[Store]:
    store = database.opened(writable=writable, patience=busy_timeout)
    try:
        yield store
    finally:
        store.close()


def cipher() -> Cipher:
    return Cipher(SECRET_KEY, source="test")


def no_cipher() -> Cipher:
    raise AssertionError("the secret key is requested, but nothing has to be decrypted")
