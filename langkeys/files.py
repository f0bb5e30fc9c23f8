"""Files that receive secrets: staged beside their place, 0600 from the start, synced, renamed."""

import contextlib
import os
import secrets
import stat
from pathlib import Path
from types import TracebackType

from langkeys.errors import FailedError

OTHERS = 0o007
"""Mode bits that let everybody on the machine in."""


class StagedFile:
    """A file that is complete beside its place before it takes that place.

    Entering opens the staged file, so that a folder that cannot be written or a full disk is found
    out before anything else is done; leaving without ``publish`` removes it. The file that is
    replaced passes on its owner, group and mode, unless others could read it (``narrowed``, then
    0600). Raises FailedError, naming the file.

    ``staged`` is a name for the staged file that somebody else can find, if this process should
    not live to publish it; ``keeps`` leaves it there where it has not been published.
    """

    def __init__(self, path: Path, *, staged: Path | None = None) -> None:
        self.path = path.absolute()
        self.narrowed = False
        self.keeps = False
        self._staged = staged or self.path.with_name(
            f".{self.path.name}.{secrets.token_hex(4)}.tmp"
        )
        self._descriptor = -1

    def __enter__(self) -> "StagedFile":
        try:
            replaced = self._replaced()
            self._descriptor = os.open(
                self._staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600
            )
            if replaced is not None:
                self._take_over(replaced)
        except OSError as error:
            self._discard()
            raise self._failure(error) from None
        except FailedError:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._discard()

    def _replaced(self) -> os.stat_result | None:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(found.st_mode):
            raise FailedError(
                f"{self.path} is a symbolic link, as mounted secrets are; it is never replaced",
                hint="name the file that it leads to, or another one",
            )
        if not stat.S_ISREG(found.st_mode):
            raise FailedError(f"{self.path} is not a regular file; it is not replaced")
        return found

    def _take_over(self, replaced: os.stat_result) -> None:
        own = os.fstat(self._descriptor)
        if (own.st_uid, own.st_gid) != (replaced.st_uid, replaced.st_gid):
            os.fchown(self._descriptor, replaced.st_uid, replaced.st_gid)
        mode = stat.S_IMODE(replaced.st_mode)
        self.narrowed = bool(mode & OTHERS)
        os.fchmod(self._descriptor, 0o600 if self.narrowed else mode)

    def write(self, text: str) -> None:
        """Add text to the staged file and sync it to the disk."""
        self.add(text)
        self.sync()

    def add(self, text: str) -> None:
        """Add text to the staged file, which is to be synced at the end of all of it."""
        try:
            data = memoryview(text.encode())
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise self._failure(error) from None

    def sync(self) -> None:
        """Sync what has been added to the disk."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._failure(error) from None

    def publish(self, *, replace: bool = True) -> None:
        """Put the staged file in its place and sync the folder.

        With ``replace`` false a file that has appeared there meanwhile is left alone, and
        FileExistsError raised.
        """
        try:
            if replace:
                self._staged.rename(self.path)
            else:
                os.link(self._staged, self.path)
            sync_folder(self.path.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise self._failure(error) from None

    def _discard(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if self.keeps:
                return
            with contextlib.suppress(FileNotFoundError):  # published
                self._staged.unlink()

    def _failure(self, error: OSError) -> FailedError:
        return FailedError(
            f"cannot write {self.path}: {error.strerror}",
            hint="the file is replaced by a rename, so its folder must be writable",
        )


def is_there(path: Path) -> bool:
    """Tell whether something is at a path; what may not be looked at is not."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def is_file(path: Path) -> bool:
    """Tell whether a regular file is at a path, by a link or not; see ``is_there``."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
