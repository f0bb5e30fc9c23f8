"""Where a database is: what a setting leads to, before anything is opened."""

from pathlib import Path
from typing import NamedTuple

_BESIDE = ("", "-wal", "-shm", "-journal")


class Target(NamedTuple):
    """A database, there or not.

    ``scheme`` says which engine opens it, as ``langkeys.store.engines`` knows them. ``file`` is the
    file that the database is in, None where a server has it.
    """

    scheme: str
    file: Path | None = None

    @property
    def location(self) -> str:
        """The path or URL without a password, to name it in messages."""
        return str(self.file)

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
        return str(None if self.file is None else self.file.absolute())
