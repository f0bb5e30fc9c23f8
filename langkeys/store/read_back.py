"""Check what a new connection reads after a write."""

from langkeys.errors import FailedError


def require_stored(what: str, location: str, *, is_stored: bool) -> None:
    """Raise FailedError unless ``what`` was stored as it was written."""
    if not is_stored:
        raise FailedError(
            f"{what} was not stored as written in {location}",
            hint="check the disk and the database's triggers, then run langkeys doctor",
        )


def require_deleted(what: str, location: str, *, is_deleted: bool) -> None:
    """Raise FailedError unless ``what`` was deleted."""
    if not is_deleted:
        raise FailedError(
            f"{what} is still in {location}",
            hint="something restores it: check the database for triggers, and other programs",
        )
