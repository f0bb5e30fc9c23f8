"""Resolve a REF: a name, an id, the visible start of an API key or of an id, or a whole API key."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from langkeys.api_keys.finder import KeyFinder
from langkeys.api_keys.lifetimes import MAX_SAME_NAME, Replacements
from langkeys.api_keys.refusals import unknown_key_hint
from langkeys.api_keys.verification import representative
from langkeys.crypto.hashes import api_key_hash
from langkeys.errors import (
    MAX_CANDIDATES,
    AmbiguousError,
    LangkeysError,
    NotFoundError,
    SecretKeyError,
    UnreadableRowError,
)
from langkeys.models import ApiKey, dashed, parsed_id
from langkeys.progress import Progress, unseen
from langkeys.ref_forms import (
    MIN_ID_DIGITS,
    MIN_ID_DIGITS_TO_DESTROY,
    find_id_digits,
    find_visible_start,
    refuse_other_starts,
    shadow_warning,
)
from langkeys.store.owners import with_owners
from langkeys.store.protocol import KeyFilter, RowStub, Store
from langkeys.store.unreadable import choose_unreadable
from langkeys.text import counted, listed
from langkeys.times import now, person_iso

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

MAX_SHADOWED_DECRYPTED = 1000
"""The maximum number of API keys decrypted only to warn that a name is also their start."""


def get_api_key(
    store: Store,
    cipher: Callable[[], "Cipher"],
    ref: str,
    *,
    destroys: bool = False,
    working: bool = False,
    progress: Progress = unseen,
    note: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> ApiKey:
    """Return the one API key that ``ref`` names, of any user; the first way that matches decides.

    With ``destroys``, the start of an id needs 8 digits instead of 4. If several keys have the name
    and ``working`` is set, the only working one is returned. A key in its grace period does not
    count as working, and ``note`` gets a message about it. Several rows of one key count as one
    key. ``warn`` gets a message if the name is also the start of other keys or of their ids. Raises
    NotFoundError, AmbiguousError with the candidates, or UsageError if the start of a key is too
    short or too long.
    """
    key_id = parsed_id(ref)
    key = None if key_id is None else store.find_api_key(key_id)
    if key is not None:
        return key
    matches = store.api_keys_named(ref, MAX_CANDIDATES + 1)
    if working and len(matches) > 1:
        matches = _working(store, ref, note) or matches
    if matches:
        named = _get_only(matches, f"{ref!r}", store, cipher)
        _warn_of_shadowed(store, cipher, ref, named, warn)
        return named
    refuse_other_starts(ref)
    hint = "to see ids and names: langkeys api-key list --all-users"
    start, digits = find_visible_start(ref), find_id_digits(ref)
    if start is not None:
        matches = _starting_with(store, cipher, start, progress)
    elif digits is not None:
        least = MIN_ID_DIGITS_TO_DESTROY if destroys else MIN_ID_DIGITS
        if len(digits) >= least:
            matches = store.api_keys_by_id_start(digits, MAX_CANDIDATES + 1)
        else:
            hint = f"the start of an id needs at least {least} digits; {hint}"
    if not matches:
        alike = "".join(f"there is {name!r}; " for name in _names_in_other_case(store, ref))
        raise NotFoundError(f"no API key matches {ref!r} in {store.location}", hint=alike + hint)
    return _get_only(matches, f"{ref!r}", store, cipher)


def get_api_key_by_value(store: Store, finder: KeyFinder, api_key: str, what: str) -> ApiKey:
    """Return the row of a whole API key; errors call the key ``what``, because it is secret.

    If the key has several rows, this is the one that a server uses. Raises NotFoundError, or
    SecretKeyError if rows that cannot be decrypted may belong to this key.
    """
    rows = finder.find_all(api_key)
    if not rows:
        unreadable = finder.count_unreadable()
        if unreadable:
            raise SecretKeyError(
                f"{what} was not found in {store.location}, but {counted(unreadable, 'row')}"
                " there cannot be decrypted and may hold it; nothing was done",
                hint="use the secret key of the server that wrote them; or find the"
                " key by its name or owner with langkeys api-key list"
                " --all-users, and use its id",
            )
        raise NotFoundError(
            f"{what} is not an API key in {store.location}", hint=unknown_key_hint(api_key)
        )
    return representative(store, api_key_hash(api_key), rows)


def _names_in_other_case(store: Store, name: str) -> list[str]:
    """Return names of keys that differ only in case, of the usual spellings: each has an index."""
    spellings = dict.fromkeys((name.lower(), name.upper(), name.capitalize(), name.title()))
    return [spelling for spelling in spellings if spelling != name and _has_name(store, spelling)]


def _has_name(store: Store, name: str) -> bool:
    try:
        return bool(store.api_keys_named(name, 1))
    except UnreadableRowError:
        return True


def find_stubs(store: Store, ref: str) -> Sequence[RowStub]:
    """Return the unreadable row with this id or name, so that it can still be revoked.

    Raises AmbiguousError if several rows match, readable or not.
    """
    found = store.api_key_stubs(key_id=parsed_id(ref) or ref)
    found = found or store.api_key_stubs(name=ref)
    return choose_unreadable(store, found, ref, "API key")


def find_value_stubs(finder: KeyFinder, api_key: str) -> Sequence[RowStub]:
    """Return the unreadable rows of a whole API key; see ``find_stubs``."""
    try:
        return finder.find_stubs(api_key_hash(api_key), api_key)
    except UnicodeEncodeError:
        return []


def _warn_of_shadowed(
    store: Store,
    cipher: Callable[[], "Cipher"],
    ref: str,
    named: ApiKey,
    warn: Callable[[str], None],
) -> None:
    # A user who may create keys could name one so that a REF finds it instead of another key.
    start, digits = find_visible_start(ref), find_id_digits(ref)
    try:
        if start is not None:
            if store.api_key_count() > MAX_SHADOWED_DECRYPTED:
                warn(
                    f"{ref!r} is the name of API key {dashed(named.id)}, which is meant;"
                    " whether it is also the start of others was not checked"
                )
                return
            found = _starting_with(store, cipher, start, unseen)
        elif digits is not None and len(digits) >= MIN_ID_DIGITS:
            found = list(store.api_keys_by_id_start(digits, MAX_CANDIDATES + 2))
        else:
            return
    except LangkeysError:
        return  # the name alone is enough to continue
    others = [key for key in found if key.name != ref]
    if others:
        warn(shadow_warning(ref, named, others))


def _working(store: Store, name: str, note: Callable[[str], None]) -> list[ApiKey]:
    # After a rotation with a grace period, the old key's row remains, even after it has expired.
    moment = now()
    named = list(store.api_keys(KeyFilter(now=moment, name=name), limit=MAX_SAME_NAME + 1))
    if len(named) > MAX_SAME_NAME:
        wanted = KeyFilter(now=moment, name=name, status="active")
        return list(store.api_keys(wanted, limit=MAX_CANDIDATES + 1))
    replaced = Replacements(named)
    working, left_out = [], []
    for key in named:
        if key.status(moment) == "active":
            newer = replaced.find_newer(key)
            if newer is None:
                working.append(key)
            else:
                left_out.append((key, newer))
    if not working:
        return [key for key, _ in left_out]
    if len(left_out) == 1:
        ((key, newer),) = left_out
        note(
            f"API key {dashed(key.id)} ({name}) is left out: it was already replaced"
            f" by {dashed(newer.id)} and is in its grace period"
        )
    elif left_out:
        note(
            f"{len(left_out)} API keys named {name!r} are left out because they were already"
            " replaced and are in their grace period:"
            f" {listed([dashed(key.id) for key, _ in left_out])}"
        )
    return working


def _starting_with(
    store: Store, cipher: Callable[[], "Cipher"], start: str, progress: Progress
) -> list[ApiKey]:
    # This reads all keys, because the start of a key is unknown until it is decrypted.
    found = list(store.api_keys_stored_from(start, MAX_CANDIDATES + 1))
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


def _get_only(
    matches: Sequence[ApiKey], what: str, store: Store, cipher: Callable[[], "Cipher"]
) -> ApiKey:
    if len(matches) == 1:
        return matches[0]
    if len(matches) <= MAX_CANDIDATES:
        finder = KeyFinder(store, cipher)
        hashes = {finder.find_hash(key) for key in matches}
        (hashed, *others) = hashes
        if hashed is not None and not others:
            return representative(store, hashed, with_owners(store, matches))
    many, moment = len(matches) > MAX_CANDIDATES, now()
    raise AmbiguousError(
        f"{what} matches {'more than ' if many else ''}{min(len(matches), MAX_CANDIDATES)}"
        f" API keys in {store.location}",
        hint="use the id of one of them",
        candidates=tuple(
            f"{dashed(key.id)}  {key.name or '(no name)'}"
            f"  {key.username or '(no owner)'}  {key.status(moment)}, created"
            f" {person_iso(key.created_at)}"
            + ("" if key.expires_at is None else f", expires {person_iso(key.expires_at)}")
            for key in matches[:MAX_CANDIDATES]
        ),
    )
