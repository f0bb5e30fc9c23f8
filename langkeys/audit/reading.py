"""Read the audit log: its lines, and whether it records that an API key was revoked."""

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from langkeys.audit.log import DONE, FAILED, MAX_LINE_BYTES, MAY_BE_DONE, SETTING, log_path
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError, FailedError
from langkeys.files import ownership
from langkeys.times import parsed_iso


def read(path: Path, malformed: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    """Yield the records of a log, oldest first; ``malformed`` gets the numbers of bad lines.

    Yields nothing if the log does not exist. Raises FailedError if it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        # Opened without blocking, because a pipe or a device must not make langkeys wait.
        with open(descriptor, encoding="utf-8", errors="backslashreplace", newline="\n") as log:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(0, "it is not a regular file")
            for number, line in enumerate(_bounded_lines(log), 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                    time_of(record)
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    malformed(number)
                    continue
                yield record
    except FileNotFoundError:
        return
    except OSError as error:
        raise FailedError(f"cannot read the audit log {path}: {error.strerror}") from None


def _bounded_lines(log: IO[str]) -> Iterator[str]:
    """Yield lines, truncated to the maximum length of a line that langkeys writes."""
    while line := log.readline(MAX_LINE_BYTES):
        rest = line
        while rest and not rest.endswith("\n"):
            rest = log.readline(MAX_LINE_BYTES)
        yield line


def time_of(record: Mapping[str, Any]) -> datetime:
    """Return the time of a record; raise an error if the record is not from langkeys."""
    return parsed_iso(record["time"])


def was_revoked(settings: Settings, sha256: str, warn: Callable[[str], None]) -> bool:
    """Tell whether the audit log records that the API key with this SHA-256 was revoked.

    A revocation does not count if the log says that its commit failed. If the log cannot be read,
    or somebody else could have written it, this is an error if a setting names the log, else a
    warning.
    """
    try:
        path = log_path(settings)
        return path is not None and _was_revoked(path, sha256)
    except (FailedError, ConfigError) as error:
        if settings.is_given(SETTING):
            raise
        warn(f"{error.message}: langkeys cannot see from it whether the key was revoked before")
        return False


def _was_revoked(path: Path, sha256: str) -> bool:
    ownership.require_trusted(path, "the audit log")
    revocations = set()
    # The line about a failed commit always comes after the line about the commit itself.
    for record in read(path, lambda _: None):
        if record.get("outcome") == FAILED and not record.get(MAY_BE_DONE):
            revocations.discard(record.get("of"))
        elif record.get("outcome") == DONE and any(
            change.get("action") == "delete" and change.get("sha256") == sha256
            for change in record.get("changes") or ()
        ):
            revocations.add(record.get("id"))
    return bool(revocations)
