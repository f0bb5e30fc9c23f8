"""Check the files of a deployment; a part of ``langkeys.diagnostics.report``."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from langkeys.audit.log import log_path as audit_log
from langkeys.config import locations
from langkeys.config.known_settings import KNOWN
from langkeys.config.settings import Settings
from langkeys.config.urls import has_password
from langkeys.errors import LangkeysError
from langkeys.files.ownership import ROOT, user_name
from langkeys.files.staged import OTHERS
from langkeys.paths import absolute_path

if TYPE_CHECKING:
    from langkeys.diagnostics.report import Report

SECTION = "files"


class _Used(NamedTuple):
    """A file or folder in use, and its purpose."""

    path: Path
    what: str
    is_secret: bool
    server_needs: int
    """The access that the server needs, in the bits of ``os.access``."""


def check_files(report: "Report", settings: Settings) -> None:
    """Check modes and owners: who can read secrets, and who cannot use a file that they need.

    The owner of the database's folder is assumed to be the server's user, because a server writes
    its ``-wal`` file there.
    """
    server = _server_user(settings)
    for used in _used(settings):
        try:
            found = used.path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            report.add(SECTION, "problem", f"{used.path}: {error.strerror}")
            continue
        mode = stat.S_IMODE(found.st_mode)
        message = f"{used.what} {used.path}, mode {mode:04o}, of {user_name(found.st_uid)}"
        if used.is_secret and mode & OTHERS:
            report.add(
                SECTION, "problem", f"{message}: others can read it", f"chmod o= {used.path}"
            )
        elif mode & OTHERS and not stat.S_ISDIR(found.st_mode):
            report.add(
                SECTION,
                "note",
                f"{message}: others can read it, as servers make it",
                f"if no other user needs it: chmod o= {used.path}",
            )
        else:
            report.add(SECTION, "ok", message)
        if not os.access(used.path, os.R_OK):
            # Each user of a deployment may have a separate log.
            level = "note" if used.what == "audit log" else "problem"
            report.add(
                SECTION,
                level,
                f"this user cannot read the {used.what} {used.path}",
                f"run langkeys as {user_name(found.st_uid)}, or let this user read it",
            )
        if server is not None and not _may(server, found, used.server_needs):
            verb = "write to" if used.server_needs & os.W_OK else "read"
            report.add(
                SECTION,
                "problem",
                f"the server's user, {user_name(server.st_uid)} as the owner of the database's"
                f" folder, cannot {verb} the {used.what} {used.path}",
                f"chown {server.st_uid}:{server.st_gid} {used.path}",
            )


def _server_user(settings: Settings) -> os.stat_result | None:
    try:
        folder = locations.database(settings).target.folder
        return None if folder is None else folder.stat()
    except (LangkeysError, OSError):
        return None  # another check reports this


def _may(server: os.stat_result, found: os.stat_result, needs: int) -> bool:
    """Tell from the file's mode whether the server's user has this access."""
    if server.st_uid == ROOT:
        return True
    shift = 6 if found.st_uid == server.st_uid else 3 if found.st_gid == server.st_gid else 0
    return (found.st_mode >> shift) & needs == needs


def _has_secrets(settings: Settings) -> bool:
    url = settings.env_file_setting("LANGFLOW_DATABASE_URL")
    return (
        settings.env_file_has_secrets
        or bool(settings.env_file_values.get("PGPASSWORD"))
        or (url is not None and has_password(url))
    )


def _used(settings: Settings) -> Iterator[_Used]:
    read, write = os.R_OK, os.R_OK | os.W_OK
    if settings.env_file is not None:
        yield _Used(settings.env_file, "settings", _has_secrets(settings), 0)
    for name, path in settings.value_files():
        yield _Used(path, f"{name}_FILE", KNOWN[name].kind == "secret", 0)
    try:
        folder = absolute_path(locations.config_folder(settings).path)
        yield _Used(folder, "config folder", False, write | os.X_OK)
        yield _Used(locations.secret_key_file(settings), "secret key", True, read)
        log = audit_log(settings)
        if log is not None:
            yield _Used(log, "audit log", True, 0)
    except LangkeysError as error:
        if settings.is_given("LANGFLOW_CONFIG_DIR"):
            raise
        del error  # no home folder: other checks report it if it matters
    for path in locations.database(settings).target.files[:1]:
        yield _Used(path, "database", False, write)
