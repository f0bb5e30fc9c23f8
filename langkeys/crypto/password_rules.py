"""Decide which passwords are allowed, and generate random ones; does not import bcrypt."""

from langkeys.crypto.hashes import url_safe_token

COUNTED_BYTES = 72
"""bcrypt uses only this many bytes of a password; Langflow cuts passwords there, as UTF-8."""


def refusal(password: str) -> str | None:
    """Return why a password is refused, as the end of a sentence, or None.

    Servers refuse ``langflow``. An empty password lets anybody in. Control characters and lone
    surrogates could not be typed on a login page.
    """
    if not password:
        return "is empty"
    if password == "langflow":  # noqa: S105 - not a password that is used
        return "is 'langflow', which servers refuse"
    if any(c < " " or "\x7f" <= c < "\xa0" or "\ud800" <= c <= "\udfff" for c in password):
        return "has a control character, such as a line break, or is not UTF-8 text"
    return None


def generate_password() -> str:
    """Return a new password of 192 random bits."""
    return url_safe_token(24)
