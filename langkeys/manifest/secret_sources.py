"""Read the secrets that a manifest refers to; each file is read only once."""

import re
from collections.abc import Mapping
from pathlib import Path

from langkeys.errors import LangkeysError
from langkeys.files.reading import find_bytes, without_newline
from langkeys.manifest.declared import Source
from langkeys.manifest.problems import Problems, looks_secret

_NAME = re.compile("[A-Z_][A-Z0-9_]{0,63}")


class SecretReader:
    """Reads secrets from files and the environment; adds missing ones to ``problems``."""

    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self._environ = environ
        self._problems = problems
        self._read: dict[Path, str | None] = {}
        self.asked: list[Source] = []

    def find(self, source: Source) -> str | None:
        """Return a secret without one trailing newline; None if it cannot be read."""
        self.asked.append(source)
        try:
            value = self._from_env(source) if source.file is None else self._from_file(source.file)
        except LangkeysError as error:
            self._problems.add(source.position, source.path, error.message)
            return None
        except _MissingError as error:
            if not source.optional:
                self._problems.add(source.position, source.path, str(error))
            return None
        return value

    def _from_env(self, source: Source) -> str:
        name = source.env or ""
        # A text that does not look like a name may be the secret itself.
        shown = f" {name}" if _NAME.fullmatch(name) and not looks_secret(name) else ""
        value = self._environ.get(name)
        if value is None:
            raise _MissingError(f"the environment variable{shown} is not set")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise LangkeysError(f"the environment variable{shown} is not UTF-8 text") from None
        return _not_empty(without_newline(value), f"the environment variable{shown}")

    def _from_file(self, path: Path) -> str:
        if looks_secret(str(path)):
            raise LangkeysError("the name of the file looks like a secret")
        if path not in self._read:
            # Read it only once, because it may be a pipe.
            content = find_bytes(path, "a secret")
            try:
                self._read[path] = None if content is None else content.decode("utf-8")
            except UnicodeDecodeError:
                raise LangkeysError(f"a secret in {path} is not UTF-8 text") from None
        text = self._read[path]
        if text is None:
            raise _MissingError(f"the file {path} does not exist")
        return _not_empty(without_newline(text), f"the file {path}")


class _MissingError(Exception):
    """A secret is missing or empty."""


def _not_empty(text: str, what: str) -> str:
    if not text:
        raise _MissingError(f"{what} is empty")
    return text
