"""Read .env files in the same way as a server started with ``--env-file``.

Uses python-dotenv, as Langflow does. It is imported only if there is a file to read, because
importing it takes a third of a small command's start-up time.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from langkeys.errors import ConfigError
from langkeys.files.reading import read_text

MAX_CHARACTERS = 4 << 20
"""The maximum size of all values together, after expansion."""

BOM = "\ufeff"


class Binding(NamedTuple):
    """A name in a .env file with its value. ``is_expanded``: the value contained ``${...}``."""

    name: str
    value: str
    is_expanded: bool


class DotenvFile(NamedTuple):
    """The content of a .env file: its bindings in order, and warnings."""

    bindings: tuple[Binding, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, str]:
        """The values by name; if a name is repeated, its last line counts."""
        return {binding.name: binding.value for binding in self.bindings}


def read(
    path: Path,
    *,
    environ: Mapping[str, str],
    by: str = "",
    is_ours: Callable[[str], bool] = lambda _: True,
) -> DotenvFile:
    """Read a .env file; see ``parse``. ``by`` names the setting that gave the path. ConfigError."""
    if str(path) == os.devnull:  # os.devnull means "no file", also in the library
        return DotenvFile()
    text = read_text(path, "settings", error=ConfigError, by=by)
    return parse(text, str(path), environ=environ, is_ours=is_ours)


def parse(
    text: str,
    source: str,
    *,
    environ: Mapping[str, str],
    is_ours: Callable[[str], bool] = lambda _: True,
) -> DotenvFile:
    """Parse the text of a .env file, called ``source`` in messages, which never contain a value.

    ``${NAME}`` is expanded from the file itself, else from ``environ``. A line that cannot be
    parsed is skipped with a warning, as servers do; if ``is_ours`` returns true for its name, it
    raises ConfigError. Raises ConfigError also if the expanded values are too large.
    """
    if not text.strip():
        return DotenvFile()
    from io import StringIO

    from dotenv.parser import parse_stream
    from dotenv.variables import Variable, parse_variables

    warnings: list[str] = []
    if text.startswith(BOM):
        text = text.removeprefix(BOM)
        warnings.append(
            f"{source} begins with a byte order mark: Langflow 1.5 to 1.8 skips its first line;"
            " save it as UTF-8 without one"
        )
    bindings: list[Binding] = []
    known = dict(environ)
    left = MAX_CHARACTERS
    for binding in parse_stream(StringIO(text)):
        line = binding.original.line
        if binding.error:
            # The message omits the line itself, which may contain a secret.
            if is_ours(_first_name(binding.original.string)):
                raise ConfigError(
                    f"line {line} of {source} is not NAME=VALUE",
                    hint="correct or remove the line; values with spaces or # need quotes",
                )
            warnings.append(f"line {line} of {source} is not NAME=VALUE; it is ignored")
        elif binding.key is not None and binding.value is not None:
            atoms = list(parse_variables(binding.value))
            parts = [atom.resolve(known) for atom in atoms]
            left -= sum(map(len, parts))
            if left < 0:
                raise ConfigError(
                    f"at line {line}, the values of {source} exceed {MAX_CHARACTERS}"
                    " characters after ${...} is expanded",
                    hint="remove the line",
                )
            known[binding.key] = "".join(parts)
            is_expanded = any(isinstance(atom, Variable) for atom in atoms)
            bindings.append(Binding(binding.key, known[binding.key], is_expanded))
    return DotenvFile(tuple(bindings), tuple(warnings))


def _first_name(line: str) -> str:
    stripped = line.strip().removeprefix("export ").strip()
    length = next((n for n, c in enumerate(stripped) if not (c.isalnum() or c == "_")), None)
    return stripped[:length]


def split(text: str) -> list[tuple[str | None, str | None, str]]:
    """Split a .env file into parts: name, value as written, and the text of the part.

    The texts of all parts joined are the whole file.
    """
    from io import StringIO

    from dotenv.parser import parse_stream

    bindings = parse_stream(StringIO(text, newline=""))
    return [(binding.key, binding.value, binding.original.string) for binding in bindings]
