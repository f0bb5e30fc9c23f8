"""New API keys on their way to whoever asked for them: stored, then delivered, or taken back."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from langkeys import api_keys
from langkeys.api_keys import NewApiKey
from langkeys.authentication import superuser_at_risk
from langkeys.batches import in_batches
from langkeys.cli.key_rows import key_object
from langkeys.cli.output import Output, Spool, array_lines, json_text
from langkeys.errors import LangkeysError
from langkeys.files import StagedFile
from langkeys.models import ApiKey, User, dashed, masked
from langkeys.session import Session
from langkeys.store.base import KeyBatch


def store_and_deliver(
    session: Session,
    out: Output,
    keys: Iterable[NewApiKey],
    *,
    as_array: bool,
    staged: StagedFile | None,
    additions: Callable[[NewApiKey], dict[str, Any]] = lambda _: {},
) -> tuple[ApiKey, int]:
    """Store new keys and deliver them, to ``staged`` or else to stdout; take them back otherwise.

    Returns the first of them and how many there are, once they are stored, read back, and whole and
    synced where they were to go. ``additions`` are fields for the end of a key's JSON object. What
    is to be delivered is complete before anything is stored, and however much it is not in memory.
    """
    store = session.store
    with store.key_batch() as batch, Spool() as spool:
        made = api_keys.set_aside(batch, keys)
        if staged is not None:
            made = _into_file(made, staged)
        spool.fill(_lines(out, made, as_array=as_array, staged=staged, additions=additions))
        if staged is not None:
            staged.sync()
        api_keys.store_batch(store, batch)
        with _taken_back(session, batch):
            api_keys.check_stored(store, batch)
            if staged is None:
                out.deliver(spool)
            else:
                staged.publish()
        if staged is not None and out.as_json:
            # The keys have arrived already: should this fail, they stay.
            out.deliver(spool)
        return next(iter(batch)), len(batch)


def _into_file(keys: Iterator[NewApiKey], staged: StagedFile) -> Iterator[NewApiKey]:
    for some in in_batches(keys, api_keys.ROWS_AT_ONCE):
        staged.add("".join(f"{key.plaintext}\n" for key in some))
        yield from some


def _lines(
    out: Output,
    keys: Iterator[NewApiKey],
    *,
    as_array: bool,
    staged: StagedFile | None,
    additions: Callable[[NewApiKey], dict[str, Any]],
) -> Iterator[str]:
    """Yield the lines for stdout, which has no key whole where it is in a file."""
    if out.as_json:
        objects = (_object(key, staged, additions(key)) for key in keys)
        yield from array_lines(objects) if as_array else map(json_text, objects)
    elif staged is not None:
        deque(keys, maxlen=0)
    elif out.is_terminal:
        first, second = next(keys), next(keys, None)
        if second is None:
            yield out.new_key_panel(first.plaintext, first.row.name or "").removesuffix("\n")
        else:
            yield from (key.plaintext for key in chain((first, second), keys))
    else:
        yield from (key.plaintext for key in keys)


def _object(key: NewApiKey, staged: StagedFile | None, additions: dict[str, Any]) -> dict[str, Any]:
    if staged is None:
        return {**key_object(key.row, key.plaintext), **additions}
    written_to = {"written_to": str(staged.path)}
    return {**key_object(key.row, masked(key.plaintext)), **additions, **written_to}


@contextmanager
def _taken_back(session: Session, batch: KeyBatch) -> Iterator[None]:
    """Revoke new keys where the block that delivers them fails, Ctrl-C included."""
    try:
        yield
    except BaseException as error:
        what = "the new API key" if len(batch) == 1 else f"the {len(batch)} new API keys"
        has = "has" if len(batch) == 1 else "have"
        ids = ", ".join(dashed(key.id) for key in islice(batch, 10))
        try:
            api_keys.take_back(session.store, batch)
        except LangkeysError as second:
            hint = f"revoke what nobody has received: {ids} ({second.message})"
        else:
            hint = f"{what} could not be delivered and {has} been taken back"
        if isinstance(error, LangkeysError):
            error.hint = hint
        raise


def warn_of_file(out: Output, staged: StagedFile | None) -> None:
    """Say what became of the owner and the mode of a file that has been replaced."""
    for warning in () if staged is None else staged.warnings:
        out.warn(warning)


def warn_of_owner(session: Session, owner: User) -> None:
    """Say what endangers the keys of this owner."""
    risk = superuser_at_risk(session.settings, session.generation, owner)
    if risk is not None:
        session.warn(risk)
    if not owner.is_active:
        session.warn(f"the owner {owner.username} is inactive: servers refuse the key")
