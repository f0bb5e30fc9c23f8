"""Decide which files are trusted, and who owns new ones.

Anybody may have put a file into a folder that others can write to. Such a file must neither provide
nor receive a secret. A file that root creates for a server must belong to the server's user;
otherwise the next start of the server fails.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from langkeys.errors import ConfigError

ROOT = 0
_MAX_LINKS = 40


def caller_ids() -> frozenset[int]:
    """Return the user ids of the caller; under sudo also that of the user who called sudo."""
    uid = os.geteuid()
    by_sudo = os.environ.get("SUDO_UID", "") if uid == ROOT else ""
    return frozenset((uid, int(by_sudo)) if by_sudo.isascii() and by_sudo.isdigit() else (uid,))


def is_ours(owner: int) -> bool:
    """Tell whether a file with this owner belongs to the caller or root."""
    return owner == ROOT or owner in caller_ids()


def user_name(uid: int) -> str:
    """Return a user for a message: ``langflow (uid 1000)``, or ``uid 1000`` if it has no name."""
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except (KeyError, OverflowError):
        return f"uid {uid}"


def require_trusted(path: Path, what: str) -> None:
    """Raise ConfigError if somebody else could have put this file there.

    A file is trusted if it belongs to the caller or root, or if only the caller, root, the file's
    owner and a group can write to its folder. The same applies to every symbolic link in its path.
    Another user's link may only lead to a file of that user. A missing file is not an error.
    """
    strangers: set[int] = set()
    owner: int | None = None
    for step, found in _steps(path):
        owner = found.st_uid
        if not is_ours(owner) and not stat.S_ISDIR(found.st_mode):
            _require_folder(path, step, owner, what)
        if stat.S_ISLNK(found.st_mode) and not is_ours(owner):
            strangers.add(owner)
    if owner is not None and strangers and owner not in strangers:
        (stranger, *_) = strangers
        raise ConfigError(
            f"{what} {path} is a link owned by {user_name(stranger)} to a file owned"
            f" by {user_name(owner)}; it is not followed",
            hint="use the file itself",
        )


def _steps(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every symbolic link in the path of a file, and the file itself if it exists."""
    waiting = [part for part in reversed(path.absolute().parts) if part != "/"]
    current, links = "/", 0
    while waiting:
        part = waiting.pop()
        step = os.path.join(current, part)  # noqa: PTH118 - Path would remove ".."
        try:
            found = os.lstat(step)
            target = os.readlink(step) if stat.S_ISLNK(found.st_mode) else None  # noqa: PTH115
        except OSError:
            return
        if target is None:
            current = step
            if not waiting:
                yield step, found
            continue
        yield step, found
        if step.startswith("/proc/") and ":[" in target:
            # This is a pipe of this process, such as a shell makes for <(...). The link's target is
            # not a path.
            yield step, os.stat(step)  # noqa: PTH116 - as above
            return
        links += 1
        if links > _MAX_LINKS:
            return  # opening the file reports the loop
        waiting += [piece for piece in reversed(Path(target).parts) if piece != "/"]
        if target.startswith("/"):
            current = "/"


def _require_folder(path: Path, step: str, owner: int, what: str) -> None:
    folder = Path(step).parent
    found = os.stat(folder)  # noqa: PTH116 - as above
    is_one_of_three = is_ours(found.st_uid) or found.st_uid == owner
    if is_one_of_three and not found.st_mode & stat.S_IWOTH:
        return
    who = "everybody" if found.st_mode & stat.S_IWOTH else user_name(found.st_uid)
    raise ConfigError(
        f"{what} {path} belongs to {user_name(owner)}, and {who} can write to its"
        f" folder {folder}: another user may have put it there",
        hint="use a file of your own, or a folder that others cannot write to",
    )


def belongs_to(path: Path, owners: frozenset[int]) -> bool:
    """Tell whether one of these users owns the path, or the folder in which it is missing."""
    for step in (path, *path.parents):
        try:
            return step.stat().st_uid in owners
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return False


def chown_like_folder(descriptor: int, folder: Path) -> str | None:
    """Give root's new file the owner and group of its folder.

    SQLite does the same with its ``-wal`` file. Returns a warning if that fails.
    """
    if os.geteuid() != ROOT:
        return None
    found = os.stat(folder)  # noqa: PTH116 - as above
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) == (found.st_uid, found.st_gid):
        return None
    try:
        os.fchown(descriptor, found.st_uid, found.st_gid)
    except OSError as error:
        return (
            f"cannot change its owner to {user_name(found.st_uid)}, the owner of its folder: "
            + (error.strerror or errno.errorcode.get(error.errno or 0, "?"))
        )
    return None


def make_folder(folder: Path) -> list[str]:
    """Create a folder and its missing parents, as a server would; return warnings.

    The umask decides the mode, but no folder is writable by everybody. If root creates them, each
    folder gets the owner of its parent. Raises OSError.
    """
    missing = []
    parent = folder.absolute()
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    warnings = []
    for made in reversed(missing):
        made.mkdir(0o775, exist_ok=True)  # not writable by everybody, even with umask 000
        descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            warning = chown_like_folder(descriptor, made.parent)
        finally:
            os.close(descriptor)
        if warning is not None:
            warnings.append(f"{made}: {warning}")
    return warnings
