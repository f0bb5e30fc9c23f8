"""The audit trail of what is done over REST, with the server's address for the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from langkeys.audit.log import Actor, AuditLog, Recorder
from langkeys.config.settings import Settings
from langkeys.errors import LangkeysError
from langkeys.remote.client import LostAnswerError
from langkeys.remote.records import ActingUser, Complete, Deed, Record


class AuditRecord(Record):
    """Writes a line for each deed before it is done, and for what is refused.

    A server tells the id of what it makes: that is a second part of the line, after the deed.
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

    def acts(self, user: ActingUser, key_id: str | None) -> None:
        """Take note of who acts from now on."""
        self._actor = Actor(user.username, user.id, "api key", key_id)

    @contextmanager
    def doing(self, deed: Deed) -> Iterator[Complete]:
        """Write the line of a deed before it is done, and another one where it fails."""
        with self._recorder.record_write([deed.described()]) as add:
            yield lambda made_id: add(deed._replace(id=made_id).described())

    def record_refusal(self, error: BaseException) -> None:
        """Write down an attempt that was refused, if it is known whose or whose not."""
        with suppress(LangkeysError):  # the error that led here is the one to tell
            self._recorder.record_refusal(error)


def _is_undone(error: BaseException) -> bool:
    return isinstance(error, LangkeysError) and not isinstance(error, LostAnswerError)
