"""Files that contain the secret key, and how to write a new one to them.

These are the ``secret_key`` file, a line of an ``.env`` file, and a file that
``LANGFLOW_SECRET_KEY_FILE`` names. Sources that langkeys cannot write, such as the process
environment or a mounted secret, are listed as read-only.
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
from langkeys.files.reading import find_private, read_text, without_newline
from langkeys.paths import absolute_path
from langkeys.text import joined

NAME = "LANGFLOW_SECRET_KEY"
SOUND_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")
"""The form of a secret key that servers create: 32 random bytes in URL-safe base64."""
BARE_NAME = "SECRET_KEY"
"""A name that servers read, too; they overwrite their ``secret_key`` file with its value."""


@dataclass(frozen=True)
class SecretKeyFile:
    """A file in which the secret key can be replaced.

    ``kind`` is ``file`` for a file that contains only the key (and a newline, if ``newline``), or
    ``env`` for a file with lines that set ``names``.
    """

    kind: str
    path: Path
    newline: bool = False
    names: tuple[str, ...] = ()

    @property
    def staged(self) -> Path:
        """The path of the new content until it is published."""
        return self.path.with_name(f".{self.path.name}{locations.ROTATION_SUFFIX}")

    def find_staged_key(self) -> str | None:
        """Return the key in the staged file; None if there is no trusted staged file.

        The staged file is trusted if it belongs to the caller, to root, or to the owner of the file
        that it replaces.
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
        """The file, and the names that it sets, for messages."""
        return f"{joined(self.names)} in {self.path}" if self.names else str(self.path)

    def content(self, new: str, old: str) -> str:
        """Return the file's text with the new key; FailedError or ConfigError if that fails."""
        if self.kind == "file":
            return f"{new}\n" if self.newline else new
        return rewritten_env(_text(self.path), self.path, self.names, old, new)

    def find_secret_key_in(self, path: Path) -> str | None:
        """Return the key in ``path``, which has the form of this file; None if it contains none."""
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
class SecretKeySources:
    """The sources of the current secret key: files that langkeys can rewrite, and other sources."""

    key_files: tuple[SecretKeyFile, ...]
    read_only: tuple[str, ...]


def named_files(settings: Settings) -> dict[tuple[str, Path], Path]:
    """Return the files that the settings name for a secret key, by kind and resolved path."""
    found = [
        ("file", absolute_path(path)) for name, path in settings.all_value_files() if name == NAME
    ]
    found.append(("file", absolute_path(locations.secret_key_file(settings))))
    if settings.env_file is not None:
        found.append(("env", settings.env_file))
    return {(kind, path.resolve()): path for kind, path in found}


def find_sources(settings: Settings, old: str) -> SecretKeySources:
    """Find every source of the secret key ``old``.

    Raises ConfigError if two settings differ, because it is unknown which of them a server uses.
    """
    found: list[SecretKeyFile] = []
    read_only: list[str] = []
    for name, text in settings.environ.items():
        if name.upper() in (NAME, BARE_NAME) and text == old:
            read_only.append(f"{name} in the process environment")
    env_file = settings.env_file
    if env_file is not None:
        values = _values(_text(env_file))
        # Read the file again: another rotation may have ended since the settings were read.
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
            _add(found, read_only, SecretKeyFile("env", env_file, names=names), old)
    for name, path in settings.all_value_files():
        if name == NAME:
            path = absolute_path(path)
            _add(
                found,
                read_only,
                SecretKeyFile("file", path, newline=_text(path).endswith("\n")),
                old,
            )
    _add(
        found,
        read_only,
        SecretKeyFile("file", absolute_path(locations.secret_key_file(settings))),
        old,
    )
    return SecretKeySources(tuple(found), tuple(read_only))


def _add(
    found: list[SecretKeyFile], read_only: list[str], key_file: SecretKeyFile, old: str
) -> None:
    if key_file.find_secret_key_in(key_file.path) != old or key_file.path in {
        other.path for other in found
    }:
        return
    if key_file.path.is_symlink():
        read_only.append(f"{key_file.title} (a symbolic link, like a mounted secret)")
        return
    if key_file.kind == "env":
        try:
            key_file.content("0" * len(old), old)
        except ConfigError:
            read_only.append(
                f"{key_file.title} (which refers to another variable, or has the key in quotes)"
            )
            return
    found.append(key_file)


def rewritten_env(text: str, path: Path, names: tuple[str, ...], old: str, new: str) -> str:
    """Return the text of an ``.env`` file with a new key in the lines that set these names.

    All other bytes stay the same. Raises ConfigError if a line does not contain the old key
    literally.
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
        raise ConfigError(f"cannot replace {joined(names)} in {path}")
    return rewritten


def _values(text: str) -> Mapping[str, str]:
    return dotenv.parse(text, "the settings file", environ={}).values


def _text(path: Path) -> str:
    return read_text(path, "the secret key")
