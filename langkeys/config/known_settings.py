"""The settings that there are, by Langflow's own names, and a value with where it came from."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from langkeys.errors import ConfigError, SecretKeyError
from langkeys.models import shown_without

TRUE_WORDS = frozenset({"true", "1", "yes", "on", "t", "y"})
FALSE_WORDS = frozenset({"false", "0", "no", "off", "f", "n"})


class Definition(NamedTuple):
    """What a setting may be.

    ``kind`` is ``text``, ``secret`` (never shown), ``flag`` (pydantic's words for a boolean) or
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
"""The settings that langkeys reads; each may also come from a file that ``NAME_FILE`` names."""

EXACT = "LANGFLOW_DATABASE_URL"
"""The one name that servers read only in this spelling."""

DECIDING = (
    EXACT,
    "LANGFLOW_CONFIG_DIR",
    "LANGFLOW_SAVE_DB_IN_CONFIG_DIR",
    "LANGFLOW_SECRET_KEY",
    "LANGFLOW_AUTO_LOGIN",
    "LANGFLOW_SUPERUSER",
    "LANGFLOW_SUPERUSER_PASSWORD",
)
"""What decides where something is written, and as whom."""

DECIDED_BY: Mapping[str, tuple[str, ...]] = {
    "store": (EXACT,),
    "secret_key": ("LANGFLOW_SECRET_KEY",),
    "unauthenticated": ("LANGFLOW_SUPERUSER", "LANGFLOW_SUPERUSER_PASSWORD"),
}
"""Codes of errors that a missing ``.env`` is behind, unless one of these settings is given."""

UNPREFIXED = "langkeys only reads it with its prefix, though a Langflow server may read it without"
"""Servers started with ``--env-file`` do read the names of their authentication settings so."""

ENV_FILE = "LANGKEYS_ENV_FILE"
"""Names the ``.env`` file; read from the process environment only."""

_QUOTES = "\"'"


class Value(NamedTuple):
    """A setting's text and where it came from, in words.

    ``file`` is the file that its NAME_FILE names, ``dropped`` the newline that was at the end of
    it. ``is_in_env_file``: the ``.env`` file gave it, or named that file. ``is_expanded``: a
    ``${...}`` stood in it.
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
        """Whether nobody set it."""
        return self.source == "default"

    @property
    def shown(self) -> str:
        """The text, for an error; not what came from a file, which may be any file's content."""
        return repr(self.text) if self.file is None else f"(the content of {self.file})"

    @property
    def quotes_hint(self) -> str | None:
        """What is to be said where quotes stand around the text: they are a part of it then."""
        if len(self.text) > 1 and self.text[0] == self.text[-1] and self.text[0] in _QUOTES:
            return (
                f"the value of {self.name} has quotes around it that are part of the"
                " value: docker --env-file and kubectl do not remove them. Write it"
                " without quotes"
            )
        return None


class Given(NamedTuple):
    """A name and its text as one source gives them."""

    spelling: str
    text: str
    is_expanded: bool = False


def folded(name: str) -> str:
    """Return the name of a setting in the spelling of ``KNOWN``, whatever case it is written in.

    The database URL's is another name in another case.
    """
    upper = name.upper()
    return name if upper == EXACT else upper


def is_setting(name: str) -> bool:
    """Tell whether langkeys reads a name, or would if it were written rightly."""
    return name.upper().removesuffix("_FILE") in KNOWN or name.upper() == ENV_FILE


def require_text(name: str, text: str, source: str) -> None:
    """Raise ConfigError, or SecretKeyError, for a value that no UTF-8 file could hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        error_class = SecretKeyError if name == "LANGFLOW_SECRET_KEY" else ConfigError
        raise error_class(f"{name} ({source}) is not UTF-8 text") from None
