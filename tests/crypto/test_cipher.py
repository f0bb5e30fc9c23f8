"""Test vectors and properties of the cipher.

The vectors were created with the releases of langflow-base that their comments name.
"""

from __future__ import annotations

import hashlib
import re

import pytest
from cryptography.fernet import Fernet
from hypothesis import assume, given
from hypothesis import strategies as st

from langkeys.crypto.cipher import Cipher, UnavailableCipher
from langkeys.crypto.hashes import fingerprint, new_secret_key
from langkeys.errors import SecretKeyError

from ..support.samples import OTHER_SECRET_KEY, SECRET_KEY

PLAINTEXT = "sk-frozen"

# From langflow-base 0.5.1, which seeds a random generator with a short secret key.
BY_PRNG = {
    "short": "gAAAAABoTuGATh5SjtOah44a0gaWYdY4528wFvxC8BTGgtvdDfoSDXoxnbjKdfXlLajcRaB9uJC5t_x55"
    "-w2prZneiYVRSWNvA==",
    "a-secret-key-of-31-characters-x": "gAAAAABoTuGAQ2Bwd_q3oGPdsETxB7rp4MYQgh0Uh-lGwB8Zbmt6G_U"
    "6f03AnJqH8t-NrfhBwRapdqSutSdGD00YeBPHErkYvw==",
    "clé secrète 🔑": "gAAAAABoTuGA2ASrl3e9dFSACBBgSXloN-BzDVLJw2cC11NXtZKqbEEMZb-0qreYpM9rRhov"
    "aEzfpMLnDyZqRQUO6IrA5svKTg==",
}
# From langflow-base 1.13.0, which hashes a short secret key.
BY_SHA256 = {
    "short": "gAAAAABoTuGAKo1F2tJQtLzOZ5JA_-WU1lh-36f8R3iHEv7VvoqZN7h-YdRmLiIXwg1rhKREl4pVbxg1q"
    "43_dSoXC1h1jpg-ew==",
    "a-secret-key-of-31-characters-x": "gAAAAABoTuGABMy1FMiJ2aUP9Lkt5eqfYLfvbkfhf0YD7EZmAtqfoYu"
    "wYo_PNUqjlMXwGlRt_T3XhXLIzaNbbmwEbXgiS0ln3w==",
    "clé secrète 🔑": "gAAAAABoTuGAk7DvqGUh-bJSKk-tPpkz0qeiian8hCqSlEjSG6ED3cFJm_rmJi_XJ_b8VACZ"
    "LhzYX35sOERciPm1tFEoOrV5_A==",
}
# A long secret key is the Fernet key itself: from 0.5.1 and 1.13.0, without and with padding.
LONG = [
    (
        SECRET_KEY,
        "gAAAAABoTuGA8KeuEW-CsMyG_NQrxUaSFj6yZVAU5GQIGJO9oQBtA52fnEh9A9ptYv4vI56Eifp3Gx-nyqRChyGA"
        "TmVs5p03RA==",
    ),
    (
        SECRET_KEY,
        "gAAAAABoTuGAjWYIfaUMGYn_8N5lwtmpHrIowRkPvvUY0fK385yH5F0_nLsREImI67EtO5oFyg_UIGsVqe9qCSRr"
        "VsTlEEDuww==",
    ),
    (
        f"{SECRET_KEY}=",
        "gAAAAABoTuGAZ0rB-phopOuWLhTAMprHh2GpiC29SloB2vSy0lgPn0lEZQyHPlaSgLn7GOCeKFm0j45N4l2DQf5F"
        "kEmZ5uNVgQ==",
    ),
    (
        f"{SECRET_KEY}=",
        "gAAAAABoTuGAO__Jg5PVH60_Se49ozVmkFs2D3agg6nAw59Am-xby7b_Yt13sHes2QhXDXCuAwcGs488Fl_0ecvF"
        "OCIz4HeAvg==",
    ),
]


@pytest.mark.parametrize(("secret_key", "token"), [*BY_PRNG.items(), *BY_SHA256.items()])
@pytest.mark.parametrize("by_prng", [True, False])
def test_both_derivations_of_a_short_secret_key_are_read(
    secret_key: str, token: str, by_prng: bool
) -> None:
    cipher = Cipher(secret_key, source="test", short_keys_by_prng=by_prng)
    assert cipher.find_plaintext(token) == PLAINTEXT


@pytest.mark.parametrize(("secret_key", "token"), LONG)
def test_a_long_secret_key_is_the_fernet_key_itself(secret_key: str, token: str) -> None:
    assert Cipher(secret_key, source="test").find_plaintext(token) == PLAINTEXT


# The Fernet keys that langflow-base derives from the secret key "short".
PRNG_KEY_OF_SHORT = "CkA4q2XDE9IEf-jlDnLnJ0_iOuCssq4sw0969Gf_-mk="
SHA256_KEY_OF_SHORT = "-bAHi131ltLqGQEMABu9AJ5lHeLFfo-341XzHrnT9zk="


@pytest.mark.parametrize(
    ("by_prng", "fernet_key", "other_key"),
    [
        (True, PRNG_KEY_OF_SHORT, SHA256_KEY_OF_SHORT),
        (False, SHA256_KEY_OF_SHORT, PRNG_KEY_OF_SHORT),
    ],
)
def test_what_is_written_under_a_short_secret_key_has_the_form_that_the_server_reads(
    by_prng: bool, fernet_key: str, other_key: str
) -> None:
    token = Cipher("short", source="test", short_keys_by_prng=by_prng).encrypt(PLAINTEXT)
    assert Cipher(fernet_key, source="test").find_plaintext(token) == PLAINTEXT
    assert Cipher(other_key, source="test").find_plaintext(token) is None


@pytest.mark.parametrize("length", [31, 32])
def test_secret_keys_are_stretched_below_32_characters(length: int) -> None:
    secret_key = "x" * length
    if length == 31:
        assert Cipher(secret_key, source="test").encrypt(PLAINTEXT).startswith("gAAAAA")
    else:
        with pytest.raises(SecretKeyError):
            Cipher(secret_key, source="test")


@pytest.mark.parametrize(
    "secret_key",
    [
        "x" * 40,
        "long enough, and not base64 at all!!",
        f"{SECRET_KEY}A",  # 33 bytes
        SECRET_KEY[:-2],  # 31 bytes
        SECRET_KEY[:-1] + "é",
    ],
)
def test_a_long_text_that_is_no_fernet_key_is_refused_and_not_shown(secret_key: str) -> None:
    with pytest.raises(SecretKeyError) as caught:
        Cipher(secret_key, source="file /srv/secret_key")
    error = caught.value
    assert "file /srv/secret_key" in error.message
    assert str(len(secret_key)) in error.message
    assert error.hint
    assert secret_key not in f"{error!r} {error.message} {error.hint}"
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_newline_at_the_end_of_a_long_secret_key_is_named_as_the_reason() -> None:
    # Langflow 1.8 and later cannot use such a file as a Fernet key, either.
    with pytest.raises(SecretKeyError) as caught:
        Cipher(f"{SECRET_KEY}\n", source="file /srv/secret_key")
    assert "newline" in str(caught.value.hint)


def test_another_secret_key_opens_nothing() -> None:
    token = Cipher(SECRET_KEY, source="test").encrypt(PLAINTEXT)
    assert Cipher(OTHER_SECRET_KEY, source="test").find_plaintext(token) is None


@given(position=st.integers(min_value=0, max_value=10_000), change=st.integers(1, 255))
def test_a_token_that_was_tampered_with_does_not_open(position: int, change: int) -> None:
    cipher = Cipher(SECRET_KEY, source="test")
    token = bytearray(cipher.encrypt(PLAINTEXT).rstrip("="), "ascii")
    # The last character may carry bits that base64 does not use.
    place = position % (len(token) - 1)
    before = token[place]
    token[place] ^= change
    assume(token[place] < 0x80)
    # Both alphabets of base64 are accepted: these are two spellings of the same value.
    assume({before, token[place]} not in ({*b"-+"}, {*b"_/"}))
    assert cipher.find_plaintext(token.decode() + "==") is None


@pytest.mark.parametrize("token", ["", "gAAAAA", "gAAAAA!", "plain", "gAAAAAé", "gAAAAA\0"])
def test_what_is_no_token_does_not_open(token: str) -> None:
    assert Cipher(SECRET_KEY, source="test").find_plaintext(token) is None


def test_a_token_of_bytes_that_are_no_text_does_not_open() -> None:
    token = Fernet(f"{SECRET_KEY}=").encrypt(b"\xff\xfe").decode()
    assert Cipher(SECRET_KEY, source="test").find_plaintext(token) is None


@given(secret_key=st.text(max_size=31), plaintext=st.text(), by_prng=st.booleans())
def test_what_is_encrypted_under_any_short_secret_key_opens_again(
    secret_key: str, plaintext: str, by_prng: bool
) -> None:
    cipher = Cipher(secret_key, source="test", short_keys_by_prng=by_prng)
    token = cipher.encrypt(plaintext)
    assert cipher.find_plaintext(token) == plaintext
    # After an upgrade, the server tries the other derivation first.
    after = Cipher(secret_key, source="test", short_keys_by_prng=not by_prng)
    assert after.find_plaintext(token) == plaintext
    assert token.startswith("gAAAAA")


@given(plaintext=st.text())
def test_what_is_encrypted_under_a_new_secret_key_opens_again(plaintext: str) -> None:
    cipher = Cipher(new_secret_key(), source="test")
    assert cipher.find_plaintext(cipher.encrypt(plaintext)) == plaintext


def test_encrypting_twice_gives_two_tokens() -> None:
    cipher = Cipher(SECRET_KEY, source="test")
    assert cipher.encrypt(PLAINTEXT) != cipher.encrypt(PLAINTEXT)


def test_new_secret_keys_are_43_url_safe_characters_and_differ() -> None:
    one, other = new_secret_key(), new_secret_key()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", one)
    assert one != other


def test_a_fingerprint_is_stable_and_tells_two_secrets_apart() -> None:
    # Journals of unfinished rotations and operators' notes contain it: no release may change it.
    assert fingerprint("hunter2") == "359f723399bf"
    assert fingerprint(SECRET_KEY) != fingerprint(OTHER_SECRET_KEY)
    assert fingerprint(SECRET_KEY) != fingerprint(f"{SECRET_KEY}\n")


def test_a_fingerprint_shows_nothing_of_the_secret() -> None:
    found = fingerprint("hunter2")
    assert re.fullmatch(r"[0-9a-f]{12}", found)
    # A plain hash could be looked up in a list of hashed passwords.
    for name in ("md5", "sha1", "sha256", "sha512"):
        assert not hashlib.new(name, b"hunter2").hexdigest().startswith(found)


def test_where_there_is_no_secret_key_nothing_is_encrypted_and_nothing_opens() -> None:
    error = SecretKeyError("the secret key is missing")
    unavailable = UnavailableCipher(error)
    with pytest.raises(SecretKeyError) as caught:
        unavailable.encrypt("plaintext")
    assert caught.value is error
    assert unavailable.find_plaintext(Cipher(SECRET_KEY, source="test").encrypt("x")) is None


def test_a_cipher_shows_nothing_in_a_repr() -> None:
    assert SECRET_KEY not in repr(Cipher(SECRET_KEY, source="test"))
