"""Collect problems in manifests, and report them together with file, line and column."""

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
from langkeys.models import FERNET_PREFIX
from langkeys.text import counted

MAX_SHOWN = 1000
"""The maximum number of problems that are listed; the others are only counted."""

USAGE, UNSUPPORTED, SECRET_KEY, CONFLICT = "usage", "unsupported", "secret_key", "conflict"

# In order of importance: the most important problem determines the exit code.
_ERRORS: dict[str, type[LangkeysError]] = {
    USAGE: UsageError,
    UNSUPPORTED: UnsupportedError,
    SECRET_KEY: SecretKeyError,
    CONFLICT: ConflictError,
}

_PLAIN = re.compile(r"[^\s.:\"'\[\]{},#]+")
_API_KEY_PREFIX = "sk-"
_SECRET = re.compile(_API_KEY_PREFIX + "[A-Za-z0-9_-]{16,}|" + FERNET_PREFIX)


class Position(NamedTuple):
    """A position in a file; line and column count from 1, and line 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Problem(NamedTuple):
    """A problem; ``code`` is an ``error.code``."""

    position: Position
    path: str
    what: str
    code: str = USAGE

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self.position}: {path}{self.what}"


def looks_secret(text: str) -> bool:
    """Tell whether a text contains something that may be an API key or an encrypted value."""
    return _SECRET.search(text) is not None


def is_secret_value(value: str) -> bool:
    """Tell whether a value may be an API key or an encrypted value, which no manifest may have."""
    return value.startswith((_API_KEY_PREFIX, FERNET_PREFIX))


def subpath(path: str, name: str) -> str:
    """Append a name to a path; quote it if necessary, and hide it if it looks like a secret."""
    if looks_secret(name):
        name = "(hidden)"
    elif _PLAIN.fullmatch(name) is None:
        name = json.dumps(name, ensure_ascii=False)
    return f"{path}.{name}" if path else name


class Problems:
    """The problems of one run."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def __len__(self) -> int:
        return len(self.found)

    def add(self, position: Position, path: str, what: str, *, code: str = USAGE) -> None:
        """Add a problem; ``what`` must not quote a value from the file."""
        self.found.append(Problem(position, path, what, code))

    def require_none(self) -> None:
        """Raise one error that lists all problems, if there are any."""
        if self.found:
            raise combined_error(self.found)


def problem_code(error: LangkeysError) -> str:
    """Return the code for a problem that this error describes."""
    return error.code if error.code in _ERRORS else USAGE


def combined_error(problems: Iterable[Problem]) -> LangkeysError:
    """Return one error that lists the problems; the most important problem determines its class."""
    ordered = sorted(dict.fromkeys(problems))
    lines = [str(problem) for problem in ordered[:MAX_SHOWN]]
    if len(ordered) > MAX_SHOWN:
        lines.append(f"and {len(ordered) - MAX_SHOWN} more")
    codes = {problem.code for problem in ordered}
    kind = next(error for code, error in _ERRORS.items() if code in codes)
    files = list(dict.fromkeys(problem.position.file for problem in ordered))
    where = files[0] if len(files) == 1 else f"{len(files)} files"
    return kind(
        f"{counted(len(ordered), 'problem')} in {where}; nothing was done", candidates=tuple(lines)
    )
