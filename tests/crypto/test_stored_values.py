"""Values that a column holds as plaintext or as a token."""

from __future__ import annotations

import pytest

from langkeys.crypto.cipher import Cipher
from langkeys.crypto.stored_values import find_stored_value

from ..support.samples import OTHER_SECRET_KEY, SECRET_KEY, encrypted


def own() -> Cipher:
    return Cipher(SECRET_KEY, source="test")


def no_cipher() -> Cipher:
    raise AssertionError("plaintext needs no secret key")


@pytest.mark.parametrize("value", ["", "plain", "sk-x", "gAAAA", "x gAAAAA"])
def test_plaintext_is_read_without_a_secret_key(value: str) -> None:
    assert find_stored_value(value, no_cipher) == value


@pytest.mark.parametrize("value", ["", "plain", "gAAAAAx"])
def test_a_token_is_decrypted(value: str) -> None:
    assert find_stored_value(encrypted(value), own) == value


def test_what_cannot_be_decrypted_has_no_value() -> None:
    assert find_stored_value("gAAAAA", own) is None
    assert find_stored_value(encrypted("x", OTHER_SECRET_KEY), own) is None
