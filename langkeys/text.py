"""Which characters can be displayed, and which names are allowed.

Names come from users, and from databases that other programs write to.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache

from langkeys.errors import UsageError

MAX_NAME_LENGTH = 255
"""The maximum length of the name of an API key, variable or user, in characters."""

# Characters that must not reach a terminal if they come from the database. By Unicode's properties:
# control and format characters, lone surrogates (which UTF-8 cannot encode), line and paragraph
# separators, and all characters that are ignored if they cannot be displayed: joiners, fillers,
# tags, variation selectors (except those for emoji, which are marks like accents). From Unicode 16.
# They are listed here because importing unicodedata takes time.
_INVISIBLE = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\ud800-\udfff"
)
# Visible format characters: signs before Arabic and other numbers, and joiners of hieroglyphs.
_FORMAT = (
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f"
)  # fmt: skip
_CONTROL = "\x7f-\x9f"

# Emoji and some scripts use joiners next to visible characters, and regional flags use tags. Names
# may contain those.
_SEEN = f"[^\x00-\xa0{_INVISIBLE}]"
_JOINED = f"(?<={_SEEN})[\u200c\u200d](?={_SEEN})|(?<=\U0001f3f4)[\U000e0020-\U000e007e]+\U000e007f"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Compiled at first use: most text is ASCII, and each pattern takes almost a millisecond.
    return re.compile(pattern)


def unshowable_in(text: str) -> str | None:
    """Return the first character that is not allowed in a new name, as ``U+202E``, or None.

    A joiner between two visible characters, as in emoji, is allowed; ``visible`` still escapes it.
    """
    if text.isascii() and text.isprintable():
        return None
    refused = _compiled(f"[\x00-\x1f{_CONTROL}{_INVISIBLE}]")
    found = refused.search(_compiled(_JOINED).sub("", text))
    return None if found is None else f"U+{ord(found[0]):04X}"


def checked_name(name: str) -> str:
    """Return a name if terminals, lists and Langflow's page can display it; else UsageError."""
    if not name.strip():
        raise UsageError("the name is empty")
    if len(name) > MAX_NAME_LENGTH:
        raise UsageError(
            f"the name has {len(name)} characters; at most {MAX_NAME_LENGTH} are allowed"
        )
    bad = unshowable_in(name)
    if bad is not None:
        raise UsageError(f"the name has a character that cannot be shown: {bad}")
    return name


def is_utf8(text: str) -> bool:
    """Tell whether UTF-8 can encode the text; it cannot encode half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def visible(text: str) -> str:
    """Escape characters that cannot be displayed: ``\\x1b``, ``\\n``, ``\\u202e`` and so on."""
    if text.isascii() and text.isprintable():
        return text
    unshowable = _compiled(f"[\x00-\x1f{_CONTROL}{_INVISIBLE}{_FORMAT}]")
    return unshowable.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def json_visible(text: str) -> str:
    """Escape characters of JSON text that cannot be displayed; the values stay the same."""
    if text.isascii() and "\x7f" not in text:
        return text
    # JSON escapes the first 32 characters itself; newlines in its text are layout.
    return _compiled(f"[{_CONTROL}{_INVISIBLE}{_FORMAT}]").sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


_KEY = "sk-[A-Za-z0-9_-]{32,}"


def holds_several_keys(line: str) -> bool:
    """Tell whether a line contains several API keys, joined or with other text between them.

    One key may contain ``sk-`` by chance, so joined keys need 70 characters or more.
    """
    apart = _compiled(f"(?<![A-Za-z0-9_-]){_KEY}").findall(line)
    return len(apart) > 1 or _compiled(f"{_KEY}{_KEY}").search(line) is not None


_SINGULAR = {"are": "is", "have": "has", "were": "was"}


def agreeing(verb: str, number: int) -> str:
    """Return the form of a verb that fits a number: ``is`` for 1, else ``are``."""
    return verb if number != 1 else _SINGULAR.get(verb, f"{verb}s")


def pronoun(number: int) -> str:
    """Return the pronoun for a number of things: ``it`` for 1, else ``them``."""
    return "it" if number == 1 else "them"


def counted(number: int, noun: str, verb: str = "", *, plural: str | None = None) -> str:
    """Return a number with a noun: ``1 value``, ``2 values``; with ``are``: ``1 value is``.

    ``verb`` is given in the plural. ``plural`` is the plural of the noun if it does not just add an
    s.
    """
    if number != 1:
        noun = plural or f"{noun}s"
    return f"{number} {noun} {agreeing(verb, number) if verb else ''}".rstrip()


MAX_LISTED = 10


def listed(names: Sequence[str]) -> str:
    """Join names: ``a, b``; behind the first ten ``and 5 more``."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def shell_word(text: str) -> str:
    """Quote a text for a command line in a hint if a shell would change it."""
    import shlex  # only errors and notes need it

    return shlex.quote(text)


def joined(names: Iterable[str], word: str = "and") -> str:
    """Join all names for a sentence: ``a``, ``a and b``, ``a, b and c``."""
    *others, last = names
    return f"{', '.join(others)} {word} {last}" if others else last
