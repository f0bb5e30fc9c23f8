"""Where a database is: what a setting leads to, before anything is opened."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from langkeys.models import shown_without

_BESIDE = ("", "-wal", "-shm", "-journal")


class Target(NamedTuple):
    """A database, there or not.

    ``scheme`` says which engine opens it, as ``langkeys.store.engines`` knows them. ``file`` is the
    file that the database is in, None where a server has it; then ``parameters`` say how to connect
    to the server, ``url`` is the setting as it was given, and ``shown`` is it without a password.
    """

    scheme: str
    file: Path | None = None
    parameters: Mapping[str, str] = MappingProxyType({})
    url: str = ""
    shown: str = ""

    def __repr__(self) -> str:
        return shown_without(self, "parameters", "url")

    @property
    def location(self) -> str:
        """The path or URL without a password, to name it in messages."""
        return self.shown if self.file is None else str(self.file)

    @property
    def folder(self) -> Path | None:
        """The folder that the database is in, None where a server has it."""
        return None if self.file is None else self.file.absolute().parent

    @property
    def files(self) -> list[Path]:
        """The files that belong to the database, there or not."""
        if self.file is None:
            return []
        path = self.file.absolute()
        return [path.with_name(f"{path.name}{end}") for end in _BESIDE]

    @property
    def setting(self) -> str:
        """The value of LANGFLOW_DATABASE_URL that leads here from any working folder."""
        return self.url if self.file is None else str(self.file.absolute())
