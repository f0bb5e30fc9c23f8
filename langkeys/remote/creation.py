"""Create API keys over REST; a new key that does not work on the server is revoked again.

There are no transactions: if an answer is lost, it is unknown what was done. Then langkeys does not
guess what to delete, but lists the candidates.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from langkeys.errors import FailedError, InvalidKeyError, LangkeysError, NotFoundError
from langkeys.models import ApiKey, dashed, shown_without
from langkeys.remote.api_keys import PATH, end, list_keys, require_refused
from langkeys.remote.client import Answer, Client, LostAnswerError
from langkeys.remote.fields import StrangeFieldError, id_in, strange_field, text_in
from langkeys.remote.polling import poll
from langkeys.remote.records import ServerChange
from langkeys.remote.server import Server
from langkeys.times import iso
from langkeys.undo import TRY_AGAIN

_KEY = re.compile("[!-~]{8,500}")
"""The form of a new key; servers create ``sk-`` and 43 more characters."""


class NewKey(NamedTuple):
    """A new key from the server: its row, and the key itself, which is shown only once."""

    row: ApiKey
    plaintext: str

    def __repr__(self) -> str:
        return shown_without(self, "plaintext")


class MadeKey(NamedTuple):
    """A new key that may have to be revoked, and the server, with the key that created it."""

    server: Server
    id: str
    name: str
    plaintext: str

    def __repr__(self) -> str:
        return shown_without(self, "plaintext")


def create(
    server: Server,
    name: str,
    expires_at: datetime | None = None,
    *,
    ability: str = "api-key create",
    known: Collection[str] | None = None,
) -> NewKey:
    """Create a key of the acting user, and return it after the server has accepted it.

    ``known`` are the ids of existing keys, if the caller has just listed them. Raises
    UnsupportedError before any request if the server would ignore the expiry. If the answer is
    lost, raises FailedError with the new ids of that name.
    """
    if expires_at is not None:
        server.require(f"{ability} --expires")
    user_id = server.acting.id
    if known is None:
        known = {item.key.id for item in list_keys(server)}
    body = {"name": name} | ({} if expires_at is None else {"expires_at": iso(expires_at)})
    details = {"username": server.acting.username, "expires_at": body.get("expires_at")}
    try:
        with server.changing(
            ServerChange("insert", "api_key", None, name, user_id, details)
        ) as recorded:
            answer = server.client.require_done(recorded.ask("POST", PATH, body))
            key_id, plaintext = _new(answer, server.client, known)
            made = MadeKey(server, key_id, name, plaintext)
            with revoke_on_failure([made]):
                recorded.complete(key_id)
    except LostAnswerError as error:
        raise _lost(server, name, known, error) from None
    except (KeyboardInterrupt, SystemExit):
        server.warn(
            f"the server may have created an API key {name!r}; to see it: langkeys"
            f" api-key list {server.option}"
        )
        raise
    with revoke_on_failure([made]):
        return NewKey(_prove(server, key_id, plaintext, user_id, expires_at), plaintext)


def _new(answer: Answer, client: Client, known: Collection[str]) -> tuple[str, str]:
    try:
        plaintext = text_in(answer.document, "api_key")
        client.hide(plaintext)
        if not _KEY.fullmatch(plaintext):
            raise StrangeFieldError("api_key is not an API key")
        key_id = id_in(answer.document, "id")
        if key_id in known:
            # The answer may come from a cache: then the key is not new, and somebody else may use
            # it.
            raise StrangeFieldError("id is that of a key that existed before")
        return key_id, plaintext
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None


def _prove(
    server: Server, key_id: str, plaintext: str, user_id: str, expires_at: datetime | None
) -> ApiKey:
    """Return the row of a new key if the server accepts the key; else raise FailedError."""
    named = f"the new API key {dashed(key_id)}"
    # The new key authenticates these requests. They change nothing, so the audit log does not
    # record them.
    by_it = Server(server.client.by(plaintext))

    def refusal() -> InvalidKeyError | None:
        try:
            by_it.acting  # noqa: B018 - raises if the server refuses the key
        except InvalidKeyError as error:
            return error
        return None

    def listed() -> ApiKey | None:
        return next((item.key for item in list_keys(by_it) if item.key.id == key_id), None)

    refused = poll(refusal, lambda error: error is None)
    if refused is not None:
        raise FailedError(f"{named} is not accepted by the server: {refused.message}")
    if by_it.acting.id != user_id:
        raise FailedError(f"{named} belongs to another user in {server.location}")
    row = poll(listed, lambda found: found is not None)
    if row is None:
        raise FailedError(f"{named} is not among those that {server.location} lists")
    kept = row.expires_at
    if expires_at is not None and (kept is None or abs((kept - expires_at).total_seconds()) > 1):
        raise FailedError(f"{named} did not get the requested expiry")
    return row


def _lost(
    server: Server, name: str, known: Collection[str], error: LostAnswerError
) -> LangkeysError:
    def new_ones() -> list[ApiKey]:
        keys = [item.key for item in list_keys(server) if item.key.id not in known]
        return [key for key in keys if key.name == name]

    try:
        found = poll(new_ones, bool)
    except LangkeysError:
        return FailedError(
            f"{error.message}; it is unknown whether an API key {name!r} was created",
            hint=f"check with langkeys api-key list {server.option}, and revoke a key"
            " that nobody has received",
        )
    if not found:
        return FailedError(
            f"{error.message}; no new API key {name!r} has appeared so far",
            hint="run the command again",
        )
    ids = " ".join(dashed(key.id) for key in found)
    return FailedError(
        f"{error.message}; {_new_keys(found)} of that name appeared in the meantime,"
        " which may be another user's or job's",
        hint="a key created by this command was not delivered. If nobody else has"
        f" just created a key, run: langkeys api-key revoke {ids} {server.option}",
        candidates=tuple(f"{dashed(key.id)}  {key.name}  {iso(key.created_at)}" for key in found),
    )


def _new_keys(keys: Sequence[ApiKey]) -> str:
    return "a new API key" if len(keys) == 1 else f"{len(keys)} new API keys"


@contextmanager
def revoke_on_failure(made: Sequence[MadeKey], arrived: Collection[str] = ()) -> Iterator[None]:
    """Revoke new keys if the block fails or is interrupted; the error's hint names remaining keys.

    ``arrived`` are the ids of keys that somebody has received; these keys are kept. The block may
    add to both collections.
    """
    try:
        yield
    except BaseException as error:
        if not made:
            raise
        server = made[0].server
        undelivered = [key for key in made if key.id not in arrived]
        left = _revoke_undelivered(undelivered)
        other = " other" if arrived else ""
        many = (
            f"the{other} new API key has"
            if len(undelivered) == 1
            else f"the {len(undelivered)}{other} new API keys have"
        )
        hint = f"{many} been removed again; {TRY_AGAIN}"
        if left:
            hint = _not_removed(left)
        if arrived:
            ids = ", ".join(dashed(key_id) for key_id in arrived)
            hint += f"; these were delivered, and work in addition to the old ones: {ids}"
        if isinstance(error, LangkeysError):
            error.hint = hint if error.hint is None else f"{error.hint}; {hint}"
        elif left or arrived:
            server.warn(hint)
        raise


def _revoke_undelivered(keys: Sequence[MadeKey]) -> list[MadeKey]:
    """Revoke keys and return those that remain; if interrupted again, warn of them."""
    left = list(keys)
    try:
        for key in keys:
            if _is_revoked(key):
                left.remove(key)
    except (KeyboardInterrupt, SystemExit):
        left[0].server.warn(_not_removed(left))
        raise
    return left


def _not_removed(left: Sequence[MadeKey]) -> str:
    ids = " ".join(dashed(key.id) for key in left)
    return (
        "keys that were not delivered could not be removed. To revoke them: langkeys api-key"
        f" revoke {ids} {left[0].server.option}"
    )


def _is_revoked(key: MadeKey) -> bool:
    def is_ended() -> bool:
        try:
            end(key.server, key.id, key.name, key.plaintext)
        except NotFoundError:
            return False  # it may not be visible yet, or be gone
        return True

    try:
        poll(is_ended, bool)
        require_refused(key.server.client.by(key.plaintext), key.id)
    except LangkeysError:
        return False
    return True
