"""The audit trail: one JSON line for every write by langkeys, and for every refused attempt.

A line is written before the commit that it tells of, so that nothing happens without one; a commit
that fails adds a line that names it. The file is 0600 from its creation. Each line is one append
under a lock, and synced. No line holds a secret; a revoked key is known by its SHA-256.
"""

import fcntl
import json
import os
import pwd
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from langkeys.authentication import Acting
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import (
    ConfigError,
    FailedError,
    ForbiddenError,
    InvalidKeyError,
    LangkeysError,
    UnauthenticatedError,
)
from langkeys.files import ownership
from langkeys.models import ApiKey, dashed
from langkeys.store.protocol import Change
from langkeys.text import json_visible
from langkeys.times import iso, now

SETTING = "LANGKEYS_AUDIT_LOG"
FILE_NAME = locations.AUDIT_LOG_NAME
SUFFIX = ".jsonl"
OFF = "off"

MOST_LINE_BYTES = 1 << 20
"""A line that is longer is none of ours."""

MOST_CHANGES = 1000
"""Things that are changed on one line; where there are more of them it takes several."""

DONE, REFUSED, FAILED = "done", "refused", "failed"
"""The outcomes: written before the commit; nothing was written; the write did not come through."""

MAY_BE_DONE = "may_be_done"
"""A field of a failed write over REST whose answer was lost."""


def log_path(settings: Settings) -> Path | None:
    """Return the file that the trail is in, or None where it is turned off."""
    value = settings.find(SETTING)
    if value is None:
        return locations.config_folder(settings).path.absolute() / FILE_NAME
    if value.text.strip().lower() == OFF:
        return None
    path = Path(value.text).absolute()
    settings.require_vouched(value, path, "an audit log")
    return path


class Trail:
    """Appends to the audit log of one invocation.

    A log that a setting names must be writable: FailedError. The default one need not: ``warn``.
    ``path`` is what settings will name that are only being written.
    """

    def __init__(
        self, settings: Settings, warn: Callable[[str], None], *, path: Path | None = None
    ) -> None:
        self.environ = settings.environ
        self._is_required = settings.is_given(SETTING)
        self._warn = warn
        try:
            self.path = path or log_path(settings)
        except ConfigError as error:
            if self._is_required or settings.is_given("LANGFLOW_CONFIG_DIR"):
                raise
            # No home folder: nothing else may need one.
            self.path = None
            warn(f"there is no audit log: {error.message} (set {SETTING} to a file, or to {OFF})")

    def check(self) -> None:
        """Raise FailedError where a log that must be written cannot be; writes nothing to it."""
        if self.path is not None and self._is_required:
            self._append([])

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line, whole and synced, or not at all."""
        self._append([_line(record)])

    def append_changes(
        self, record: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]
    ) -> None:
        """Add a line with what it changes, and more lines of the same id where that is much.

        All of them or none; from the second on they are numbered by ``part``.
        """
        self._append(map(_line, _parts(record, changes)))

    def _append(self, lines: Iterable[str]) -> None:
        if self.path is None:
            return
        try:
            if not self._is_required:
                # A server makes its config folder at its first start; langkeys may be earlier.
                for warning in ownership.make_folder(self.path.parent):
                    self._warn(warning)
            if (said := _append(self.path, lines)) is not None:
                self._warn(said)
        except ConfigError as error:
            if self._is_required:
                raise
            self._warn(f"cannot write the audit log: {error.message}")
        except OSError as error:
            message = f"cannot write the audit log {self.path}: {error.strerror}"
            if self._is_required:
                raise FailedError(
                    f"{message}; nothing was written",
                    hint=f"make it writable, or set {SETTING} to another file",
                ) from None
            self._warn(f"{message} (set {SETTING} to another file, or to {OFF})")


class Actor(NamedTuple):
    """Who acts, as a line has it; ``how`` they are known, in words."""

    username: str
    user_id: str
    how: str
    api_key_id: str | None = None


def actor_of(acting: Acting | None) -> Actor | None:
    """Return the actor of a session, None as long as nobody is known."""
    if acting is None:
        return None
    key = acting.api_key
    key_id = None if key is None else key.id
    return Actor(acting.user.username, acting.user.id, acting.how, key_id)


def _is_undone(_: BaseException) -> bool:
    """Say that nothing was done: a transaction that fails is rolled back."""
    return True


class Recorder:
    """Writes down what one invocation changes, and what it was refused.

    ``acting`` is who acts, None as long as nobody is known; ``database`` is where, a file or a
    server's address; ``sha256_of`` is the hash of a whole API key, None where it cannot be known.
    ``is_undone`` says of what a write raised whether it was not done for sure.
    """

    def __init__(
        self,
        trail: Trail,
        *,
        command: str,
        reason: str | None,
        acting: Callable[[], Actor | None],
        database: Callable[[], str | None],
        sha256_of: Callable[[ApiKey], str | None] = lambda _: None,
        is_undone: Callable[[BaseException], bool] = _is_undone,
    ) -> None:
        self._trail = trail
        self._command = command
        self._reason = reason
        self._acting = acting
        self._database = database
        self._sha256_of = sha256_of
        self._is_undone = is_undone
        self._has_written = False

    def check(self) -> None:
        """Raise FailedError where a log that must be written cannot be."""
        self._trail.check()

    @contextmanager
    def committing(self, changes: Iterable[Change]) -> Iterator[None]:
        """Write the line of a commit before it, and another one where it fails."""
        with self.writing(map(self._described, changes)):
            yield

    @contextmanager
    def writing(
        self, changes: Iterable[Mapping[str, Any]]
    ) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Write the line of something else that is done in the block; see ``committing``.

        Yields what adds a second part to the line, for what is only known by then.
        """
        record = self._record(DONE)
        self._trail.append_changes(record, changes)
        try:
            yield lambda change: self._trail.append(
                {**record, "time": iso(now()), **_numbered(2), "changes": [change]}
            )
        except BaseException as error:
            failed = self._record(FAILED) | {"of": record["id"], "error": _code(error)}
            if not self._is_undone(error):
                failed[MAY_BE_DONE] = True
            with suppress(FailedError):  # the error that led here is the one to tell
                self._trail.append(failed)
            raise
        self._has_written = True

    def has_settled(self) -> None:
        """Write down that a rotation of the secret key that died has been completed or undone."""
        changes = [{"action": "settle", "kind": "secret_key", "id": None, "name": None}]
        self._trail.append(self._record(DONE) | {"changes": changes})

    def refused(self, error: BaseException) -> None:
        """Write down an attempt that was refused, if it is known whose or whose not."""
        is_nobody = isinstance(error, UnauthenticatedError | ForbiddenError | InvalidKeyError)
        if not isinstance(error, LangkeysError) or (self._acting() is None and not is_nobody):
            return
        outcome = FAILED if self._has_written else REFUSED
        with suppress(FailedError):
            self._trail.append(self._record(outcome) | {"error": error.code})

    def _record(self, outcome: str) -> dict[str, Any]:
        return new_record(
            outcome,
            command=self._command,
            acting=self._acting(),
            database=self._database(),
            reason=self._reason,
            environ=self._trail.environ,
        )

    def _described(self, change: Change) -> dict[str, Any]:
        described: dict[str, Any] = {"action": change.action, "kind": change.kind}
        if change.more_ids:
            described["ids"] = [dashed(row_id) for row_id in (change.id, *change.more_ids)]
        else:
            described["id"] = dashed(change.id)
        described["name"] = change.name
        if change.user_id is not None:
            described["user_id"] = dashed(change.user_id)
        described.update(change.details)
        if change.ended is not None:
            described["sha256"] = self._sha256_of(change.ended)
        return described


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, LangkeysError) else "interrupted"


def _line(record: Mapping[str, Any]) -> str:
    return json_visible(json.dumps(record, ensure_ascii=False)) + "\n"


def _parts(
    record: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    number, things = 1, 0
    part: list[Mapping[str, Any]] = []
    for change in changes:
        if things >= MOST_CHANGES:
            yield {**record, **_numbered(number), "changes": part}
            number, things, part = number + 1, 0, []
        part.append(change)
        things += len(change.get("ids", "1"))
    yield {**record, **_numbered(number), "changes": part}


def _numbered(part: int) -> dict[str, int]:
    return {} if part == 1 else {"part": part}


def _append(path: Path, lines: Iterable[str]) -> str | None:
    """Append lines, all or none; return what is to be warned of. OSError, ConfigError."""
    ownership.require_trusted(path, "the audit log")
    descriptor, warning = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and not _is_ours(os.pread(descriptor, MOST_LINE_BYTES, 0)):
            raise OSError(0, "it is not an audit log of langkeys, by its first line")
        is_cut_off = size and os.pread(descriptor, 1, size - 1) != b"\n"
        try:
            for line in lines:
                data = line.encode("utf-8", "backslashreplace")
                if is_cut_off:
                    data, is_cut_off = b"\n" + data, False  # after what a crash has left
                written = os.write(descriptor, data)
                if written != len(data):
                    raise OSError(0, f"only {written} of {len(data)} bytes were written")
            os.fsync(descriptor)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    return warning


def _opened(path: Path) -> tuple[int, str | None]:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        if not path.name.endswith(SUFFIX):
            # What names it may be a slip, or worse: no other file of this name gets our lines.
            raise OSError(
                0, f"it does not exist, and the name of a new audit log must end in {SUFFIX}"
            ) from None
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.is_symlink():
                raise OSError(0, "it is a dangling symbolic link") from None
            return _opened(path)  # another command has been faster
        warning = ownership.adopt(descriptor, path.parent)
        return descriptor, None if warning is None else f"{path}: {warning}"
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is not a regular file")
    return descriptor, None


def _is_ours(start: bytes) -> bool:
    try:
        record = json.loads(start.partition(b"\n")[0])
    except (ValueError, RecursionError):
        # A very long line is cut off; ours begin with these fields.
        return start.startswith(b'{"id": "') and b'"outcome": ' in start
    return isinstance(record, dict) and all(
        name in record for name in ("id", "time", "outcome", "command")
    )


def new_record(
    outcome: str,
    *,
    command: str,
    acting: Actor | None,
    database: str | None,
    reason: str | None,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    """Start a line: who does what with which database, as whom on this machine, and why."""
    key_id = None if acting is None else acting.api_key_id
    return {
        "id": secrets.token_hex(6),
        "time": iso(now()),
        "outcome": outcome,
        "command": command,
        "user": None if acting is None else acting.username,
        "user_id": None if acting is None else dashed(acting.user_id),
        "authenticated_by": None if acting is None else acting.how,
        "api_key_id": None if key_id is None else dashed(key_id),
        "system_user": _system_user(environ),
        "pid": os.getpid(),
        "database": database,
        "reason": reason,
    }


def _system_user(environ: Mapping[str, str]) -> str:
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    # With sudo everybody is root; who they are is told by it, and believed as far as that goes.
    by_sudo = environ.get("SUDO_USER")
    return f"{name} (sudo: {by_sudo})" if by_sudo else name
