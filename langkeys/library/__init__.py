"""langkeys for programs: verify API keys in a gateway, administer them in a script.

The library does the same as the command line, with the same settings and services, but never prints
or asks. Notes and warnings go to the logger ``langkeys``.
"""

import os
from collections.abc import Mapping

from langkeys.config.known_settings import KNOWN
from langkeys.errors import ConfigError
from langkeys.library.store import LangflowStore

__all__ = ["LangflowStore", "open_store"]


def open_store(
    database: str | os.PathLike[str] | None = None,
    *,
    secret_key: str | None = None,
    settings: Mapping[str, str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    reason: str | None = None,
) -> "LangflowStore":
    """Open a Langflow database, with the command line's settings unless others are given.

    ``database`` is a path or URL. ``settings`` maps names of other settings (``LANGKEYS_API_KEY``,
    ``LANGFLOW_AUTO_LOGIN``, ...) to values. These take precedence over the process environment,
    which takes precedence over ``env_file`` or ``./.env``. ``reason`` goes into the audit trail.
    Raises StoreError if the database does not exist, ConfigError for an invalid setting.
    """
    given = dict(settings or {})
    if database is not None:
        given["LANGFLOW_DATABASE_URL"] = os.fspath(database)
    if secret_key is not None:
        given["LANGFLOW_SECRET_KEY"] = secret_key
    unknown = [name for name in given if name not in KNOWN]
    if unknown:
        raise ConfigError(
            f"open_store() has no setting {', '.join(unknown)}",
            hint=f"valid settings: {', '.join(KNOWN)}",
        )
    given = {name: text for name, text in given.items() if text}  # an empty value counts as unset
    return LangflowStore(
        given, env_file=None if env_file is None else os.fspath(env_file), reason=reason
    )
