"""What a password may be, and new ones. Light to import: bcrypt itself is in ``passwords``."""

import secrets

COUNTED_BYTES = 72
"""bcrypt looks at no more of a password; Langflow cuts it there, at bytes of UTF-8."""


def refusal(password: str) -> str | None:
    """Say why a password is refused, as the end of a sentence; None where it is not.

    Servers refuse ``langflow``, an empty one lets anybody in, and what has no place on a keyboard
    or in UTF-8 could never be typed at a login page again.
    """
    if not password:
        return "is empty"
    if password == "langflow":  # noqa: S105 - the one that is refused
        return "is 'langflow', which servers refuse"
    if any(c < " " or "\x7f" <= c < "\xa0" or "\ud800" <= c <= "\udfff" for c in password):
        return "has a control character, such as a line break, or is not UTF-8 text"
    return None


def generated() -> str:
    """Make a password of 192 random bits."""
    return secrets.token_urlsafe(24)
