"""Where a secret key stands, and how another one takes its place there.

A ``secret_key`` file, a line of an ``.env`` file, a file that ``LANGFLOW_SECRET_KEY_FILE`` names.
What cannot be changed from here (the process environment, a mounted secret) is told.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from langkeys.config import dotenv, locations
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError, FailedError
from langkeys.files import ownership
from langkeys.files.staged import find_private, read_text, without_newline

NAME = "LANGFLOW_SECRET_KEY"
SOUND_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")
"""The form of a secret key as servers make them: 32 random bytes in url-safe base64."""
BARE_NAME = "SECRET_KEY"
"""Servers read it, too, and write it over their ``secret_key`` file."""


@dataclass(frozen=True)
class KeyPlace:
    """A file in which a secret key can be replaced.

    ``kind`` is ``file`` (it holds the key alone, with a newline where ``newline``) or ``env`` (a
    line of it sets one of ``names``).
    """

    kind: str
    path: Path
    newline: bool = False
    names: tuple[str, ...] = ()

    @property
    def staged(self) -> Path:
        """The name under which the new content waits for the commit."""
        return self.path.with_name(f".{self.path.name}{locations.ROTATION_SUFFIX}")

    def staged_key(self) -> str | None:
        """Return the key in the staged file; None where there is none that can be believed.

        It may be the owner's of the file that it is to replace: with that owner it is staged.
        """
        owners = {ownership.ROOT, os.geteuid()}
        with suppress(OSError):
            owners.add(self.path.lstat().st_uid)
        try:
            content = find_private(self.staged, frozenset(owners))
            return None if content is None else self._key_of(content.decode("utf-8"))
        except (OSError, UnicodeDecodeError):
            return None

    @property
    def title(self) -> str:
        """The place in words."""
        return f"{' and '.join(self.names)} in {self.path}" if self.names else str(self.path)

    def content(self, new: str, old: str) -> str:
        """Return what the file is to hold instead of what it holds; FailedError, ConfigError."""
        if self.kind == "file":
            return f"{new}\n" if self.newline else new
        return rewritten_env(_text(self.path), self.path, self.names, old, new)

    def key_in(self, path: Path) -> str | None:
        """Return the key in this place's file, or in ``path`` of the same form; None if none."""
        try:
            text = _text(path)
        except FailedError:
            return None
        return self._key_of(text)

    def _key_of(self, text: str) -> str | None:
        if self.kind == "file":
            return (without_newline(text) if self.newline else text) or None
        values = _values(text)
        return next((values[name] for name in self.names if values.get(name)), None)


@dataclass(frozen=True)
class Located:
    """Everything that holds the secret key in force: what can be replaced, and what cannot."""

    places: tuple[KeyPlace, ...]
    fixed: tuple[str, ...]


def named_places(settings: Settings) -> dict[tuple[str, Path], Path]:
    """Return the files that settings name for a secret key, by kind and real path."""
    found = [("file", path.absolute()) for name, path in settings.all_value_files() if name == NAME]
    found.append(("file", locations.secret_key_file(settings).absolute()))
    if settings.env_file is not None:
        found.append(("env", settings.env_file))
    return {(kind, path.resolve()): path for kind, path in found}


def located(settings: Settings, old: str) -> Located:
    """Find every place that holds the secret key ``old``.

    Raises ConfigError where settings disagree, so that nobody can know which of two a server takes.
    """
    found: list[KeyPlace] = []
    fixed: list[str] = []
    for name, text in settings.environ.items():
        if name.upper() in (NAME, BARE_NAME) and text == old:
            fixed.append(f"{name} in the process environment")
    env_file = settings.env_file
    if env_file is not None:
        values = _values(_text(env_file))
        # As it is now: the settings were read before another rotation may have come to its end.
        others = {text for name, text in values.items() if name.upper() == NAME and text}
        if others - {old}:
            raise ConfigError(
                f"{NAME} in {env_file} differs from the secret key in use, which is"
                " set elsewhere. Which one a server uses depends on how it is started",
                hint="make them the same, or remove one",
            )
        names = tuple(
            name
            for name, text in values.items()
            if name.upper() in (NAME, BARE_NAME) and text == old
        )
        if names:
            _add(found, fixed, KeyPlace("env", env_file, names=names), old)
    for name, path in settings.all_value_files():
        if name == NAME:
            path = path.absolute()
            _add(found, fixed, KeyPlace("file", path, newline=_text(path).endswith("\n")), old)
    _add(found, fixed, KeyPlace("file", locations.secret_key_file(settings).absolute()), old)
    return Located(tuple(found), tuple(fixed))


def _add(found: list[KeyPlace], fixed: list[str], place: KeyPlace, old: str) -> None:
    if place.key_in(place.path) != old or place.path in {other.path for other in found}:
        return
    if place.path.is_symlink():
        fixed.append(f"{place.title} (a symbolic link, like a mounted secret)")
        return
    if place.kind == "env":
        try:
            place.content("0" * len(old), old)
        except ConfigError:
            fixed.append(
                f"{place.title} (which refers to another variable, or has the key in quotes)"
            )
            return
    found.append(place)


def rewritten_env(text: str, path: Path, names: tuple[str, ...], old: str, new: str) -> str:
    """Return the text of an ``.env`` file with another key in its lines of these names.

    The rest of the file stays as it is, byte for byte. Raises ConfigError where a line does not
    hold the old key as it is.
    """
    parts: list[str] = []
    lines = dotenv.split(text)
    for name, value, part in lines:
        if name not in names:
            parts.append(part)
            continue
        head, equals, tail = part.partition("=")
        if value != old or tail.count(old) != 1:
            raise ConfigError(f"cannot replace {name} in {path}")
        parts.append(head + equals + tail.replace(old, new))
    rewritten = "".join(parts)
    expected = {**_values(text), **dict.fromkeys(names, new)}
    if "".join(part for _, _, part in lines) != text or _values(rewritten) != expected:
        raise ConfigError(f"cannot replace {' and '.join(names)} in {path}")
    return rewritten


def _values(text: str) -> Mapping[str, str]:
    return dotenv.parse(text, "the settings file", environ={}).values


def _text(path: Path) -> str:
    return read_text(path, "the secret key")
