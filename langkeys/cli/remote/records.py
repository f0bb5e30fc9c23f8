"""The audit trail of changes over REST; it has the server's address instead of a database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from langkeys.audit.log import Actor, AuditLog, Recorder
from langkeys.config.settings import Settings
from langkeys.errors import LangkeysError
from langkeys.remote.client import LostAnswerError
from langkeys.remote.records import ActingUser, Complete, Record, ServerChange


class AuditRecord(Record):
    """Writes an audit line for each change before it is made, and for each refusal.

    The id of an object that the server creates is added afterwards, as a second part of the line.
    """

    def __init__(
        self,
        settings: Settings,
        warn: Callable[[str], None],
        *,
        command: str,
        reason: str | None,
        location: str,
    ) -> None:
        self._actor: Actor | None = None
        self._recorder = Recorder(
            AuditLog(settings, warn),
            command=command,
            reason=reason,
            acting=lambda: self._actor,
            database=lambda: location,
            is_undone=_is_undone,
        )

    def set_acting(self, user: ActingUser, key_id: str | None) -> None:
        """Set the user who is acting from now on."""
        self._actor = Actor(user.username, user.id, "api key", key_id)

    @contextmanager
    def changing(self, change: ServerChange) -> Iterator[Complete]:
        """Write the line of a change before it is made, and another one if it fails."""
        with self._recorder.record_write([change.as_audit_change()]) as add:
            yield lambda made_id: add(change._replace(id=made_id).as_audit_change())

    def record_refusal(self, error: BaseException) -> None:
        """Record a refused attempt, if its user is known or if the authentication failed."""
        with suppress(LangkeysError):  # report the original error instead
            self._recorder.record_refusal(error)


def _is_undone(error: BaseException) -> bool:
    return isinstance(error, LangkeysError) and not isinstance(error, LostAnswerError)
