"""Resolve the REFs of a command to API keys, and require --yes for the acting key."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from langkeys.api_keys.ending import WholeKey
from langkeys.api_keys.references import (
    find_stubs,
    find_value_stubs,
    get_api_key,
    get_api_key_by_value,
)
from langkeys.authentication import Acting
from langkeys.cli import prompts
from langkeys.cli.completion import complete_api_keys
from langkeys.errors import (
    LangkeysError,
    NotFoundError,
    SecretKeyError,
    UnreadableRowError,
    UsageError,
)
from langkeys.models import ApiKey, dashed
from langkeys.sessions.session import Session
from langkeys.store.protocol import RowStub

RefArgument = Annotated[
    str,
    typer.Argument(
        metavar="REF", help="The key, or - for stdin.", autocompletion=complete_api_keys
    ),
]


def resolved_key(session: Session, ref: str) -> ApiKey:
    """Return the one key that a REF names; raise UsageError if stdin contains several."""
    keys = resolved_keys(session, [ref])
    if len(keys) != 1:
        raise UsageError(f"stdin has {len(keys)} keys, but this command takes one")
    return keys[0]


def resolved_keys(
    session: Session, refs: Sequence[str], *, destroys: bool = False, working: bool = False
) -> list[ApiKey]:
    """Return the keys that REFs name, in order and without repetition; ``-`` means lines of stdin.

    See ``langkeys.api_keys.references.get_api_key`` for ``destroys`` and ``working``.
    """
    found: dict[str, ApiKey] = {}
    for ref in refs:
        if ref == "-":
            lines = prompts.secret_lines("API key")
            finder = session.endings.finder
            keys = [
                get_api_key_by_value(session.store, finder, line, f"line {number} of stdin")
                for number, line in enumerate(lines, 1)
            ]
        else:
            keys = [
                get_api_key(
                    session.store,
                    lambda: session.reading_cipher,
                    ref,
                    destroys=destroys,
                    working=working,
                    progress=session.progress,
                    note=session.note,
                    warn=session.warn,
                )
            ]
        found.update((key.id, key) for key in keys)
    return list(found.values())


def resolved_rows(session: Session, refs: Sequence[str]) -> tuple[list[ApiKey], list[RowStub]]:
    """Return the keys that REFs name, to revoke them, and their unreadable rows."""
    keys: list[ApiKey] = []
    stubs: list[RowStub] = []
    finder = session.endings.finder
    for ref in refs:
        if ref != "-":
            try:
                keys += resolved_keys(session, [ref], destroys=True)
            except (NotFoundError, UnreadableRowError, UsageError) as error:
                stubs += _stubs(find_stubs(session.store, ref), error)
            continue
        for number, line in enumerate(prompts.secret_lines("API key"), 1):
            try:
                keys.append(
                    get_api_key_by_value(session.store, finder, line, f"line {number} of stdin")
                )
            except (NotFoundError, SecretKeyError) as error:
                stubs += _stubs(find_value_stubs(finder, line), error)
    return list({key.id: key for key in keys}.values()), stubs


def _stubs(found: Sequence[RowStub], error: LangkeysError) -> Sequence[RowStub]:
    if not found:
        raise error
    return found


def rows_of(keys: Iterable[WholeKey]) -> list[ApiKey]:
    """Return all rows of keys; for each key, the row that the user named comes first."""
    return [row for key in keys for row in (key.meant, *key.others)]


def require_yes_for_acting(acting: Acting, keys: Sequence[ApiKey], *, yes: bool) -> None:
    """Raise UsageError if the acting key would end and ``yes`` is false."""
    key = acting.api_key
    if key is not None and not yes and key.id in {chosen.id for chosen in keys}:
        raise UsageError(
            f"API key {dashed(key.id)} is the key that langkeys authenticates with"
            " (LANGKEYS_API_KEY); nothing was done",
            hint="use --yes to do it anyway",
        )
