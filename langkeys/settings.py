"""Every setting with its source: option, then process environment, then ``.env``, then default.

The only module that reads ``os.environ`` and ``.env`` files. python-dotenv is imported when there
is an ``.env`` to read and not before: it costs a third of a small command's start.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from langkeys.errors import ConfigError, SecretKeyError
from langkeys.files import read_secret, read_text
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

UNPREFIXED = "langkeys does not read it without its prefix, though a Langflow server may"
"""Servers started with ``--env-file`` do read the names of their authentication settings so."""

ENV_FILE = "LANGKEYS_ENV_FILE"
"""Names the ``.env`` file; read from the process environment only."""


class Value(NamedTuple):
    """A setting's text and where it came from, in words."""

    name: str
    text: str
    source: str

    def __repr__(self) -> str:
        return shown_without(self, "text")

    @property
    def is_default(self) -> bool:
        """Whether nobody set it."""
        return self.source == "default"


class Settings:
    """The settings of one invocation.

    ``options`` are values given on the command line: for a setting's name its text and the option
    that gave it. Each lookup raises ConfigError where the value does not parse, naming the
    variable, its source and what it may be.
    """

    def __init__(
        self,
        options: Mapping[str, tuple[str, str]] | None = None,
        *,
        env_file: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.environ = os.environ if environ is None else environ
        self._options = dict(options or {})
        self._env_file_named = env_file
        self.reload()

    def reload(self) -> None:
        """Read the ``.env`` file again, and forget what was found."""
        self.env_file, self._dotenv = self._read_env_file(self._env_file_named)
        self._values: dict[str, Value | None] = {}
        self._env_file_state = self._state()

    def reload_if_changed(self) -> None:
        """Read the ``.env`` file again if another one is in its place: a rotation does that."""
        if self._env_file_state != self._state():
            self.reload()

    def _state(self) -> tuple[int, int] | None:
        try:
            found = None if self.env_file is None else self.env_file.stat()
        except OSError:
            return None
        return None if found is None else (found.st_ino, found.st_mtime_ns)

    def _read_env_file(self, named: str | None) -> tuple[Path | None, Mapping[str, str]]:
        source = "--env-file"
        if named is None:
            named, source = self.environ.get(ENV_FILE) or None, ENV_FILE
        if named is None:
            path = Path(".env")
            if not path.is_file():
                return None, {}
        else:
            path = Path(named)
        by = "" if named is None else f" (named by {source})"
        return path.absolute(), read_dotenv(path.absolute(), by=by)

    @property
    def unprefixed_names(self) -> list[str]:
        """Names in the ``.env`` file that lack their prefix; see ``UNPREFIXED``."""
        found = []
        for name in self._dotenv:
            for full in (f"LANGFLOW_{name}", f"LANGKEYS_{name}"):
                if full.removesuffix("_FILE") in KNOWN:
                    found.append(f"{name} (did you mean {full}?)")
        return found

    @property
    def env_file_has_secrets(self) -> bool:
        """Whether the ``.env`` file gives a secret itself."""
        return any(KNOWN[name].kind == "secret" and self._dotenv.get(name) for name in KNOWN)

    def env_file_text(self, name: str) -> str | None:
        """Return what the ``.env`` file says of a setting, in force or not."""
        return self._dotenv.get(name) or None

    @property
    def env_file_values(self) -> Mapping[str, str]:
        """Everything that the ``.env`` file says, settings of langkeys or not."""
        return self._dotenv

    def value_files(self) -> Iterator[tuple[str, Path]]:
        """Yield the settings whose value is in a file that ``NAME_FILE`` names, with the file."""
        for name in KNOWN:
            for values in (self.environ, self._dotenv):
                if values.get(f"{name}_FILE"):
                    yield name, Path(values[f"{name}_FILE"])
                    break

    def find(self, name: str) -> Value | None:
        """Return a setting that somebody gave, or its default, or None; empty counts as unset."""
        if name not in self._values:
            self._values[name] = self._found(name)
        return self._values[name]

    def _found(self, name: str) -> Value | None:
        definition = KNOWN[name]
        if name in self._options:
            return Value(name, *self._options[name])
        for source, values in (
            ("environment", self.environ),
            (str(self.env_file), self._dotenv),
        ):
            direct, file_name = values.get(name), values.get(f"{name}_FILE")
            if direct and file_name:
                raise ConfigError(
                    f"{name} and {name}_FILE are both set ({source})", hint="set one of the two"
                )
            for text in (direct or "", file_name or ""):
                _require_text(name, text, source)
            if direct:
                return Value(name, direct, source)
            if file_name:
                return Value(
                    name,
                    _file_content(name, file_name, source),
                    f"file {file_name}, named by {name}_FILE ({source})",
                )
        if definition.default is not None:
            return Value(name, definition.default, "default")
        return None

    def is_given(self, name: str) -> bool:
        """Tell whether somebody gave this setting."""
        value = self.find(name)
        return value is not None and not value.is_default

    def text(self, name: str) -> str | None:
        """Return a setting's text, or None."""
        value = self.find(name)
        if value is None:
            return None
        definition = KNOWN[name]
        if definition.choices and value.text.lower() not in definition.choices:
            raise ConfigError(
                f"{name}={value.text!r} ({value.source}) is not one of its values",
                hint=f"it may be {' or '.join(definition.choices)}",
            )
        return value.text.lower() if definition.choices else value.text

    def flag(self, name: str) -> bool | None:
        """Return a boolean setting by pydantic's words, as Langflow reads it, or None."""
        value = self.find(name)
        if value is None:
            return None
        word = value.text.strip().lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise ConfigError(
            f"{name}={value.text!r} ({value.source}) is not a boolean",
            hint="it may be true/false, 1/0, yes/no, on/off, t/f or y/n, in any case",
        )

    def check(self) -> None:
        """Raise ConfigError for the first setting that does not parse, used or not.

        A Langflow server refuses to start on such a value; finding it before acting beats acting
        on half of what the operator meant.
        """
        for name, definition in KNOWN.items():
            if definition.kind == "flag":
                self.flag(name)
            elif definition.kind == "choice":
                self.text(name)

    @property
    def auto_login(self) -> bool:
        """``LANGFLOW_AUTO_LOGIN``; false where unset, whatever a server would make of that."""
        return bool(self.flag("LANGFLOW_AUTO_LOGIN"))

    @property
    def superuser(self) -> str:
        """``LANGFLOW_SUPERUSER``, by Langflow's own default ``langflow``."""
        value = self.find("LANGFLOW_SUPERUSER")
        assert value is not None  # it has a default
        return value.text


def _require_text(name: str, text: str, source: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        error_class = SecretKeyError if name == "LANGFLOW_SECRET_KEY" else ConfigError
        raise error_class(f"{name} ({source}) is not UTF-8 text") from None


def _file_content(name: str, file_name: str, source: str) -> str:
    error = SecretKeyError if name == "LANGFLOW_SECRET_KEY" else ConfigError
    by = f", named by {name}_FILE ({source})"
    return read_secret(Path(file_name), f"the value of {name}", error=error, by=by)


def read_dotenv(path: Path, *, by: str = "") -> Mapping[str, str]:
    """Read the names and values of a dotenv file, as a server started with ``--env-file`` does.

    ``by`` says in an error who named the file. Raises ConfigError; no value is in its message.
    """
    text = read_text(path, "settings", error=ConfigError, by=by)
    return parsed_dotenv(text, str(path)) if text.strip() else {}


def dotenv_lines(text: str) -> list[tuple[str | None, str | None, str]]:
    """Split a dotenv file into its parts: name, value as it is written, and the part itself.

    Together the parts are the whole text.
    """
    from io import StringIO

    from dotenv.parser import parse_stream

    bindings = parse_stream(StringIO(text, newline=""))
    return [(binding.key, binding.value, binding.original.string) for binding in bindings]


def failpoint() -> str:
    """Return where a test wants this process to fail; see ``langkeys.failpoints``."""
    return os.environ.get("LANGKEYS_FAILPOINT", "")


def parsed_dotenv(text: str, source: str) -> Mapping[str, str]:
    """Read the text of a dotenv file, called ``source`` in errors; see ``read_dotenv``."""
    from io import StringIO

    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            # The line itself stays out of the message: it may hold a secret.
            raise ConfigError(
                f"line {binding.original.line} of {source} is not NAME=VALUE",
                hint="correct or remove the line; values with spaces or # need quotes",
            )
    # Interpolated as a server does it that is started with --env-file.
    found = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in found.items() if value is not None}
