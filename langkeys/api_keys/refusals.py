"""Explain why an API key is unknown: several mistakes lead to that."""

import re

from langkeys.api_keys.verification import Verifier
from langkeys.errors import InvalidKeyError
from langkeys.models import FERNET_PREFIX
from langkeys.text import counted

_KEY = re.compile(r"sk-[A-Za-z0-9_-]{32,}")


def explained(error: InvalidKeyError, api_key: str, verifier: Verifier) -> InvalidKeyError:
    """Return the refusal of a key by ``verifier`` with its probable cause as a hint."""
    if error.reason != "unknown" or error.hint is not None:
        return error
    unreadable = verifier.count_unreadable() if _KEY.fullmatch(api_key) else 0
    if unreadable:
        return InvalidKeyError(
            f"{error.message}, but {counted(unreadable, 'row')} there cannot be decrypted and may"
            " hold it",
            reason="undecryptable",
            hint="use the secret key of the server that wrote them; to see what the present one"
            " decrypts: langkeys secret-key check",
        )
    return InvalidKeyError(error.message, reason=error.reason, hint=unknown_key_hint(api_key))


def unknown_key_hint(text: str) -> str:
    """Return why no key is this text, as far as it shows."""
    if _KEY.fullmatch(text):
        return (
            "it may have been revoked, or belong to another database; to see whether langkeys"
            " revoked it: langkeys audit --key - < FILE"
        )
    if text.startswith(FERNET_PREFIX):
        return "this is a key as the database stores it, encrypted; give the key itself (sk-...)"
    if _KEY.search(text):
        return "give the key alone (sk-...), without a name, quotes or spaces around it"
    return (
        "this does not look like an API key, which is sk- and 32 or more letters, digits, - and _:"
        " check what was given"
    )
