"""REF: naming an API key by its id, name, visible start, start of its id, or whole on stdin."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from langkeys.errors import AmbiguousError, NotFoundError
from langkeys.models import ApiKey, dashed, parsed_id
from langkeys.progress import Progress, unseen
from langkeys.store.base import KeyFilter, Store
from langkeys.times import iso, now
from langkeys.verification import KeyFinder

if TYPE_CHECKING:
    from langkeys.crypto import Cipher

MOST_CANDIDATES = 10
"""So many matches are listed before the list is cut."""

_VISIBLE_START = re.compile(r"sk-[A-Za-z0-9_-]{5,20}")
_ID_START = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")


def resolved(
    store: Store,
    cipher: Callable[[], "Cipher"],
    ref: str,
    *,
    destroys: bool = False,
    working: bool = False,
    progress: Progress = unseen,
) -> ApiKey:
    """Return the one API key that ``ref`` names, anybody's, by the first way that matches.

    ``destroys`` asks for 8 digits of an id's start instead of 4. ``working``: where a name is that
    of several keys and only one of them works, that one. Raises NotFoundError, or
    AmbiguousError with the candidates.
    """
    key_id = parsed_id(ref)
    key = None if key_id is None else store.find_api_key(key_id)
    if key is not None:
        return key
    matches = store.api_keys_named(ref, MOST_CANDIDATES + 1)
    if working and len(matches) > 1:
        # After a rotation with a grace the old key stays for a while, and expired after that.
        wanted = KeyFilter(now=now(), name=ref, status="active")
        matches = list(store.api_keys(wanted, limit=MOST_CANDIDATES + 1)) or matches
    if not matches and _VISIBLE_START.fullmatch(ref):
        matches = _starting_with(store, cipher, ref, progress)
    hint = "langkeys api-key list --all-users shows ids and names"
    lowered = ref.lower()
    if not matches and _ID_START.fullmatch(lowered):
        digits = lowered.replace("-", "")
        least = 8 if destroys else 4
        if len(digits) >= least:
            matches = store.api_keys_by_id_start(digits, MOST_CANDIDATES + 1)
        else:
            hint = f"give {least} digits of the id or more; {hint}"
    if not matches:
        raise NotFoundError(f"no API key matches {ref!r} in {store.location}", hint=hint)
    return _the_one(matches, f"{ref!r}", store)


def resolved_value(store: Store, finder: KeyFinder, api_key: str, what: str) -> ApiKey:
    """Return the row of a whole API key, called ``what`` in errors, as it must not show itself."""
    matches = [found.key for found in finder.find(api_key)]
    if not matches:
        raise NotFoundError(f"{what} is no API key of {store.location}")
    return _the_one(matches, what, store)


def _starting_with(
    store: Store, cipher: Callable[[], "Cipher"], start: str, progress: Progress
) -> list[ApiKey]:
    # Linear: a key's start is only to be seen by decrypting it.
    found = list(store.api_keys_stored_from(start, MOST_CANDIDATES + 1))
    wanted, passed = start.encode(), 0
    with progress("decrypting API keys", store.api_key_count()) as done:
        for page in store.key_tokens(unhashed_only=False):
            for token in page:
                content = cipher().find_content(token.encode())
                if content is not None and content.startswith(wanted):
                    found += (owned.key for owned in store.owned_stored_as(token))
            passed += len(page)
            done(passed)
    return found


def _the_one(matches: Sequence[ApiKey], what: str, store: Store) -> ApiKey:
    if len(matches) == 1:
        return matches[0]
    many, moment = len(matches) > MOST_CANDIDATES, now()
    raise AmbiguousError(
        f"{what} matches {'more than ' if many else ''}{min(len(matches), MOST_CANDIDATES)}"
        f" API keys in {store.location}",
        hint="name one of them by its id",
        candidates=tuple(
            f"{dashed(key.id)}  {key.name or '(no name)'}  {key.username or '(no owner)'}"
            f"  {key.status(moment)}, made {iso(key.created_at)}"
            + ("" if key.expires_at is None else f", expires {iso(key.expires_at)}")
            for key in matches[:MOST_CANDIDATES]
        ),
    )
