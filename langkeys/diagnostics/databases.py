"""Check which database the settings name; a part of ``langkeys.diagnostics.report``."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import LangkeysError
from langkeys.paths import absolute_path
from langkeys.times import person_iso

if TYPE_CHECKING:
    from langkeys.diagnostics.report import Report

_HINT = (
    "start servers with --env-file, or with LANGFLOW_DATABASE_URL in their environment, in this"
    " spelling; remove the file if no server needs it"
)


def check_source(report: "Report", settings: Settings) -> None:
    """Report which setting names a database on a server, and which file a server might use instead.

    A server that does not see LANGFLOW_DATABASE_URL starts without an error and uses its own file.
    """
    found = locations.database(settings)
    target = found.target
    if target.file is None:
        report.add("database", "ok", f"named by {found.source}")
    if target.environment:
        report.add(
            "settings",
            "note",
            f"{', '.join(sorted(target.environment))} from {settings.env_file} are used to connect,"
            " as by a server that is started with that file",
        )
    if not settings.is_given("LANGFLOW_DATABASE_URL"):
        return
    for path in _default_files(settings):
        try:
            is_used = target.file is not None and path.samefile(target.file)
            written = path.stat().st_mtime
        except OSError:
            continue
        if is_used:
            continue
        log = path.with_name(f"{path.name}-wal")
        with suppress(OSError):
            written = max(written, log.stat().st_mtime)
        is_open = " and a server may have it open now" if log.exists() else ""
        report.add(
            "database",
            "note",
            f"there is {path}, too, last written {_time(written)}{is_open}: a server that does not"
            " see LANGFLOW_DATABASE_URL uses it",
            _HINT,
        )


def _default_files(settings: Settings) -> Iterator[Path]:
    """Yield the files that servers use without a URL; they may not exist."""
    with suppress(LangkeysError):
        folder = absolute_path(locations.config_folder(settings).path)
        yield from (folder / name for name in (locations.DATABASE_NAME, locations.PRE_RELEASE_NAME))
    if (package := locations.langflow_package()) is not None:
        yield package / locations.DATABASE_NAME


def _time(stamp: float) -> str:
    return person_iso(datetime.fromtimestamp(stamp, timezone.utc))
