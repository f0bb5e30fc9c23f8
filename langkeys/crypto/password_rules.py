"""Which passwords are allowed, and new random ones. Fast to import, as it does not need bcrypt."""

from langkeys.crypto.hashes import url_safe_token

COUNTED_BYTES = 72
"""bcrypt uses no more than this of a password; Langflow cuts it there, in bytes of UTF-8."""


def refusal(password: str) -> str | None:
    """Return why a password is refused, as the end of a sentence, or None.

    Servers refuse ``langflow``, an empty password lets anybody in, and characters that no keyboard
    or UTF-8 text has could never be typed on a login page.
    """
    if not password:
        return "is empty"
    if password == "langflow":  # noqa: S105 - the one that is refused
        return "is 'langflow', which servers refuse"
    if any(c < " " or "\x7f" <= c < "\xa0" or "\ud800" <= c <= "\udfff" for c in password):
        return "has a control character, such as a line break, or is not UTF-8 text"
    return None


def generate_password() -> str:
    """Return a new password of 192 random bits."""
    return url_safe_token(24)
