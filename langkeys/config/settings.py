"""Settings with their source: option, then process environment, then ``.env``, then default.

The case of names does not matter, as on servers, except for LANGFLOW_DATABASE_URL. How far the
``.env`` file is trusted depends on its owner: see ``langkeys.files.ownership``.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from langkeys.config.env_file import read_env_file
from langkeys.config.known_settings import (
    DECIDED_BY,
    DECIDING,
    ENV_FILE,
    EXACT,
    FALSE_WORDS,
    KNOWN,
    TRUE_WORDS,
    UNPREFIXED,
    Given,
    Value,
    canonical_name,
    is_setting,
    require_text,
)
from langkeys.errors import ConfigError, LangkeysError, SecretKeyError
from langkeys.files import ownership
from langkeys.files.reading import is_file, is_there, read_text, without_newline
from langkeys.paths import absolute_path
from langkeys.text import joined

_ENVIRONMENT = "environment"


class Settings:
    """The settings of one invocation.

    ``options`` are values from the command line: for each setting, the text and the option that
    gave it. A lookup raises ConfigError if the value is invalid. The error names the setting, its
    source and the valid values.
    """

    def __init__(
        self,
        options: Mapping[str, tuple[str, str]] | None = None,
        *,
        env_file: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.environ = os.environ if environ is None else environ
        self._concealed: set[str] = set()
        self._options = dict(options or {})
        self._env_file_named = env_file
        self.reload()

    def reload(self) -> None:
        """Read the ``.env`` file again, and forget cached values."""
        self._given = {name: Given(name, text) for name, text in _canonical(self.environ)}
        named, source = self._env_file_named, "--env-file"
        if named is None and ENV_FILE in self._given:
            named, source = self._given[ENV_FILE].text, ENV_FILE
        found = read_env_file(
            named, source, self.environ, lambda name: is_setting(name) or name.startswith("PG")
        )
        self.env_file, self.is_env_file_named = found.path, found.is_named
        self.foreign_owner = found.foreign_owner
        """The owner of an implicit ``.env`` (no --env-file), if neither the caller nor root."""
        self._dotenv = found.content
        self._in_file = {
            canonical_name(binding.name): Given(binding.name, binding.value, binding.is_expanded)
            for binding in self._dotenv.bindings
            if binding.value
        }
        self._values: dict[str, Value | None] = {}
        self._env_file_state = self._state()

    def reload_if_changed(self) -> None:
        """Read the ``.env`` file again if it has been replaced, for example by a rotation."""
        if self._env_file_state != self._state():
            self.reload()

    def _state(self) -> tuple[int, int] | None:
        try:
            found = None if self.env_file is None else self.env_file.stat()
        except OSError:
            return None
        return None if found is None else (found.st_ino, found.st_mtime_ns)

    def require_vouched(self, value: Value | None, path: Path, what: str) -> None:
        """Raise ConfigError if another user's ``.env`` names a path that is not that user's.

        ``value`` is the setting that names ``path``. With --env-file, the user accepts all paths in
        the file.
        """
        owner = self.foreign_owner
        if owner is None or value is None or not value.is_in_env_file:
            return
        owners = {owner} if os.geteuid() == ownership.ROOT else {owner, *ownership.caller_ids()}
        if not ownership.belongs_to(path, frozenset(owners)):
            raise ConfigError(
                f"{self.env_file} belongs to {ownership.user_name(owner)}, but its"
                f" {value.name} points to {what} of another user:"
                f" {(path if value.file is None else value.shown)}",
                hint=f"to trust it, use --env-file {self.env_file}",
            )

    def conceal(self, text: str) -> None:
        """Remember a text that comes from a file; ``explain`` removes it from error messages."""
        self._concealed.add(text)

    def explain(self, error: LangkeysError) -> None:
        """Remove texts that come from files from an error; add a hint if there is no ``.env``."""
        for value in self._values.values():
            if value is not None and value.file is not None:
                self._concealed |= {value.text, str(Path(value.text)), _without_dots(value.text)}
        # Replace the longest text first, because it may contain a shorter one.
        for text in sorted(filter(None, self._concealed), key=len, reverse=True):
            error.message = error.message.replace(text, "(from a file)")
            error.hint = error.hint and error.hint.replace(text, "(from a file)")
            error.candidates = tuple(
                line.replace(text, "(from a file)") for line in error.candidates
            )
        if self.env_file is None and error.code in DECIDED_BY:
            self._explain_no_env_file(error)
        error.args = (error.message,)

    def _explain_no_env_file(self, error: LangkeysError) -> None:
        here = Path.cwd()
        said = f"there is no .env in {here}"
        deciding = DECIDED_BY.get(error.code, ())
        # Check only the names: reading a value may raise the same error again.
        names = [spelling for name in deciding for spelling in (name, f"{name}_FILE")]
        if any(name in self._options or self._given.get(name) for name in names):
            return
        if not error.message.startswith(said):
            error.message = f"{said}; {error.message}"
            above = (folder / ".env" for folder in here.parents)
            if (found := next(filter(is_file, above), None)) is not None:
                one = f"a parent folder has one: use --env-file {found}"
                error.hint = f"{one}; {error.hint}" if error.hint else one

    def server_url(self, key: Value | None) -> str | None:
        """Return LANGFLOW_URL, or None, for a request with ``key`` (None: a key from stdin).

        Raises ConfigError if the address contains a variable. Raises ConfigError also if another
        user's ``.env`` gives the address but not the key: the address could send the key to that
        user.
        """
        value = self.find("LANGFLOW_URL")
        if value is None:
            return None
        if value.is_expanded or "${" in value.text:
            raise ConfigError(
                f"LANGFLOW_URL ({value.source}) has a ${{...}}, which could put a"
                " secret into the address",
                hint="write the address without it, or use --url",
            )
        is_theirs = key is not None and key.is_in_env_file and not key.is_expanded
        if self.foreign_owner is not None and value.is_in_env_file and not is_theirs:
            raise ConfigError(
                f"LANGFLOW_URL is from {self.env_file}, which belongs to"
                f" {ownership.user_name(self.foreign_owner)}, but the API key is not"
                " from that file, so it is not sent there",
                hint="use --url with the address, or trust the file with --env-file"
                f" {self.env_file}",
            )
        return value.text

    @property
    def warnings(self) -> list[str]:
        """Warnings about the settings, shown before anything is done."""
        said = list(self._dotenv.warnings)
        names: list[str] = [*self.environ, *self._dotenv.values]
        for name in dict.fromkeys(names):
            if name.upper() == EXACT and name != EXACT:
                said.append(f"{name} is ignored: servers only read {EXACT} in that spelling")
        said += [f"{self.env_file} sets {name}; {UNPREFIXED}" for name in self.unprefixed_names]
        return said

    @property
    def conflicts(self) -> list[str]:
        """Settings that differ between a named ``.env`` and the environment; see ``DECIDING``.

        langkeys uses the value in the environment; a server started with ``--env-file`` uses the
        value in the file.
        """
        if not self.is_env_file_named:
            return []
        return [
            name
            for name in DECIDING
            if name in self._given
            and name in self._in_file
            and self._given[name].text != self._in_file[name].text
        ]

    @property
    def unprefixed_names(self) -> list[str]:
        """Names in the ``.env`` file that lack a prefix; see ``UNPREFIXED``."""
        found = []
        for name in self._dotenv.values:
            for full in (f"LANGFLOW_{name.upper()}", f"LANGKEYS_{name.upper()}"):
                if full.removesuffix("_FILE") in KNOWN:
                    found.append(f"{name} (did you mean {full}?)")
        return found

    @property
    def env_file_has_secrets(self) -> bool:
        """Whether the ``.env`` file itself contains a secret."""
        return any(KNOWN[name].kind == "secret" and name in self._in_file for name in KNOWN)

    def env_file_setting(self, name: str) -> str | None:
        """Return the value of a setting in the ``.env`` file, whether or not it is overridden."""
        found = self._in_file.get(name)
        return None if found is None else found.text

    @property
    def env_file_values(self) -> Mapping[str, str]:
        """All values in the ``.env`` file, including names that are not settings."""
        return self._dotenv.values

    def all_value_files(self) -> Iterator[tuple[str, Path]]:
        """Yield the items of ``value_files``, and the files that an overridden source names."""
        for given in (self._given, self._in_file):
            for name in KNOWN:
                if f"{name}_FILE" in given:
                    yield name, Path(given[f"{name}_FILE"].text)

    def value_files(self) -> Iterator[tuple[str, Path]]:
        """Yield each setting with a NAME_FILE, and the file that it names."""
        for name in KNOWN:
            for given in (self._given, self._in_file):
                if f"{name}_FILE" in given:
                    yield name, Path(given[f"{name}_FILE"].text)
                    break

    def find(self, name: str) -> Value | None:
        """Return a setting's value, or its default, or None; an empty value counts as unset."""
        if name not in self._values:
            self._values[name] = self._look_up(name)
        return self._values[name]

    def _look_up(self, name: str) -> Value | None:
        definition = KNOWN[name]
        if name in self._options:
            return Value(name, *self._options[name])
        for given, is_in_file in ((self._given, False), (self._in_file, True)):
            source = str(self.env_file) if is_in_file else _ENVIRONMENT
            direct, named = given.get(name), given.get(f"{name}_FILE")
            if direct and named:
                raise ConfigError(
                    f"{name} and {name}_FILE are both set ({source})", hint="set one of the two"
                )
            if direct or named:
                found = direct or named
                assert found is not None
                require_text(name, found.text, source)
                if found.spelling not in (name, f"{name}_FILE"):
                    source = f"{found.spelling} in {source}"
                value = Value(
                    name,
                    found.text,
                    source,
                    is_in_env_file=is_in_file,
                    is_expanded=found.is_expanded,
                )
                return value if direct else self._from_file(value)
        if definition.default is not None:
            return Value(name, definition.default, "default")
        return None

    def _from_file(self, named: Value) -> Value:
        """Return the value of a setting from the file that its NAME_FILE (``named``) names."""
        name, path = named.name, Path(named.text)
        if named.quotes_hint is not None and not is_there(path):
            raise ConfigError(
                f"the file {path} does not exist; it is set by {name}_FILE ({named.source})",
                hint=named.quotes_hint,
            )
        self.require_vouched(named, path, "a file")
        error = SecretKeyError if name == "LANGFLOW_SECRET_KEY" else ConfigError
        by = f", set by {name}_FILE ({named.source})"
        whole = read_text(path, f"the value of {name}", error=error, by=by)
        text = without_newline(whole)
        if not text:
            raise error(f"{path}{by} is empty; the value of {name} was expected in it")
        return named._replace(
            text=text,
            source=f"file {path}{by}",
            file=path,
            dropped=whole[len(text) :],
        )

    def is_given(self, name: str) -> bool:
        """Tell whether a setting has a value other than its default."""
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
                f"{name}={value.shown} ({value.source}) is not a valid value",
                hint=value.quotes_hint or f"use {joined(definition.choices, 'or')}",
            )
        return value.text.lower() if definition.choices else value.text

    def flag(self, name: str) -> bool | None:
        """Return a boolean setting, or None; it accepts the same words as pydantic in Langflow."""
        value = self.find(name)
        if value is None:
            return None
        word = value.text.strip().lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise ConfigError(
            f"{name}={value.shown} ({value.source}) is not a boolean",
            hint=value.quotes_hint
            or "use true/false, 1/0, yes/no, on/off, t/f or y/n, in any case",
        )

    def check(self) -> None:
        """Raise ConfigError for the first invalid setting, whether it is used or not.

        A Langflow server refuses to start with an invalid value. Raising an error is better than
        acting on only some of the operator's settings.
        """
        for name, definition in KNOWN.items():
            if definition.kind == "flag":
                self.flag(name)
            elif definition.kind == "choice":
                self.text(name)

    @property
    def auto_login(self) -> bool:
        """``LANGFLOW_AUTO_LOGIN``; false if unset, even if the server's default is true."""
        return bool(self.flag("LANGFLOW_AUTO_LOGIN"))

    @property
    def superuser(self) -> str:
        """``LANGFLOW_SUPERUSER``, or Langflow's default ``langflow``."""
        value = self.find("LANGFLOW_SUPERUSER")
        assert value is not None  # a setting with a default is never None
        return value.text


def _canonical(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    # If two spellings of a name have values, the later one counts, as on servers.
    for name, text in environ.items():
        if text and is_setting(name):
            yield canonical_name(name), text


def is_debugging() -> bool:
    """Tell whether an unexpected error is shown with its traceback."""
    return os.environ.get("LANGKEYS_DEBUG", "") not in ("", "0")


def temporary_folders() -> list[str]:
    """Return folders for SQLite's temporary files, in the order in which SQLite tries them."""
    named = [os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR")]
    return [*filter(None, named), "/var/tmp", "/usr/tmp", "/tmp", "."]  # noqa: S108 - SQLite's list


def _without_dots(text: str) -> str:
    """Return the path that messages show for a path with ``..``; empty for any other text."""
    if ".." not in text.split("/"):
        return ""
    try:
        path = absolute_path(Path(text))
    except ValueError:  # a NUL
        return ""
    return "" if path == Path(path.anchor) else str(path)
