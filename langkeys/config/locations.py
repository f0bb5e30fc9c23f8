"""Find the config folder, the database and the secret key of a Langflow server.

This follows Langflow's own rules (``lfx.services.settings``). So langkeys uses the same database
and secret key as the server on this machine, without extra settings.
"""

import importlib.util
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from langkeys.config.env_file import conflict_warning
from langkeys.config.known_settings import Value
from langkeys.config.settings import Settings
from langkeys.config.urls import file_of, is_path, scheme_of
from langkeys.errors import (
    ConfigError,
    ConflictError,
    LangkeysError,
    SecretKeyError,
    StoreError,
    UnsupportedError,
    UsageError,
)
from langkeys.files.reading import find_bytes, is_file, is_there
from langkeys.models import shown_without
from langkeys.paths import absolute_path
from langkeys.targets import Target
from langkeys.text import unshowable_in

DATABASE_NAME = "langflow.db"
PRE_RELEASE_NAME = "langflow-pre.db"
"""The name that pre-releases of Langflow use; at their first start they copy the other file."""
AUDIT_LOG_NAME = "langkeys-audit.jsonl"
SERVER_SCHEMES = frozenset(
    f"{name}{driver}"
    for name in ("postgresql", "postgres")
    for driver in ("", "+psycopg", "+psycopg2", "+psycopg_async", "+asyncpg", "+pg8000")
)
"""URL schemes of databases on a server, with or without a driver."""
ROTATION_SUFFIX = ".langkeys-rotation"
"""The end of the names of files that an interrupted secret-key rotation leaves behind."""
SECRET_KEY_NAME = "secret_key"  # noqa: S105 - a file name


class Location(NamedTuple):
    """A path, and the setting or rule that determined it."""

    path: Path
    source: str


class DatabaseLocation(NamedTuple):
    """A database, and the setting or rule that determined it."""

    target: Target
    source: str
    is_relative: bool = False
    warnings: tuple[str, ...] = ()
    """Reasons why a server would not start with this setting."""


class SecretKey(NamedTuple):
    """A secret key, its source, and the file that contains it, if there is one."""

    text: str
    source: str
    path: Path | None = None

    def __repr__(self) -> str:
        return shown_without(self, "text")


def config_folder(settings: Settings) -> Location:
    """Return ``LANGFLOW_CONFIG_DIR``, or Langflow's default: a cache folder."""
    value = settings.find("LANGFLOW_CONFIG_DIR")
    if value is not None:
        path = Path(value.text)
        if value.quotes_hint is not None and not path.exists():
            raise ConfigError(
                f"LANGFLOW_CONFIG_DIR ({value.source}) is not a folder", hint=value.quotes_hint
            )
        settings.require_vouched(value, path.absolute(), "a config folder")
        return Location(path, f"LANGFLOW_CONFIG_DIR ({value.source})")
    from platformdirs import user_cache_path

    try:
        path = user_cache_path("langflow", "langflow")
    except (RuntimeError, OSError):
        path = Path("~")
    if not path.is_absolute():
        # The user has neither HOME nor an entry in the user database, as in OpenShift.
        raise ConfigError(
            "there is no config folder: LANGFLOW_CONFIG_DIR is not set, and this user has no home"
            " folder",
            hint="set LANGFLOW_CONFIG_DIR to the server's config folder",
        )
    return Location(path, "default")


def database(settings: Settings) -> DatabaseLocation:
    """Return the database that the settings select, whether it exists or not.

    Raises ConfigError for an invalid URL, and if two databases are possible and no setting decides
    between them. Raises UnsupportedError for an unsupported database engine. No message contains
    the URL's password.
    """
    value = settings.find("LANGFLOW_DATABASE_URL")
    if value is not None:
        source = value.source if value.source.startswith("--") else f"{value.name} ({value.source})"
        if scheme_of(value.text.lower()) in SERVER_SCHEMES:
            return _on_server(value, source, settings)
        path = _sqlite_path(value, source)
        if value.file is not None:
            for shown in (path, absolute_path(path)):
                settings.conceal(str(shown))
                settings.conceal("" if shown.parent == Path(shown.anchor) else str(shown.parent))
        settings.require_vouched(value, path.absolute(), "a database")
        return DatabaseLocation(_file(path), source, is_relative=not path.is_absolute())
    folder = config_folder(settings)
    if not settings.flag("LANGFLOW_SAVE_DB_IN_CONFIG_DIR"):
        package = langflow_package()
        if package is not None:
            path = _database_in(package)
            if is_file(path):
                return DatabaseLocation(_file(path), "the installed langflow package")
    path = _database_in(folder.path)
    if settings.flag("LANGFLOW_SAVE_DB_IN_CONFIG_DIR"):
        for name in ("LANGFLOW_CONFIG_DIR", "LANGFLOW_SAVE_DB_IN_CONFIG_DIR"):
            settings.require_vouched(settings.find(name), path, "a database")
    return DatabaseLocation(_file(path), f"{path.name} in the config folder ({folder.source})")


def langflow_package() -> Path | None:
    """Return the folder of the langflow package in this environment; None if there is none."""
    spec = importlib.util.find_spec("langflow")
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent


def new_database(settings: Settings) -> Target:
    """Return where ``init`` creates a database: as configured, else next to a new ``.env``."""
    if settings.env_file is None and not is_database_given(settings):
        return _file(absolute_path(Path(DATABASE_NAME)))
    target = database(settings).target
    return target if target.file is None else _file(absolute_path(target.file))


def _on_server(value: Value, source: str, settings: Settings) -> DatabaseLocation:
    from langkeys.config import server_environment
    from langkeys.config.server_urls import BadURLError, parsed_server_url, shown_server_url

    try:
        url = parsed_server_url(value.text)
    except BadURLError as error:
        raise ConfigError(f"the URL of the database ({source}) {error}") from None
    if value.source.startswith("--") and url.has_password:
        raise UsageError(
            f"{value.source} has a password in its URL, which is in the shell's history and in the"
            " list of processes",
            hint="set LANGFLOW_DATABASE_URL, or PGPASSWORD, or use a ~/.pgpass file; and change"
            " that password",
        )
    added = server_environment.added_variables(settings)
    server_environment.require_own_password(settings, value, url.parameters, added)
    place = server_environment.effective_parameters(settings, url.parameters, added)
    shown = shown_server_url(value.text, place)
    if value.file is not None:
        for text in (shown, *url.parameters.values()):
            settings.conceal(text)
    warnings = tuple(
        f"a Langflow 1.13 server would not start with the URL of the database ({source}): {refusal}"
        for refusal in url.refusals
    )
    if names := server_environment.differing(settings):
        warnings += (conflict_warning(names, settings.env_file),)
    target = Target(
        "postgresql", parameters=url.parameters, url=value.text, shown=shown, environment=added
    )
    return DatabaseLocation(target, source, warnings=warnings)


def _file(path: Path) -> Target:
    return Target("sqlite", file=path)


def _database_in(folder: Path) -> Path:
    """Return the database in a folder that a server without a URL uses; it may not exist."""
    path, of_pre_release = folder / DATABASE_NAME, folder / PRE_RELEASE_NAME
    if not is_file(of_pre_release):
        return path
    if is_file(path):
        raise ConfigError(
            f"there are {path} and {of_pre_release}: a release of Langflow uses the one, a"
            " pre-release the other",
            hint="specify which one to use with --database or LANGFLOW_DATABASE_URL",
        )
    return of_pre_release


def is_database_given(settings: Settings) -> bool:
    """Tell whether a setting names the database, or its folder."""
    return settings.is_given("LANGFLOW_DATABASE_URL") or bool(
        settings.flag("LANGFLOW_SAVE_DB_IN_CONFIG_DIR")
    )


def database_url(target: Target) -> str:
    """Return a new database's URL for Langflow; ConfigError if no URL can express its path."""
    text = target.location
    if "?" in text or "${" in text or unshowable_in(text):
        raise ConfigError(
            f"a database URL in a .env file cannot hold the path {text!r}",
            hint="use a folder without ? or ${ in its name, or set LANGFLOW_DATABASE_URL yourself",
        )
    return f"sqlite:///{text}"


def explain_missing(settings: Settings, error: StoreError) -> None:
    """Explain in an error why the database file is missing, and what to do."""
    found = database(settings)
    if found.target.file is None or is_there(found.target.file):
        return
    said = "specify the server's database with --database or LANGFLOW_DATABASE_URL"
    if found.is_relative:
        said = (
            f"{found.source} is relative to the current folder, {Path.cwd()}; for an"
            " absolute path, use sqlite://// with four slashes or a path from /"
        )
    error.hint = f"{said}; to create a new store: langkeys init"


def _sqlite_path(value: Value, source: str) -> Path:
    text = value.text
    if value.quotes_hint is not None:
        raise ConfigError(f"{source} does not name a SQLite file", hint=value.quotes_hint)
    scheme, separator, rest = text.partition("://")
    if not separator:
        path_text = text if is_path(text) else ""
    elif scheme in ("sqlite", "sqlite+aiosqlite"):
        # As in SQLAlchemy: a relative path after three slashes, or an absolute one after four;
        # percent signs are not decoded.
        path_text = file_of(rest)
    else:
        named = scheme_of(text)
        raise UnsupportedError(
            f"{source} names {(f'a {named}' if named else 'another')} database;"
            " langkeys supports SQLite and PostgreSQL",
            hint="use sqlite:///PATH, a plain path, or postgresql://USER@HOST/DATABASE",
        )
    if not path_text or path_text.startswith((":memory:", "file:")) or "\0" in path_text:
        raise ConfigError(
            f"{source} does not name a SQLite file",
            hint="use sqlite:///relative/langflow.db, sqlite:////absolute/langflow.db or a path",
        )
    return Path(path_text)


def secret_key_file(settings: Settings) -> Path:
    """Return the path of the file that a server reads if ``LANGFLOW_SECRET_KEY`` is not set."""
    return config_folder(settings).path / SECRET_KEY_NAME


def find_secret_key(settings: Settings) -> SecretKey | None:
    """Return the secret key that a server would use, or None if there is none yet.

    The file is read as a server reads it: a newline at its end is part of the key. Raises
    SecretKeyError if the file exists but cannot be read.
    """
    value = settings.find("LANGFLOW_SECRET_KEY")
    if value is not None:
        return SecretKey(value.text, f"LANGFLOW_SECRET_KEY ({value.source})")
    path = secret_key_file(settings)
    content = find_bytes(path, "the secret key", error=SecretKeyError)
    if content is None:
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretKeyError(f"the secret key file {path} is not UTF-8 text") from None
    # Convert every line ending to \n, as servers do.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return SecretKey(text, f"file {path}", path) if text else None


def refuse_own_file(settings: Settings, path: Path) -> None:
    """Raise ConflictError for a file that the deployment itself uses.

    Writing an API key over the database, the settings, the secret key or the audit log would
    destroy them, even if the user asked to replace the file.
    """
    own: list[tuple[Path, str]] = []
    with suppress(LangkeysError):
        own += [(path, "the database") for path in database(settings).target.files]
    with suppress(LangkeysError):
        own.append((secret_key_file(settings).absolute(), "the secret key"))
    if settings.env_file is not None:
        own.append((settings.env_file, "the settings file"))
    own += [(file.absolute(), f"{name}_FILE") for name, file in settings.all_value_files()]
    with suppress(LangkeysError):
        log = settings.find("LANGKEYS_AUDIT_LOG")
        own.append((Path(log.text).absolute(), "the audit log") if log else (Path(), ""))
    wanted = path.absolute()
    for file, what in own:
        if what and (wanted == file or _real(wanted) == _real(file)):
            raise ConflictError(
                f"{wanted} is {what} of this deployment, and is not overwritten",
                hint="choose another file",
            )
    if wanted.name == AUDIT_LOG_NAME or wanted.name.endswith(ROTATION_SUFFIX):
        raise ConflictError(
            f"{wanted} has the name of one of langkeys' own files, and is not overwritten",
            hint="choose another file",
        )


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


def get_secret_key(settings: Settings) -> SecretKey:
    """Return the secret key that a server would use; raise SecretKeyError if there is none."""
    secret_key = find_secret_key(settings)
    if secret_key is None:
        raise SecretKeyError(
            "there is no secret key: LANGFLOW_SECRET_KEY is not set and"
            f" {secret_key_file(settings)} does not exist",
            hint="set LANGFLOW_SECRET_KEY, or LANGFLOW_CONFIG_DIR to the server's folder",
        )
    return secret_key
