"""Where a Langflow server keeps its things: config folder, database, secret key.

The rules are Langflow's own (``lfx.services.settings``), so that langkeys finds what the server
beside it uses without being told twice.
"""

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from langkeys.errors import ConfigError, SecretKeyError, UnsupportedError
from langkeys.settings import Settings

DATABASE_NAME = "langflow.db"
SECRET_KEY_NAME = "secret_key"  # noqa: S105 - a file name


@dataclass(frozen=True)
class Place:
    """A path and the setting or rule that led to it."""

    path: Path
    source: str


@dataclass(frozen=True)
class SecretKey:
    """The text of a secret key, where it came from, and the file that holds it, if one does."""

    text: str = field(repr=False)
    source: str
    path: Path | None = None


def config_folder(settings: Settings) -> Place:
    """Return ``LANGFLOW_CONFIG_DIR``, or the cache folder that Langflow uses without it."""
    value = settings.find("LANGFLOW_CONFIG_DIR")
    if value is not None:
        return Place(Path(value.text), f"LANGFLOW_CONFIG_DIR ({value.source})")
    from platformdirs import user_cache_path

    return Place(user_cache_path("langflow", "langflow"), "default")


def database(settings: Settings) -> Place:
    """Return the path of the SQLite database in force, whether it exists or not.

    Raises ConfigError for a URL that does not name a SQLite file, UnsupportedError for another
    database engine; a password in the URL does not show.
    """
    value = settings.find("LANGFLOW_DATABASE_URL")
    if value is not None:
        source = value.source if value.source.startswith("--") else f"{value.name} ({value.source})"
        return Place(_sqlite_path(value.text, source), source)
    folder = config_folder(settings)
    in_config_folder = Place(
        folder.path / DATABASE_NAME, f"{DATABASE_NAME} in the config folder ({folder.source})"
    )
    if settings.flag("LANGFLOW_SAVE_DB_IN_CONFIG_DIR"):
        return in_config_folder
    spec = importlib.util.find_spec("langflow")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).resolve().parent / DATABASE_NAME
        if path.is_file():
            return Place(path, "the installed langflow package")
    return in_config_folder


def is_database_given(settings: Settings) -> bool:
    """Tell whether a setting names the database, or the folder that it is in."""
    return settings.is_given("LANGFLOW_DATABASE_URL") or bool(
        settings.flag("LANGFLOW_SAVE_DB_IN_CONFIG_DIR")
    )


def database_url(path: Path) -> str:
    """Write a path as the SQLAlchemy URL that Langflow reads."""
    return f"sqlite:///{path}"


def _sqlite_path(text: str, source: str) -> Path:
    scheme, separator, rest = text.partition("://")
    if not separator:
        path_text = text
    elif scheme in ("sqlite", "sqlite+aiosqlite"):
        # As SQLAlchemy: three slashes and a relative path, or four for an absolute one.
        path_text = unquote(rest.removeprefix("/").partition("?")[0]) if rest[:1] == "/" else ""
    else:
        raise UnsupportedError(
            f"{source} names a {scheme or 'nameless'} database; langkeys works on SQLite",
            hint="use sqlite:///PATH or a plain path",
        )
    if not path_text or path_text.startswith((":memory:", "file:")) or "\0" in path_text:
        raise ConfigError(
            f"{source} does not name a SQLite file",
            hint="use sqlite:///relative/langflow.db, sqlite:////absolute/langflow.db or a path",
        )
    return Path(path_text)


def secret_key_file(settings: Settings) -> Path:
    """Return the path of the file that a server reads where ``LANGFLOW_SECRET_KEY`` is unset."""
    return config_folder(settings).path / SECRET_KEY_NAME


def find_secret_key(settings: Settings) -> SecretKey | None:
    """Return the secret key in force, or None where nobody made one yet.

    The file is read as a server reads it: a newline at its end is part of the key. Raises
    SecretKeyError where the file is there and cannot be read.
    """
    value = settings.find("LANGFLOW_SECRET_KEY")
    if value is not None:
        return SecretKey(value.text, f"LANGFLOW_SECRET_KEY ({value.source})")
    path = secret_key_file(settings)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretKeyError(
            f"cannot read the secret key file {path}: {error.strerror}",
            hint="run langkeys as a user who may read it (the server's own)",
        ) from None
    except UnicodeDecodeError:
        raise SecretKeyError(f"the secret key file {path} is not UTF-8 text") from None
    return SecretKey(text, f"file {path}", path) if text else None
