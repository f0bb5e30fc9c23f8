"""Deliver new keys that a server has created."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from langkeys.cli.delivery import Lines
from langkeys.cli.key_files import Destination, Form
from langkeys.cli.output import Output
from langkeys.remote.creation import NewKey
from langkeys.remote.server import Server


class Delivery:
    """Delivers new keys in a chosen form, to files or to stdout.

    ``additions`` returns fields for the end of a key's JSON object; ``table`` formats several keys
    for a terminal.
    """

    def __init__(
        self,
        out: Output,
        server: Server,
        destination: Destination | None,
        form: Form,
        *,
        as_array: bool,
        additions: Callable[[NewKey], dict[str, Any]] = lambda _: {},
        table: Callable[[Iterable[NewKey]], Iterable[str]] | None = None,
    ) -> None:
        self._out = out
        self._destination = destination
        self._as_array = as_array
        self._lines = Lines(out, destination, form, additions, table, server.location)
        self._report: list[str] = []

    def hand_over(self, keys: Sequence[NewKey], arrived: set[str]) -> None:
        """Deliver and sync keys; raise an error if that fails.

        After an error, ``arrived`` contains the ids of the keys whose own files were published.
        """
        destination = self._destination
        if destination is None:
            self._out.lines(self._lines.of(iter(keys), as_array=self._as_array))
            return
        made = destination.fill(iter(keys))
        self._report = list(self._lines.of(made, as_array=self._as_array))
        try:
            destination.publish()
        except BaseException:
            if destination.is_split:
                arrived.update(key.row.id for key in keys[: destination.published])
            raise

    def report(self) -> None:
        """Print JSON about keys that were written to files; if this fails, the keys are kept."""
        if self._destination is not None and self._out.as_json:
            self._out.lines(self._report)

    def warn(self) -> None:
        """Warn of changes to the owner or mode of replaced files."""
        if self._destination is not None:
            self._destination.warn(self._out)
