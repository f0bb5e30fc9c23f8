"""Which characters can be shown: names come from people, and from databases that others write."""

import re

# Control characters, lone surrogates (no UTF-8 file can hold them), line and paragraph separators,
# and what turns the direction of the text around it. Joiners and marks stay: emoji and
# right-to-left names are made of them.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def unshowable_in(text: str) -> str | None:
    """Return the first character that cannot be shown, as ``U+202E``, or None."""
    found = _UNSHOWABLE.search(text)
    return None if found is None else f"U+{ord(found[0]):04X}"


def visible(text: str) -> str:
    """Write what cannot be shown as ``\\x1b``, ``\\n``, ``\\u202e`` and so on."""
    return _UNSHOWABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
