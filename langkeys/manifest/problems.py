"""What is wrong with manifests: collected, and reported all at once with file, line and column."""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from langkeys.errors import (
    ConflictError,
    LangkeysError,
    SecretKeyError,
    UnsupportedError,
    UsageError,
)
from langkeys.text import counted

MOST_SHOWN = 1000
"""Problems that are listed; of more it is said how many there are."""

USAGE, UNSUPPORTED, SECRET_KEY, CONFLICT = "usage", "unsupported", "secret_key", "conflict"

# The first of these that there is gives the exit code of all problems together.
_ERRORS: dict[str, type[LangkeysError]] = {
    USAGE: UsageError,
    UNSUPPORTED: UnsupportedError,
    SECRET_KEY: SecretKeyError,
    CONFLICT: ConflictError,
}

_PLAIN = re.compile(r"[^\s.:\"'\[\]{},#]+")
_SECRET = re.compile(r"sk-[A-Za-z0-9_-]{16,}|gAAAAA")


class Position(NamedTuple):
    """Where something stands: file, line and column, both from 1; no line: the file itself."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Problem(NamedTuple):
    """One thing that is wrong; ``code`` is that of the error that it makes."""

    position: Position
    path: str
    what: str
    code: str = USAGE

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self.position}: {path}{self.what}"


def looks_secret(text: str) -> bool:
    """Tell whether a text may be an API key or an encrypted value, wherever it stands."""
    return _SECRET.search(text) is not None


def joined(path: str, name: str) -> str:
    """Return the path of a part: names that would not be clear in it are quoted."""
    if looks_secret(name):
        name = "(hidden)"
    elif _PLAIN.fullmatch(name) is None:
        name = json.dumps(name, ensure_ascii=False)
    return f"{path}.{name}" if path else name


class Problems:
    """The problems of one run, in the order of files and lines."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def __len__(self) -> int:
        return len(self.found)

    def add(self, position: Position, path: str, what: str, *, code: str = USAGE) -> None:
        """Add a problem; ``what`` never repeats a value of the file."""
        self.found.append(Problem(position, path, what, code))

    def require_none(self) -> None:
        """Raise the error of all problems together, each with its line, if there are any."""
        if self.found:
            raise error_of(self.found)


def code_of(error: LangkeysError) -> str:
    """Return the code of the problem that an error is."""
    return error.code if error.code in _ERRORS else USAGE


def error_of(problems: Iterable[Problem]) -> LangkeysError:
    """Return the error that lists problems; its class is that of the worst of them."""
    ordered = sorted(dict.fromkeys(problems))
    lines = [str(problem) for problem in ordered[:MOST_SHOWN]]
    if len(ordered) > MOST_SHOWN:
        lines.append(f"and {len(ordered) - MOST_SHOWN} more")
    codes = {problem.code for problem in ordered}
    kind = next(error for code, error in _ERRORS.items() if code in codes)
    files = list(dict.fromkeys(problem.position.file for problem in ordered))
    where = files[0] if len(files) == 1 else f"{len(files)} files"
    return kind(
        f"{counted(len(ordered), 'problem')} in {where}; nothing was done", candidates=tuple(lines)
    )
