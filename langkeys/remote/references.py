"""Resolve a REF over REST: a key of the acting user, or a whole key from stdin.

A whole key authenticates its own requests. Its masked form identifies it in its user's list.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from langkeys.errors import MAX_CANDIDATES, AmbiguousError, InvalidKeyError, NotFoundError
from langkeys.models import dashed, parsed_id, shown_without
from langkeys.ref_forms import (
    MIN_ID_DIGITS,
    MIN_ID_DIGITS_TO_DESTROY,
    find_id_digits,
    find_visible_start,
    refuse_other_starts,
    shadow_warning,
)
from langkeys.remote.api_keys import ListedKey, keys_like, list_keys
from langkeys.remote.server import Server
from langkeys.times import iso, now

_SHOWN = len("sk-") + 5
"""The number of characters of a key that a server shows."""


class ChosenKey(NamedTuple):
    """A key to act on, and the server, with the key that authenticates the requests.

    ``whole`` is the key itself, if it was read from stdin or is the acting key.
    """

    server: Server
    listed: ListedKey
    whole: str | None = None
    is_presented: bool = False

    def __repr__(self) -> str:
        return shown_without(self, "whole")

    @property
    def key_id(self) -> str:
        """The key's id."""
        return self.listed.key.id


def choose(
    server: Server,
    keys: Sequence[ListedKey],
    ref: str,
    *,
    destroys: bool,
    working: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> ChosenKey:
    """Return the one key of the acting user that ``ref`` names; the first way that matches decides.

    With ``destroys``, the start of an id needs 8 digits instead of 4. If several keys have the name
    and ``working`` is set, the only active one is returned. ``warn`` gets a message if the name is
    also the start of other keys or of their ids. Raises what ``api_keys.references`` raises.
    """
    moment = now()
    matches = [item for item in keys if item.key.id == parsed_id(ref)]
    if matches:
        return _with_whole(server, _the_one(server, matches, repr(ref)))
    matches = [item for item in keys if item.key.name == ref]
    if working and len(matches) > 1:
        active = [item for item in matches if item.key.status(moment) == "active"]
        matches = active or matches
    started = _starting_with(keys, ref)
    if matches:
        named = _the_one(server, matches, repr(ref))
        others = [item.key for item in started if item.key.name != ref]
        if others:
            warn(shadow_warning(ref, named.key, others))
        return _with_whole(server, named)
    refuse_other_starts(ref)
    hint = f"to see ids and names: langkeys api-key list {server.option}"
    digits = find_id_digits(ref)
    least = MIN_ID_DIGITS_TO_DESTROY if destroys else MIN_ID_DIGITS
    if digits is not None and len(digits) < least:
        started = []
        hint = f"the start of an id needs at least {least} digits; {hint}"
    if not started:
        names = dict.fromkeys(item.key.name for item in keys if item.key.name)
        alike = [name for name in names if name.lower() == ref.lower()][:MAX_CANDIDATES]
        hint = "".join(f"there is {name!r}; " for name in alike) + hint
        raise NotFoundError(
            f"no API key of {server.acting.username} matches {ref!r} in {server.location}",
            hint=hint,
        )
    return _with_whole(server, _the_one(server, started, repr(ref)))


def _starting_with(keys: Sequence[ListedKey], ref: str) -> list[ListedKey]:
    """Return the keys that start with a REF, or whose ids start with it.

    Only the characters that a server shows are compared.
    """
    start, digits = find_visible_start(ref), find_id_digits(ref)
    if start is not None:
        return [item for item in keys if item.value.startswith(start[:_SHOWN])]
    if digits is not None and len(digits) >= MIN_ID_DIGITS:
        return [item for item in keys if item.key.id.startswith(digits)]
    return []


def choose_acting(server: Server, api_key: str, what: str) -> ChosenKey:
    """Return a whole key as the key to act on, authenticated by itself; errors call it ``what``.

    Raises InvalidKeyError if the server refuses the key, NotFoundError if it is not a stored key.
    """
    by_it = server.by(api_key)
    try:
        username = by_it.acting.username
    except InvalidKeyError as error:
        error.message = f"{what}: {error.message}"
        error.args = (error.message,)
        raise
    matches = keys_like(list_keys(by_it), api_key)
    if not matches:
        raise NotFoundError(
            f"{what}: {server.location} accepts the key as {username}, but does not list it",
            hint="it may be the LANGFLOW_API_KEY in the server's environment"
            " (LANGFLOW_API_KEY_SOURCE=env), which can only be removed there",
        )
    listed = _the_one(by_it, matches, what)
    by_it.key_id = listed.key.id
    return ChosenKey(by_it, listed, api_key, is_presented=True)


def _with_whole(server: Server, listed: ListedKey) -> ChosenKey:
    own = server.client.api_key
    is_own = own is not None and bool(keys_like([listed], own))
    return ChosenKey(server, listed, own if is_own else None)


def with_acting_last(chosen: Sequence[ChosenKey]) -> list[ChosenKey]:
    """Move the acting key to the end: after its revocation, the others could not be revoked."""
    return sorted(chosen, key=lambda item: item.whole is not None)


def chosen_from(server: Server, keys: Sequence[ListedKey]) -> list[ChosenKey]:
    """Return listed keys of the acting user as keys to act on."""
    return [_with_whole(server, listed) for listed in keys]


def _the_one(server: Server, matches: Sequence[ListedKey], what: str) -> ListedKey:
    if len(matches) == 1:
        return matches[0]
    many, moment = len(matches) > MAX_CANDIDATES, now()
    raise AmbiguousError(
        f"{what} matches {'more than ' if many else ''}{min(len(matches), MAX_CANDIDATES)}"
        f" API keys in {server.location}",
        hint="use the id of one of them",
        candidates=tuple(
            f"{dashed(key.id)}  {key.name or '(no name)'}  {value.rstrip('*')}..."
            f"  {key.status(moment)}, created {iso(key.created_at)}"
            + ("" if key.expires_at is None else f", expires {iso(key.expires_at)}")
            for key, value in matches[:MAX_CANDIDATES]
        ),
    )
