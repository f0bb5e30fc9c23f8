"""The audit trail: one JSON line for every write by langkeys, and for every refused attempt.

A line is written before its commit, so that no change lacks a line. If the commit fails, another
line refers to the first. The file has mode 0600 from its creation. Each line is appended in one
write under a lock, and synced. No line contains a secret; a revoked key is identified by its
SHA-256.
"""

import fcntl
import json
import os
import pwd
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
from langkeys.paths import absolute_path
from langkeys.store.protocol import Change
from langkeys.text import json_visible
from langkeys.times import iso, now

SETTING = "LANGKEYS_AUDIT_LOG"
FILE_NAME = locations.AUDIT_LOG_NAME
SUFFIX = ".jsonl"
OFF = "off"

MAX_LINE_BYTES = 1 << 20
"""The maximum length in bytes of a line that langkeys writes."""

MAX_CHANGES = 1000
"""The maximum number of changes on one line; more changes take several lines."""

DONE, REFUSED, FAILED = "done", "refused", "failed"
"""Outcomes: written before a commit; refused, so nothing was written; the write failed."""

MAY_BE_DONE = "may_be_done"
"""A field for a failed write over REST whose answer was lost: it may have succeeded."""


def log_path(settings: Settings) -> Path | None:
    """Return the path of the audit log, or None if it is disabled."""
    value = settings.find(SETTING)
    if value is None:
        return absolute_path(locations.config_folder(settings).path) / FILE_NAME
    if value.text.strip().lower() == OFF:
        return None
    path = absolute_path(Path(value.text))
    settings.require_vouched(value, path, "an audit log")
    return path


class AuditLog:
    """The audit log of one invocation.

    If a setting names the log, it must be writable (FailedError). If the default log is not
    writable, ``warn`` is called. ``path`` is the log that the new settings of ``init`` will name.
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
            # There is no home folder, which only the default log needs.
            self.path = None
            warn(f"there is no audit log: {error.message} (set {SETTING} to a file, or to {OFF})")

    def check(self) -> None:
        """Raise FailedError if a required log cannot be written. Writes nothing."""
        if self.path is not None and self._is_required:
            self._append([])

    def append(self, record: Mapping[str, Any]) -> None:
        """Append one line and sync it; on failure, append nothing."""
        self._append([_line(record)])

    def append_changes(
        self, record: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]
    ) -> None:
        """Append a line with changes; if there are many, append several lines with the same id.

        All of the lines are appended, or none. The second and later ones are numbered by ``part``.
        """
        self._append(map(_line, _parts(record, changes)))

    def _append(self, lines: Iterable[str]) -> None:
        if self.path is None:
            return
        try:
            if not self._is_required:
                # The server creates its config folder at its first start, which may be later.
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
    """The acting user as shown in the audit log; ``how`` is the authentication method."""

    username: str
    user_id: str
    how: str
    api_key_id: str | None = None


def actor_of(acting: Acting | None) -> Actor | None:
    """Return the actor for an acting user; None if nobody has been authenticated yet."""
    if acting is None:
        return None
    key = acting.api_key
    key_id = None if key is None else key.id
    return Actor(acting.user.username, acting.user.id, acting.how, key_id)


def _is_undone(_: BaseException) -> bool:
    """Tell whether an error means that nothing was changed. A failed transaction is rolled back."""
    return True


class Recorder:
    """Records the changes of one invocation, and its refused attempts.

    ``acting`` returns the actor, or None if nobody has been authenticated yet. ``database`` returns
    the file or the server's address. ``sha256_of`` returns the hash of an API key, or None if it is
    unknown. ``is_undone`` tells whether an error means that a write certainly had no effect.
    """

    def __init__(
        self,
        audit_log: AuditLog,
        *,
        command: str,
        reason: str | None,
        acting: Callable[[], Actor | None],
        database: Callable[[], str | None],
        sha256_of: Callable[[ApiKey], str | None] = lambda _: None,
        is_undone: Callable[[BaseException], bool] = _is_undone,
    ) -> None:
        self._audit_log = audit_log
        self._command = command
        self._reason = reason
        self._acting = acting
        self._database = database
        self._sha256_of = sha256_of
        self._is_undone = is_undone
        self._has_written = False

    def check(self) -> None:
        """Raise FailedError if a required log cannot be written."""
        self._audit_log.check()

    @contextmanager
    def commit_context(self, changes: Iterable[Change]) -> Iterator[None]:
        """Context manager around COMMIT; writes the audit line first, another if COMMIT fails."""
        with self.record_write(map(self._described, changes)):
            yield

    @contextmanager
    def record_write(
        self, changes: Iterable[Mapping[str, Any]]
    ) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Context manager around a write that is not a COMMIT; see ``commit_context``.

        Yields a function that adds a second part to the line, for details that are known only
        later.
        """
        record = self._record(DONE)
        self._audit_log.append_changes(record, changes)
        try:
            yield lambda change: self._audit_log.append(
                {**record, "time": iso(now()), **_numbered(2), "changes": [change]}
            )
        except BaseException as error:
            failed = self._record(FAILED) | {"of": record["id"], "error": _code(error)}
            if not self._is_undone(error):
                failed[MAY_BE_DONE] = True
            with suppress(FailedError):  # report the original error instead
                self._audit_log.append(failed)
            raise
        self._has_written = True

    def record_recovery(self) -> None:
        """Record that an interrupted secret-key rotation has been completed or undone."""
        changes = [{"action": "settle", "kind": "secret_key", "id": None, "name": None}]
        self._audit_log.append(self._record(DONE) | {"changes": changes})

    def record_refusal(self, error: BaseException) -> None:
        """Record a refused attempt, if its user is known or if the authentication failed."""
        is_nobody = isinstance(error, UnauthenticatedError | ForbiddenError | InvalidKeyError)
        if not isinstance(error, LangkeysError) or (self._acting() is None and not is_nobody):
            return
        outcome = FAILED if self._has_written else REFUSED
        with suppress(FailedError):
            self._audit_log.append(self._record(outcome) | {"error": error.code})

    def _record(self, outcome: str) -> dict[str, Any]:
        return new_record(
            outcome,
            command=self._command,
            acting=self._acting(),
            database=self._database(),
            reason=self._reason,
            environ=self._audit_log.environ,
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
        if things >= MAX_CHANGES:
            yield {**record, **_numbered(number), "changes": part}
            number, things, part = number + 1, 0, []
        part.append(change)
        things += len(change.get("ids", "1"))
    yield {**record, **_numbered(number), "changes": part}


def _numbered(part: int) -> dict[str, int]:
    return {} if part == 1 else {"part": part}


def _append(path: Path, lines: Iterable[str]) -> str | None:
    """Append lines, all or none; return a warning about the owner. OSError, ConfigError."""
    ownership.require_trusted(path, "the audit log")
    descriptor, warning = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and not _is_ours(os.pread(descriptor, MAX_LINE_BYTES, 0)):
            raise OSError(0, "its first line is not an entry of langkeys' audit log")
        is_cut_off = size and os.pread(descriptor, 1, size - 1) != b"\n"
        try:
            for line in lines:
                data = line.encode("utf-8", "backslashreplace")
                if is_cut_off:
                    data, is_cut_off = (
                        b"\n" + data,
                        False,
                    )  # start a new line after one that a crash cut off
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


def _open(path: Path) -> tuple[int, str | None]:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        if not path.name.endswith(SUFFIX):
            # The setting may be mistyped or forged, so langkeys creates only files with this
            # ending.
            raise OSError(
                0, f"it does not exist, and the name of a new audit log must end in {SUFFIX}"
            ) from None
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.is_symlink():
                raise OSError(0, "it is a dangling symbolic link") from None
            return _open(path)  # another command has just created it
        warning = ownership.chown_like_folder(descriptor, path.parent)
        return descriptor, None if warning is None else f"{path}: {warning}"
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is not a regular file")
    return descriptor, None


def _is_ours(start: bytes) -> bool:
    try:
        record = json.loads(start.partition(b"\n")[0])
    except (ValueError, RecursionError):
        # The line is very long and was truncated; lines of langkeys begin with these fields.
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
    """Return the common fields of a line: time, command, users, database, reason and so on."""
    key_id = None if acting is None else acting.api_key_id
    return {
        "id": os.urandom(6).hex(),
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
    # Under sudo every user is root. The environment names the user who called sudo; the log records
    # that name, but it is no proof.
    by_sudo = environ.get("SUDO_USER")
    return f"{name} (sudo: {by_sudo})" if by_sudo else name
