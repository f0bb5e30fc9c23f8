"""Resolve a REF over REST: a key of the acting user, or a whole key on stdin.

A whole key authenticates itself. It is found among its user's keys by its masked form.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from langkeys.errors import MAX_CANDIDATES, AmbiguousError, InvalidKeyError, NotFoundError
from langkeys.models import dashed, parsed_id, shown_without
from langkeys.remote.api_keys import ListedKey, keys_like, list_keys
from langkeys.remote.server import Server
from langkeys.times import iso, now

_VISIBLE_START = re.compile(r"sk-[A-Za-z0-9_-]{5,20}")
_ID_START = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")


class ChosenKey(NamedTuple):
    """A key to act on, and a client of the server with the key that does it.

    ``whole`` is the key itself, if it was given on stdin or is the acting key.
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
    server: Server, keys: Sequence[ListedKey], ref: str, *, destroys: bool, working: bool = False
) -> ChosenKey:
    """Return the one key of the acting user that ``ref`` names, by the first way that matches.

    ``destroys`` requires 8 digits of an id's start instead of 4. If several keys have the name and
    ``working`` is set, the only active one is returned.
    """
    moment = now()
    matches = [item for item in keys if item.key.id == parsed_id(ref)]
    matches = matches or [item for item in keys if item.key.name == ref]
    if working and len(matches) > 1:
        active = [item for item in matches if item.key.status(moment) == "active"]
        matches = active or matches
    if not matches and _VISIBLE_START.fullmatch(ref):
        matches = [item for item in keys if item.value.startswith(ref[:8]) and len(ref) >= 8]
    hint = f"to see ids and names: langkeys api-key list {server.option}"
    lowered = ref.lower()
    if not matches and _ID_START.fullmatch(lowered):
        digits = lowered.replace("-", "")
        least = 8 if destroys else 4
        if len(digits) >= least:
            matches = [item for item in keys if item.key.id.startswith(digits)]
        else:
            hint = f"use at least {least} digits of the id; {hint}"
    if not matches:
        raise NotFoundError(
            f"no API key of {server.acting.username} matches {ref!r} in {server.location}",
            hint=hint,
        )
    return _with_whole(server, _the_one(server, matches, repr(ref)))


def choose_acting(server: Server, api_key: str, what: str) -> ChosenKey:
    """Return the key that was given whole, acting for itself; ``what`` names it in errors.

    Raises InvalidKeyError if the server refuses it, NotFoundError if it is not a stored key.
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
    """Move the acting key to the end: the others cannot be revoked after it."""
    return sorted(chosen, key=lambda item: item.whole is not None)


def chosen_from(server: Server, keys: Sequence[ListedKey]) -> list[ChosenKey]:
    """Return keys to act on for listed keys of the acting user."""
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
