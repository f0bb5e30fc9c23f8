"""Store and deliver new API keys; if that fails, revoke them again."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Generic

from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys.lifecycle import NewApiKey
from langkeys.authentication import superuser_at_risk
from langkeys.cli.key_files import AnyKey, Destination, Form
from langkeys.cli.output import Output, array_lines, json_text
from langkeys.cli.spool import Spool
from langkeys.files.staged import StagedFile
from langkeys.models import ApiKey, User, masked
from langkeys.sessions.session import Session

BARE = Form()


def store_and_deliver(
    session: Session,
    out: Output,
    keys: Iterable[NewApiKey],
    *,
    as_array: bool,
    destination: Destination | None,
    form: Form = BARE,
    additions: Callable[[NewApiKey], dict[str, Any]] = lambda _: {},
    table: Callable[[Iterable[NewApiKey]], Iterable[str]] | None = None,
) -> tuple[ApiKey, int]:
    """Store new keys and deliver them to ``destination`` or stdout; revoke them on failure.

    Returns the first key and the number of keys, after they were stored, checked, delivered and
    synced. ``additions`` returns fields for the end of a key's JSON object. ``table`` formats
    several keys for a terminal. The output is complete before anything is stored; large output is
    not kept in memory.
    """
    store = session.store
    with store.key_batch() as batch, Spool() as spool:
        made = api_keys.add_to_batch(batch, keys)
        if destination is not None:
            made = destination.fill(made)
        url = session.settings.text("LANGFLOW_URL")
        lines = Lines(out, destination, form, additions, table, url)
        spool.fill(lines.of(made, as_array=as_array))

        def deliver() -> None:
            if destination is None:
                out.deliver(spool)
            else:
                destination.publish()

        api_keys.store_and_deliver(store, batch, deliver, lambda: _arrived(destination))
        if destination is not None and out.as_json:
            # The keys have already been delivered, so they are kept even if this fails.
            out.deliver(spool)
        return next(iter(batch)), len(batch)


class Lines(Generic[AnyKey]):
    """Formats keys for stdout; if the keys are in files, stdout gets no whole key."""

    def __init__(
        self,
        out: Output,
        destination: Destination | None,
        form: Form,
        additions: Callable[[AnyKey], dict[str, Any]],
        table: Callable[[Iterable[AnyKey]], Iterable[str]] | None,
        url: str | None,
    ) -> None:
        self.out = out
        self.destination = destination
        self.form = form
        self.additions = additions
        self.table = table
        self.url = url

    def of(self, keys: Iterator[AnyKey], *, as_array: bool) -> Iterator[str]:
        """Yield the lines for keys; the keys are taken one at a time."""
        if self.out.as_json:
            objects = (self._object(number, key) for number, key in enumerate(keys))
            yield from array_lines(objects) if as_array else map(json_text, objects)
        elif self.destination is not None:
            deque(keys, maxlen=0)
        elif self.out.is_terminal and self.form.is_bare:
            yield from self._for_person(keys)
        else:
            yield from (line for key in keys for line in self.form.lines(key.plaintext))

    def _for_person(self, keys: Iterator[AnyKey]) -> Iterator[str]:
        first, second = next(keys), next(keys, None)
        if second is None:
            yield self.out.new_key_panel(
                first.plaintext, first.row.name or "", self.url
            ).removesuffix("\n")
            return
        every = chain((first, second), keys)
        yield from self.table(every) if self.table else (key.plaintext for key in every)

    def _object(self, number: int, key: AnyKey) -> dict[str, Any]:
        from langkeys.cli.present.api_keys import api_key_object

        additions = self.additions(key)
        if self.destination is None:
            return {**api_key_object(key.row, key.plaintext), **additions}
        written_to = {"written_to": str(self.destination.path_of(number))}
        return {**api_key_object(key.row, masked(key.plaintext)), **additions, **written_to}


def _arrived(destination: Destination | None) -> tuple[int, str]:
    """Return how many files were published before one failed, and a sentence that names them."""
    if destination is None or not destination.is_split:
        return 0, ""
    paths = [str(destination.path_of(number)) for number in range(destination.published)]
    return destination.published, (
        "; these files were written, and their keys work in addition to the old"
        f" ones: {', '.join(paths)}"
    )


def warn_of_file(out: Output, staged: StagedFile | None) -> None:
    """Warn of changes to the owner or mode of a replaced file."""
    for warning in () if staged is None else staged.warnings:
        out.warn(warning)


def warn_of_owner(session: Session, owner: User) -> None:
    """Warn of risks for the keys of this owner."""
    risk = superuser_at_risk(session.settings, session.generation, owner)
    if risk is not None:
        session.warn(risk)
    if not owner.is_active:
        session.warn(f"the owner {owner.username} is inactive, so servers refuse the key")
