"""Publish a file under a name that does not exist yet, on any file system."""

import contextlib
import errno
import os
from pathlib import Path

_CHUNK = 1 << 16


def publish_new(staged: Path, path: Path) -> None:
    """Publish a complete file under a new name; FileExistsError if the name exists.

    This makes a hard link, which, unlike a rename, never replaces a file. If the file system has no
    hard links, the file is renamed with RENAME_NOREPLACE; if that is not supported either, it is
    copied. The caller removes ``staged`` if it still exists, and syncs the folder.
    """
    try:
        os.link(staged, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if not _rename_new(staged, path):
            _copy_new(staged, path)


_NO_LINKS = frozenset(
    (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)
)
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def _rename_new(staged: Path, path: Path) -> bool:
    """Rename without replacing; False if the system or the file system does not support it."""
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    arguments = (_AT_FDCWD, os.fsencode(staged), _AT_FDCWD, os.fsencode(path), _RENAME_NOREPLACE)
    if rename(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, *_NO_LINKS):
        return False
    raise OSError(number, os.strerror(number), str(path))


def _copy_new(staged: Path, path: Path) -> None:
    source = os.open(staged, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        target = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            found = os.fstat(source)
            with contextlib.suppress(OSError):  # the staged file has already caused this warning
                os.fchown(target, found.st_uid, found.st_gid)
            while chunk := os.read(source, _CHUNK):
                data = memoryview(chunk)
                while data:
                    data = data[os.write(target, data) :]
            os.fsync(target)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(target)
    finally:
        os.close(source)
