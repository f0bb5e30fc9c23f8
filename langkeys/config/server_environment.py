"""The PG* variables that a server with the same ``.env`` would pass to PostgreSQL's library.

A server started with ``--env-file`` puts the whole file into its environment, where its driver
finds ``PGHOST``, ``PGPASSWORD`` and the others.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from langkeys.config.known_settings import Value
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError
from langkeys.files import ownership

NAMES: Mapping[str, str] = {
    "PGHOST": "host",
    "PGHOSTADDR": "hostaddr",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGUSER": "user",
    "PGSERVICE": "service",
}
"""The variables that determine the database, and the connection parameters that they set."""

_PASSWORD = "PGPASSWORD"  # noqa: S105 - the name of a variable
_FILES = (
    "PGPASSFILE", "PGSERVICEFILE", "PGSYSCONFDIR", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT",
    "PGSSLCRL", "PGSSLCRLDIR",
)  # fmt: skip
_NAME = re.compile("PG[A-Z_]+")


def is_server_variable(name: str) -> bool:
    """Tell whether PostgreSQL's library may read this name."""
    return _NAME.fullmatch(name) is not None


def added_variables(settings: Settings) -> dict[str, str]:
    """Return the PG* variables that the ``.env`` file adds to the environment.

    Raises ConfigError if the ``.env`` file belongs to another user, but names a file that does not
    belong to that user.
    """
    added = {
        name: text
        for name, text in settings.env_file_values.items()
        if text and is_server_variable(name) and not settings.environ.get(name)
    }
    for name in _FILES:
        if name in added:
            value = Value(name, added[name], str(settings.env_file), is_in_env_file=True)
            settings.require_vouched(value, Path(added[name]).absolute(), "a file")
    return added


def effective_parameters(
    settings: Settings, parameters: Mapping[str, str], added: Mapping[str, str]
) -> dict[str, str]:
    """Return the URL's parameters, completed from the variables that determine the database."""
    found = dict(parameters)
    if "service" in found or "PGSERVICE" in added or settings.environ.get("PGSERVICE"):
        return found  # a service takes precedence over the variables
    for name, parameter in NAMES.items():
        text = added.get(name) or settings.environ.get(name)
        if text and parameter not in ("user", "service"):
            found.setdefault(parameter, text)
    return found


def require_own_password(
    settings: Settings, url: Value, parameters: Mapping[str, str], added: Mapping[str, str]
) -> None:
    """Raise ConfigError if another user's ``.env`` could direct our password to a host."""
    names = [name for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE") if name in added]
    named = url.name if url.is_in_env_file else next(iter(names), None)
    if settings.foreign_owner is None or named is None:
        return
    if "password" in parameters:
        is_theirs = url.is_in_env_file
        source = url.name
    else:
        is_theirs = not settings.environ.get(_PASSWORD)
        source = _PASSWORD
    if not is_theirs:
        raise ConfigError(
            f"{named} is from {settings.env_file}, which belongs to"
            f" {ownership.user_name(settings.foreign_owner)}, but the password in {source} is not"
            " from that file, so it is not sent there",
            hint=f"trust the file with --env-file {settings.env_file}",
        )


def differing(settings: Settings) -> list[str]:
    """Return the variables that differ between a named ``.env`` file and the environment."""
    if not settings.is_env_file_named:
        return []
    return [
        name
        for name in (*NAMES, _PASSWORD)
        if (ours := settings.environ.get(name))
        and settings.env_file_values.get(name, ours) not in ("", ours)
    ]
