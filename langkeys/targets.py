"""The database that a setting names, before it is opened."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from langkeys.models import shown_without
from langkeys.paths import absolute_path

_BESIDE = ("", "-wal", "-shm", "-journal")


class Target(NamedTuple):
    """A database, which may not exist.

    ``scheme`` decides which engine of ``langkeys.store.engines`` opens it. ``file`` is the database
    file; None for a database on a server. For a database on a server, ``parameters`` are its
    connection parameters, ``url`` is the setting as given, and ``shown`` is the URL without the
    password. ``environment`` contains variables of the ``.env`` file for PostgreSQL's own library
    (``PGHOST`` ...).
    """

    scheme: str
    file: Path | None = None
    parameters: Mapping[str, str] = MappingProxyType({})
    url: str = ""
    shown: str = ""
    environment: Mapping[str, str] = MappingProxyType({})

    def __repr__(self) -> str:
        return shown_without(self, "parameters", "url", "environment")

    @property
    def location(self) -> str:
        """The path, or the URL without the password, for messages."""
        return self.shown if self.file is None else str(self.file)

    @property
    def folder(self) -> Path | None:
        """The folder of the database file; None for a database on a server."""
        return None if self.file is None else absolute_path(self.file).parent

    @property
    def files(self) -> list[Path]:
        """The files of the database, whether they exist or not."""
        if self.file is None:
            return []
        path = absolute_path(self.file)
        return [path.with_name(f"{path.name}{end}") for end in _BESIDE]

    @property
    def setting(self) -> str:
        """A value of LANGFLOW_DATABASE_URL that is valid in any working folder."""
        return self.url if self.file is None else str(absolute_path(self.file))
