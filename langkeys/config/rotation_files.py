"""Find the journal of a secret-key rotation, and where its backups go."""

import hashlib
import re
from pathlib import Path

from langkeys.config.locations import ROTATION_SUFFIX, SECRET_KEY_NAME, config_folder, database
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError
from langkeys.files.reading import is_there
from langkeys.paths import absolute_path

_PLACED_BY = ("user", "service")
"""What says which database it is where nothing names it."""
_MOST_NAMED = 120
"""Characters of a database on a server in names of files, which may have 255 bytes."""


def rotation_journal(settings: Settings) -> Path:
    """Return the path of the journal of a secret-key rotation.

    The journal is next to the database file, with links to that file resolved, so that all paths to
    the database share one journal. For a database on a server, it is in the config folder.
    """
    beside = backup_base(settings)
    return beside.with_name(f".{beside.name}{ROTATION_SUFFIX}")


def find_rotation_journal(settings: Settings) -> Path | None:
    """Return the journal of a running or interrupted rotation; None if there is none."""
    try:
        path = rotation_journal(settings)
    except ConfigError:
        return None  # without a config folder there is no journal
    return path if is_there(path) else None


def other_rotation_journals(settings: Settings) -> list[Path]:
    """Return the journals in the config folder, if a server has the database.

    Another URL of the same database (``localhost`` instead of ``127.0.0.1``) has another journal.
    """
    try:
        if database(settings).target.file is not None:
            return []
        folder = absolute_path(config_folder(settings).path)
    except ConfigError:
        return []
    staged = f".{SECRET_KEY_NAME}{ROTATION_SUFFIX}"
    return sorted(path for path in folder.glob(f".*{ROTATION_SUFFIX}") if path.name != staged)


def backup_base(settings: Settings) -> Path:
    """Return the common start of the paths of a rotation's journal and backups."""
    target = database(settings).target
    if target.file is not None:
        return target.file.resolve()
    from langkeys.config.server_environment import effective_parameters

    place = effective_parameters(settings, target.parameters, target.environment)
    parts = [place.get(name, "") for name in ("host", "port", "dbname")]
    named = re.sub(r"[^\w.-]", "_", "-".join(parts)).strip("-")[:_MOST_NAMED]
    if named != "-".join(parts) or not parts[-1]:
        # Other databases may have the same name in this form: other services, a/b and a_b.
        given = {**settings.environ, **target.environment}
        parts += [place.get(name) or given.get(f"PG{name.upper()}", "") for name in _PLACED_BY]
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        named = f"{named or target.scheme}-{digest[:8]}"
    return absolute_path(config_folder(settings).path) / named
