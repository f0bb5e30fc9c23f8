"""The check for secrets in the output, which runs for every call of langkeys in the tests."""

from __future__ import annotations

import pytest

from .support.samples import SECRETS, assert_no_secret, encrypted, new_api_key, password_hash
from .support.sites import Result

LEAKS = {
    **{f"secret {number}": secret for number, secret in enumerate(SECRETS)},
    "API key": new_api_key(),
    "API key in quotes": f"'{new_api_key()}'",
    "Fernet token": encrypted("x"),
    "password hash": password_hash(),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize("code", [0, 1])
def test_a_secret_on_stderr_fails_the_test_that_called(leak: str, code: int) -> None:
    with pytest.raises(AssertionError, match="the text contains"):
        Result(("whoami",), code, "", f"error: {leak}\n")


def test_a_secret_on_the_stdout_of_a_failure_fails_the_test_that_called() -> None:
    with pytest.raises(AssertionError, match="contains a whole API key"):
        Result(("api-key",), 1, new_api_key(), "")


def test_a_new_key_on_the_stdout_of_a_success_is_what_was_asked_for() -> None:
    Result(("api-key",), 0, new_api_key(), "note: made it\n").done()


def test_what_is_no_secret_passes() -> None:
    assert_no_secret("error: no API key matches 'sk-aS2-j' in /srv/langflow.db")


def test_a_traceback_fails_the_test_that_called() -> None:
    with pytest.raises(AssertionError):
        Result(("whoami",), 1, "", "Traceback (most recent call last):\n")
