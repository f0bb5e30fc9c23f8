"""Find the .env file of an invocation, and decide how far it is trusted."""

import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from langkeys.config import dotenv
from langkeys.config.dotenv import DotenvFile
from langkeys.errors import ConfigError
from langkeys.files import ownership
from langkeys.files.reading import is_file, is_there
from langkeys.paths import absolute_path
from langkeys.text import agreeing


class EnvFile(NamedTuple):
    """A .env file and its content; ``path`` is None if there is no file.

    ``is_named``: an option or a variable names the file. ``foreign_owner`` is the owner of a file
    that is not named, if the owner is neither the caller nor root.
    """

    path: Path | None = None
    is_named: bool = False
    foreign_owner: int | None = None
    content: DotenvFile = DotenvFile()


def read_env_file(
    named: str | None, source: str, environ: Mapping[str, str], is_ours: Callable[[str], bool]
) -> EnvFile:
    """Read the file that ``source`` names, or else the ``.env`` of the working folder.

    ``is_ours`` tells which names are settings.
    """
    path = absolute_path(Path(".env" if named is None else named))
    owner = None
    if named is None:
        if not is_there(path) or path.is_dir():  # it may be a virtual environment
            return EnvFile()
        if is_file(path):
            owner = _find_foreign_owner(path)
    content = dotenv.read(
        path,
        # Do not expand variables of this environment in another user's file.
        environ=environ if owner is None else {},
        by="" if named is None else f" (named by {source})",
        is_ours=is_ours,
    )
    return EnvFile(path, named is not None, owner, content)


def _find_foreign_owner(path: Path) -> int | None:
    """Return the owner of a file that is not named, if the owner is neither the caller nor root.

    Raises ConfigError if others could have written the file.
    """
    ownership.require_trusted(path, "the settings file")
    found = path.stat()
    if found.st_mode & stat.S_IWOTH:
        raise ConfigError(
            f"the settings file {path} is writable by everybody, so it is not read",
            hint=f"check its content, then chmod o-w {path}; or use --env-file .env to trust it",
        )
    return None if ownership.is_ours(found.st_uid) else found.st_uid


def conflict_warning(names: Sequence[str], path: Path | None) -> str:
    """Return a warning about settings that differ between the environment and a named ``.env``."""
    return (
        f"{', '.join(names)} {agreeing('have', len(names))} different values in the environment"
        f" and in {path}: langkeys uses the environment's, a server started with that file uses"
        " the file's"
    )
