"""Read files with secrets: nothing blocks, and the size is limited.

``langkeys.files.ownership`` decides which files are trusted.
"""

import errno
import os
import select
import stat
import time
from pathlib import Path

from langkeys.errors import FailedError, LangkeysError
from langkeys.files import ownership

MAX_BYTES = 1 << 20
"""The maximum size of a file with a secret or with settings."""

PIPE_SECONDS = 30.0
"""How long to wait for the writer of a pipe: a password manager may have to ask its user."""

_CHUNK = 1 << 16


def read_bytes(
    path: Path, what: str, *, error: type[LangkeysError] = FailedError, by: str = ""
) -> bytes:
    """Return the content of a small regular file, or of a pipe that has a writer.

    Symbolic links are followed, because mounted secrets are links. ``what`` is the expected content
    and ``by`` is the setting that names the file, both for messages. Raises ``error`` if the file
    cannot be read, is too large, or is neither a regular file nor a pipe; ConfigError if somebody
    else could have put it there.
    """
    content = find_bytes(path, what, error=error, by=by)
    if content is None:
        raise error(
            f"cannot read {what} from {path}{by}: {os.strerror(errno.ENOENT)}",
            hint="check the file name",
        )
    return content


def find_bytes(
    path: Path, what: str, *, error: type[LangkeysError] = FailedError, by: str = ""
) -> bytes | None:
    """Do what ``read_bytes`` does, but return None if the file does not exist."""
    ownership.require_trusted(path, what)
    try:
        return _content(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise error(f"{path}{by} is a dangling symbolic link") from None
        return None
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else str(cause)
        raise error(
            f"cannot read {what} from {path}{by}: {reason}",
            hint="run langkeys as a user who can read it"
            if isinstance(cause, PermissionError)
            else "use a small regular file",
        ) from None


def find_private(path: Path, owners: frozenset[int]) -> bytes | None:
    """Return the content of a regular file that only one of ``owners`` can have written.

    Links are not followed, and nothing blocks. Returns None if there is no such file. Raises
    UntrustedFileError if somebody else could have written it.
    """
    try:
        descriptor = open_private(path, owners)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)


def open_private(path: Path, owners: frozenset[int]) -> int:
    """Open a file as ``find_private`` does; raise FileNotFoundError if it does not exist."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    owner = path.lstat().st_uid
    try:
        descriptor = os.open(path, flags)
    except OSError:  # a link, a socket, or an unreadable file
        raise UntrustedFileError(owner) from None
    found = os.fstat(descriptor)
    if (
        stat.S_ISREG(found.st_mode)
        and found.st_uid in owners
        and found.st_nlink == 1
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        return descriptor
    os.close(descriptor)
    raise UntrustedFileError(found.st_uid)


class UntrustedFileError(OSError):
    """Another user could have written the file; ``owner`` is the user id of the file's owner."""

    def __init__(self, owner: int) -> None:
        super().__init__(errno.EPERM, "another user could have written it")
        self.owner = owner


def read_text(
    path: Path, what: str, *, error: type[LangkeysError] = FailedError, by: str = ""
) -> str:
    """Return the text of a file, read by ``read_bytes``; raise ``error`` if it is not UTF-8."""
    try:
        return read_bytes(path, what, error=error, by=by).decode("utf-8")
    except UnicodeDecodeError:
        raise error(f"{what} in {path}{by} is not UTF-8 text") from None


def read_secret(
    path: Path, what: str, *, error: type[LangkeysError] = FailedError, by: str = ""
) -> str:
    """Return the secret in a file, without one trailing newline.

    Raises what ``read_text`` raises, and ``error`` if the file is empty.
    """
    text = without_newline(read_text(path, what, error=error, by=by))
    if not text:
        raise error(f"{path}{by} is empty; {what} was expected in it")
    return text


def without_newline(text: str) -> str:
    """Drop one trailing newline, ``\\n`` or ``\\r\\n``, from a secret that was read from a file."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _content(path: Path) -> bytes:
    _require_form(path.stat().st_mode)  # do not even open a device
    # Do not block: opening a pipe without a writer would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        _require_form(mode)
        chunks: list[bytes] = []
        size, deadline = 0, time.monotonic() + PIPE_SECONDS
        while size <= MAX_BYTES:
            try:
                chunk = os.read(descriptor, _CHUNK)
            except BlockingIOError:  # the pipe has a writer, which has not written yet
                if not select.select([descriptor], [], [], deadline - time.monotonic())[0]:
                    raise ValueError("nothing was written to the pipe") from None
                continue
            if not chunk:
                if not size and stat.S_ISFIFO(mode):
                    raise ValueError("it is a pipe without a writer")
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    finally:
        os.close(descriptor)


def _require_form(mode: int) -> None:
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise ValueError("it is not a regular file")


def is_there(path: Path) -> bool:
    """Tell whether something exists at a path; False if that cannot be determined."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def is_file(path: Path) -> bool:
    """Tell whether a path, with links followed, is a regular file; False as in ``is_there``."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False
