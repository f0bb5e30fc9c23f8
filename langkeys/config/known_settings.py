"""The settings that langkeys knows, under Langflow's own names, and values with their source."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from langkeys.errors import ConfigError, SecretKeyError
from langkeys.models import shown_without

TRUE_WORDS = frozenset({"true", "1", "yes", "on", "t", "y"})
FALSE_WORDS = frozenset({"false", "0", "no", "off", "f", "n"})


class Definition(NamedTuple):
    """The kind and default of a setting.

    ``kind`` is ``text``, ``secret`` (never shown), ``flag`` (a boolean as pydantic reads it) or
    ``choice`` (one of ``choices``).
    """

    kind: str
    default: str | None = None
    choices: tuple[str, ...] = ()


KNOWN: Mapping[str, Definition] = {
    "LANGFLOW_DATABASE_URL": Definition("text"),
    "LANGFLOW_CONFIG_DIR": Definition("text"),
    "LANGFLOW_SAVE_DB_IN_CONFIG_DIR": Definition("flag", "false"),
    "LANGFLOW_SECRET_KEY": Definition("secret"),
    "LANGFLOW_AUTO_LOGIN": Definition("flag", "false"),
    "LANGFLOW_SKIP_AUTH_AUTO_LOGIN": Definition("flag"),
    "LANGFLOW_SUPERUSER": Definition("text", "langflow"),
    "LANGFLOW_SUPERUSER_PASSWORD": Definition("secret"),
    "LANGFLOW_API_KEY": Definition("secret"),
    "LANGFLOW_API_KEY_SOURCE": Definition("choice", "db", ("db", "env")),
    "LANGFLOW_URL": Definition("text"),
    "LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT": Definition("text"),
    "LANGFLOW_STORE_ENVIRONMENT_VARIABLES": Definition("flag", "true"),
    "LANGFLOW_FALLBACK_TO_ENV_VAR": Definition("flag", "true"),
    "LANGFLOW_VARIABLE_STORE": Definition("choice", "db", ("db", "kubernetes")),
    "LANGFLOW_DISABLE_TRACK_APIKEY_USAGE": Definition("flag", "false"),
    "LANGKEYS_API_KEY": Definition("secret"),
    "LANGKEYS_AUDIT_LOG": Definition("text"),
}
"""The settings that langkeys reads; ``NAME_FILE`` names a file with the value of NAME."""

EXACT = "LANGFLOW_DATABASE_URL"
"""The only name that servers read in this spelling alone; other names may be in any case."""

DECIDING = (
    EXACT,
    "LANGFLOW_CONFIG_DIR",
    "LANGFLOW_SAVE_DB_IN_CONFIG_DIR",
    "LANGFLOW_SECRET_KEY",
    "LANGFLOW_AUTO_LOGIN",
    "LANGFLOW_SUPERUSER",
    "LANGFLOW_SUPERUSER_PASSWORD",
)
"""Settings that decide which store langkeys writes to, and as which user."""

DECIDED_BY: Mapping[str, tuple[str, ...]] = {
    "store": (EXACT,),
    "secret_key": ("LANGFLOW_SECRET_KEY",),
    "unauthenticated": ("LANGFLOW_SUPERUSER", "LANGFLOW_SUPERUSER_PASSWORD"),
}
"""Error codes that a missing ``.env`` can explain, if none of these settings is given."""

UNPREFIXED = "langkeys only reads it with its prefix, though a Langflow server may read it without"
"""The end of a warning about a name without its prefix in the ``.env`` file."""

ENV_FILE = "LANGKEYS_ENV_FILE"
"""The setting that names the ``.env`` file; it is read only from the process environment."""

_QUOTES = "\"'"


class Value(NamedTuple):
    """A setting's text, and its source in words.

    ``file`` is the file that NAME_FILE names; ``dropped`` is the newline removed from the end of
    its content. ``is_in_env_file``: the ``.env`` file contains the value or NAME_FILE.
    ``is_expanded``: the value contained ``${...}``.
    """

    name: str
    text: str
    source: str
    file: Path | None = None
    dropped: str = ""
    is_in_env_file: bool = False
    is_expanded: bool = False

    def __repr__(self) -> str:
        return shown_without(self, "text", "dropped")

    @property
    def is_default(self) -> bool:
        """Whether the value is the setting's default."""
        return self.source == "default"

    @property
    def shown(self) -> str:
        """The text for an error message; hidden if it comes from a file, which may hold secrets."""
        return repr(self.text) if self.file is None else f"(the content of {self.file})"

    @property
    def quotes_hint(self) -> str | None:
        """A hint that the quotes around the text are part of the value, if there are any."""
        if len(self.text) > 1 and self.text[0] == self.text[-1] and self.text[0] in _QUOTES:
            return (
                f"the value of {self.name} has quotes around it that are part of the"
                " value: docker --env-file and kubectl do not remove them. Write it"
                " without quotes"
            )
        return None


class Given(NamedTuple):
    """A setting's name, as spelled in one source, and its text there."""

    spelling: str
    text: str
    is_expanded: bool = False


def canonical_name(name: str) -> str:
    """Return the name of a setting as ``KNOWN`` spells it, for a name in any case.

    The name of the database URL is case-sensitive and stays as it is.
    """
    upper = name.upper()
    return name if upper == EXACT else upper


def is_setting(name: str) -> bool:
    """Tell whether this is a setting that langkeys reads, in any case."""
    return name.upper().removesuffix("_FILE") in KNOWN or name.upper() == ENV_FILE


def require_text(name: str, text: str, source: str) -> None:
    """Raise ConfigError, or SecretKeyError for the secret key, if a value is not UTF-8 text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        error_class = SecretKeyError if name == "LANGFLOW_SECRET_KEY" else ConfigError
        raise error_class(f"{name} ({source}) is not UTF-8 text") from None
