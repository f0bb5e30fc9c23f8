from __future__ import annotations

from collections.abc import Callable

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langkeys.crypto import passwords

from ..support.samples import PASSWORD, password_hash


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A list of the hashes that bcrypt is called with; bcrypt still does its work."""
    seen: list[bytes] = []
    check: Callable[[bytes, bytes], bool] = bcrypt.checkpw

    def counting(password: bytes, hashed: bytes) -> bool:
        seen.append(hashed)
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return seen


def test_a_password_matches_its_hash_and_another_does_not() -> None:
    hashed = passwords.hash_password(PASSWORD, rounds=4)
    assert passwords.matches(PASSWORD, hashed)
    assert not passwords.matches(f"{PASSWORD} ", hashed)
    assert not passwords.matches("", hashed)


def test_a_hash_is_bcrypts_with_the_cost_that_langflow_uses() -> None:
    assert passwords.ROUNDS == 12
    assert passwords.hash_password(PASSWORD).startswith("$2b$12$")


def test_the_same_password_is_hashed_with_a_fresh_salt() -> None:
    assert passwords.hash_password(PASSWORD, rounds=4) != passwords.hash_password(
        PASSWORD, rounds=4
    )


@pytest.mark.parametrize(
    "hashed",
    [
        # From langflow-base 0.5.1, with passlib, and from 1.13.0.
        "$2b$12$znQ.2AKhT40eEGlHoHFFqeJVewPWVDMMz8s.mmHF6fLH7preDmZRm",
        "$2b$12$l9uKQFuYQvZo7PaBqUxIqusufgjkcv3B4uunb9g66zJntzCcMvma6",
    ],
)
def test_a_hash_that_langflow_made_matches(hashed: str) -> None:
    assert passwords.matches("langflow-password", hashed)


def test_a_password_is_cut_at_72_bytes() -> None:
    hashed = passwords.hash_password("x" * 100, rounds=4)
    assert passwords.matches("x" * 72, hashed)
    assert passwords.matches("x" * 72 + "y", hashed)
    assert not passwords.matches("x" * 71, hashed)


def test_a_password_is_cut_by_bytes_of_utf_8_and_not_by_characters() -> None:
    # 71 bytes and a letter of 2 bytes: the cut splits the letter.
    hashed = passwords.hash_password("x" * 71 + "é", rounds=4)
    assert passwords.matches("x" * 71 + "é and more", hashed)
    assert passwords.matches("x" * 71 + "è", hashed)
    assert not passwords.matches("x" * 71 + "y", hashed)


@given(st.text(min_size=1, max_size=100).filter(lambda text: "\0" not in text))
@settings(max_examples=20)
def test_every_password_matches_its_own_hash(password: str) -> None:
    assert passwords.matches(password, passwords.hash_password(password, rounds=4))


def test_bcrypt_works_for_a_user_and_for_nobody(checks: list[bytes]) -> None:
    assert passwords.matches(PASSWORD, password_hash())
    assert len(checks) == 1
    assert not passwords.matches(PASSWORD, None)
    assert len(checks) == 2


def test_for_nobody_bcrypt_works_at_langflows_cost(checks: list[bytes]) -> None:
    passwords.matches(PASSWORD, None)
    assert checks[-1].startswith(f"$2b${passwords.ROUNDS}$".encode())


def test_no_password_matches_nobody() -> None:
    assert not any(passwords.matches(text, None) for text in ("", PASSWORD, "langflow"))


@pytest.mark.parametrize("cost", ["17", "24", "31", "+17", "99"])
def test_a_hash_of_an_endless_cost_matches_nothing_at_the_usual_cost(
    cost: str, checks: list[bytes]
) -> None:
    hashed = passwords.hash_password(PASSWORD, rounds=4).replace("$04$", f"${cost}$")
    assert not passwords.matches(PASSWORD, hashed)
    assert [check[:7] for check in checks] == [b"$2b$12$"]


def test_a_password_that_is_no_text_matches_nothing() -> None:
    assert not passwords.matches("\udc80", password_hash())


@pytest.mark.parametrize(
    "malformed", ["", "plaintext", "$2b$", "$2b$12$short", "$9z$12$" + "C" * 53, "\0", "é" * 60]
)
def test_a_malformed_hash_matches_nothing_at_the_same_cost(
    malformed: str, checks: list[bytes]
) -> None:
    assert not passwords.matches("plaintext", malformed)
    assert checks[-1].startswith(b"$2b$12$")
