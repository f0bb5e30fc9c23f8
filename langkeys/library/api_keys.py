"""Operations on API keys for programs."""

import re
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from datetime import datetime, timedelta, timezone
from typing import Literal

from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys import references, rotation
from langkeys.api_keys.lifecycle import DEFAULT_NAME, NewApiKey
from langkeys.api_keys.rotation import Replacement
from langkeys.errors import (
    LangkeysError,
    NotFoundError,
    SecretKeyError,
    UnreadableRowError,
    UsageError,
)
from langkeys.library.acting import Sessions
from langkeys.models import ApiKey, dashed
from langkeys.sessions.session import Access, Session
from langkeys.store.protocol import KeyFilter, RowStub
from langkeys.text import checked_name
from langkeys.times import earlier, later, now, person_iso

End = datetime | timedelta | None
"""An expiry: a time (naive means UTC), a span from now, or None for never."""

_WHOLE_KEY = re.compile(r"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{32,}")


class ApiKeys:
    """The API keys of all users of a store. Each call is a separate transaction.

    A ``ref`` names a key as on the command line (id, name, visible start, start of the id), or is a
    whole API key. ``user`` is a user name or id, by default the acting user.
    """

    def __init__(self, acting: Sessions) -> None:
        self._acting = acting

    def create(
        self, name: str = DEFAULT_NAME, *, user: str | None = None, expires: End = None
    ) -> NewApiKey:
        """Create an API key; only ``plaintext`` in this result ever contains the key itself."""
        checked_name(name)
        expires_at = _moment(expires)
        with self._acting("api-key create", access=Access.WRITE) as session:
            owner = session.owner(user)
            if expires_at is not None:
                api_keys.require_expiry(session.generation)
            api_keys.require_working_owner(session.generation, owner)
            session.check_secret_key(encrypts=session.generation.encrypts_keys)
            (key,) = api_keys.new_api_keys(
                session.generation,
                lambda: session.cipher,
                owner=owner,
                name=name,
                expires_at=expires_at,
            )
            api_keys.store_and_deliver_one(session.store, key, lambda _: None)
            return key

    def list(
        self,
        *,
        user: str | None = None,
        all_users: bool = False,
        status: str | None = None,
        unused_for: timedelta | None = None,
        expires_within: timedelta | None = None,
    ) -> Iterator[ApiKey]:
        """Yield API keys, oldest first; ``status`` is active, expired or inactive."""
        if status not in (None, "active", "expired", "inactive"):
            raise UsageError(f"unknown status {status!r}")
        moment = now()
        with self._acting("api-key list") as session:
            wanted = KeyFilter(
                now=moment,
                user_id=None if all_users else session.owner(user).id,
                status=status,
                unused_since=None if unused_for is None else earlier(moment, unused_for),
                expires_before=None if expires_within is None else later(moment, expires_within),
            )
            yield from session.store.api_keys(wanted)

    def get(self, ref: str) -> ApiKey:
        """Return the one API key that ``ref`` names. Raises NotFoundError or AmbiguousError."""
        with self._acting("api-key show") as session:
            return _resolved(session, ref)

    def revoke(self, *refs: str) -> Sequence[ApiKey]:
        """Revoke API keys, all or none, and return their rows as they were.

        This takes effect immediately. All known rows of a key are deleted. Raises FailedError if a
        server would still accept a key. A warning is logged if rows that cannot be decrypted may
        belong to the same keys.
        """
        with self._acting("api-key revoke", access=Access.WRITE) as session:
            endings = session.endings
            found: MutableSequence[ApiKey] = []
            stubs: MutableSequence[RowStub] = []
            for ref in refs:
                try:
                    found.append(_resolved(session, ref, destroys=True))
                except (NotFoundError, UnreadableRowError, SecretKeyError, UsageError):
                    unreadable = _stubs(session, ref)
                    if not unreadable:
                        raise
                    stubs.extend(unreadable)
            keys = endings.revoke(endings.whole_keys(found), stubs)
            _warn_of_unreadable(session)
            return tuple(row for key in keys for row in (key.meant, *key.others))

    def rotate(
        self,
        ref: str,
        *,
        grace: timedelta | None = None,
        expires: End | Literal["never"] = None,
        deliver: Callable[[str], None] = lambda _: None,
    ) -> Replacement:
        """Replace an API key with a new one that has the same name, owner and lifetime.

        ``expires`` overrides the lifetime; ``"never"`` means no expiry. ``deliver`` gets the new
        key after it was stored. Then the old key ends, immediately or after ``grace``. If
        ``deliver`` raises, the new key is revoked and the old one stays.
        """
        new_expiry: rotation.Expires = "never" if expires == "never" else _moment(expires)
        with self._acting("api-key rotate", access=Access.WRITE) as session:
            if grace is not None:
                rotation.require_grace(session.generation)
                if grace <= timedelta(0):
                    raise UsageError("the grace must be longer than zero")
            if new_expiry is not None and new_expiry != "never":
                api_keys.require_expiry(session.generation)
            endings = session.endings
            found = _resolved(session, ref, working=True)
            keys = rotation.get_rotatable(endings, [found], grace=grace)
            session.check_secret_key(encrypts=session.generation.encrypts_keys)
            (replacement,) = rotation.new_replacements(
                session.store, lambda: session.cipher, keys, expires=new_expiry, grace=grace
            )
            api_keys.store_and_deliver_one(session.store, replacement.new, deliver)
            try:
                rotation.end_old(session.store, endings, [replacement], grace=grace)
            except LangkeysError as error:
                if not endings.has_ended:
                    error.hint = (
                        f"the new key {dashed(replacement.new.row.id)} works, but the"
                        f" old one {dashed(replacement.old.id)} was not revoked:"
                        " revoke one of them by its id"
                    )
                raise
            _warn_of_unreadable(session)
            return replacement


def _warn_of_unreadable(session: Session) -> None:
    if warning := session.endings.unreadable_warning:
        session.warn(warning)


def _resolved(
    session: Session, ref: str, *, destroys: bool = False, working: bool = False
) -> ApiKey:
    ref = ref.strip()  # the text may come from a file
    # Also treat a key with other text around it as secret: it must not appear in a message.
    if _WHOLE_KEY.search(ref):
        finder = session.endings.finder
        return references.get_api_key_by_value(session.store, finder, ref, "the API key given")
    return references.get_api_key(
        session.store,
        lambda: session.reading_cipher,
        ref,
        destroys=destroys,
        working=working,
        note=session.note,
        warn=session.warn,
    )


def _stubs(session: Session, ref: str) -> Sequence[RowStub]:
    ref = ref.strip()
    if _WHOLE_KEY.search(ref):
        return references.find_value_stubs(session.endings.finder, ref)
    return references.find_stubs(session.store, ref)


def _moment(end: End) -> datetime | None:
    if end is None:
        return None
    try:
        if isinstance(end, timedelta):
            moment = now() + end
        else:
            moment = end if end.tzinfo is not None else end.replace(tzinfo=timezone.utc)
            moment = moment.astimezone(timezone.utc)
    except OverflowError:
        raise UsageError("the expiry is too far in the future") from None
    if moment <= now():
        raise UsageError(f"the expiry has already passed ({person_iso(moment)})")
    return moment
