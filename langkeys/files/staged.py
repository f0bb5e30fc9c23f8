"""Write files atomically: staged in the same folder with mode 0600, synced and renamed."""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from langkeys.errors import ConflictError, FailedError, LangkeysError
from langkeys.files import ownership
from langkeys.files.new import publish_new
from langkeys.files.reading import is_there
from langkeys.paths import absolute_path

OTHERS = 0o007
"""The mode bits of users who are neither the owner nor in the group."""

_SEALED = -2


class StagedFile:
    """A file that is complete before it appears under its name.

    ``__enter__`` creates the staged file, so that a read-only folder or a full disk is noticed
    before anything else is done. ``__exit__`` removes it unless ``publish`` was called. The new
    file gets the owner, group and mode of the file that it replaces. If others could read that
    file, the mode becomes 0600 (``narrowed``). Raises FailedError, which names the file.

    ``what`` is the content, for messages. A file that somebody else could have put there is not
    replaced (ConfigError). If ``replaces`` is false, a file that is not empty is not replaced
    either (ConflictError). With ``for_server``, a new file that root creates belongs to the owner
    of the folder. The caller shows ``warnings`` at the end. ``staged`` is a fixed name for the
    staged file, for recovery after a crash. ``keeps`` leaves an unpublished file there.
    """

    def __init__(
        self,
        path: Path,
        *,
        what: str = "the file",
        staged: Path | None = None,
        replaces: bool = True,
        for_server: bool = False,
    ) -> None:
        self.path = absolute_path(path)
        self.narrowed = False
        self.keeps = False
        self.warnings: list[str] = []
        self._what = what
        self._replaces = replaces
        self._for_server = for_server
        self._staged = staged or self.path.with_name(f".{self.path.name}.{os.urandom(4).hex()}.tmp")
        self._descriptor = -1

    def __enter__(self) -> "StagedFile":
        try:
            replaced = self._find_replaced()
            self._descriptor = os.open(
                self._staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600
            )
            if replaced is not None:
                self._take_over(replaced)
            elif self._for_server:
                warning = ownership.chown_like_folder(self._descriptor, self.path.parent)
                self.warnings += [] if warning is None else [f"{self.path}: {warning}"]
        except OSError as error:
            self._discard()
            raise self._failure(error) from None
        except LangkeysError:
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

    def _find_replaced(self) -> os.stat_result | None:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(found.st_mode):
            raise FailedError(
                f"{self.path} is a symbolic link, like a mounted secret, and is never replaced",
                hint="use the file that it points to, or another file",
            )
        if not stat.S_ISREG(found.st_mode):
            raise FailedError(f"{self.path} is not a regular file; it is not replaced")
        ownership.require_trusted(self.path, self._what)
        if not self._replaces and found.st_size:
            raise ConflictError(
                f"{self.path} already exists and is not empty; nothing was done",
                hint="choose another file, or use --replace",
            )
        return found

    def _take_over(self, replaced: os.stat_result) -> None:
        own = os.fstat(self._descriptor)
        mode = stat.S_IMODE(replaced.st_mode)
        try:
            if own.st_gid != replaced.st_gid:
                os.fchown(self._descriptor, -1, replaced.st_gid)
            if own.st_uid != replaced.st_uid:
                os.fchown(self._descriptor, replaced.st_uid, -1)
        except OSError as error:
            self.warnings.append(
                f"{self.path} belonged to {ownership.user_name(replaced.st_uid)} and"
                f" its owner cannot be restored: {error.strerror}"
            )
            if os.fstat(self._descriptor).st_gid != replaced.st_gid:
                mode &= ~0o070  # the mode was meant for the old group
        self.narrowed = bool(mode & OTHERS)
        os.fchmod(self._descriptor, 0o600 if self.narrowed else mode & 0o777)
        if self.narrowed:
            self.warnings.append(f"{self.path} was readable by others; its mode is now 0600")

    def write(self, text: str) -> None:
        """Add text to the staged file and sync it to the disk."""
        self.add(text)
        self.sync()

    def add(self, text: str) -> None:
        """Add text to the staged file; call ``sync`` after all of it."""
        try:
            data = memoryview(text.encode())
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise self._failure(error) from None

    def sync(self) -> None:
        """Sync the added text to the disk."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._failure(error) from None

    def seal(self) -> None:
        """Close the complete staged file, because thousands of open files may be too many."""
        os.close(self._descriptor)
        self._descriptor = _SEALED

    def publish(self, *, replace: bool | None = None) -> None:
        """Rename the staged file to its path and sync the folder.

        With ``replace`` false, a file that has appeared at the path meanwhile is kept, and
        FileExistsError is raised. By default ``replaces`` decides: if it is false, a file that
        another process has filled meanwhile is kept, and ConflictError is raised.
        """
        if replace is not None:
            self._publish(replace=replace)
        elif self._replaces or _is_empty(self.path):
            self._publish(replace=True)
        else:
            self.publish_new(hint="choose another file, or use --replace")

    def publish_new(self, *, hint: str | None = None) -> None:
        """Publish the file if nothing exists at the path yet; else raise ConflictError."""
        try:
            self._publish(replace=False)
        except FileExistsError:
            raise ConflictError(
                f"{self.path} has just been created by another process", hint=hint
            ) from None

    def _publish(self, *, replace: bool) -> None:
        try:
            if replace:
                self._staged.rename(self.path)
            else:
                publish_new(self._staged, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            if isinstance(error, FileExistsError):
                raise
            raise self._failure(error) from None

    def _discard(self) -> None:
        if self._descriptor != -1:
            if self._descriptor != _SEALED:
                os.close(self._descriptor)
            self._descriptor = -1
            if not self.keeps:
                self._staged.unlink(missing_ok=True)  # it does not exist if it was renamed

    def _failure(self, error: OSError) -> FailedError:
        folder = self.path.parent
        return FailedError(
            f"cannot write {self.path}: {error.strerror}",
            hint="the file is replaced by renaming, so its folder must be writable"
            if is_there(folder) or not isinstance(error, FileNotFoundError)
            else f"there is no folder {folder}: create it first",
        )


def write_new(
    path: Path, text: str, *, what: str = "the file", for_server: bool = False
) -> Sequence[str]:
    """Write a complete new file and sync it; return warnings about its owner.

    Raises what ``StagedFile`` raises, and ConflictError if something exists at ``path`` when the
    file is published.
    """
    with StagedFile(path, what=what, for_server=for_server) as staged:
        staged.write(text)
        staged.publish_new()
    return staged.warnings


def _is_empty(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return not path.lstat().st_size
    return False


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that a rename in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
