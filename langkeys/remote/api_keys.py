"""API keys over REST: one's own, made, listed and ended, each deed proved by the server.

There is no transaction: an answer that is lost leaves open what was done. Nothing is then deleted
by guess; what is there is looked up and named.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from langkeys.errors import (
    FailedError,
    InvalidKeyError,
    LangkeysError,
    NotFoundError,
)
from langkeys.models import ApiKey, dashed, masked, shown_without
from langkeys.remote.client import Answer, Client, LostAnswerError, UnreachableError
from langkeys.remote.fields import (
    StrangeFieldError,
    count_in,
    find_text_in,
    find_time_in,
    flag_in,
    id_in,
    list_in,
    strange_field,
    text_in,
    time_in,
)
from langkeys.remote.server import Server, is_refused
from langkeys.remote.settling import settled
from langkeys.times import iso

PATH = "/api/v1/api_key/"

_ATTEMPTS = 3
_NOT_FOUND = "not found"


class ListedKey(NamedTuple):
    """A key as the server lists it, and its masked form."""

    key: ApiKey
    value: str


class NewKey(NamedTuple):
    """A key that the server has just made: its row, and the key itself, which only shows once."""

    row: ApiKey
    plaintext: str

    def __repr__(self) -> str:
        return shown_without(self, "plaintext")


def list_keys(server: Server, client: Client | None = None) -> list[ListedKey]:
    """Return the keys of the user whose key is sent, oldest first."""
    client = client or server.client
    answer = client.done(client.ask("GET", PATH))
    try:
        user_id = id_in(answer.document, "user_id")
        found = [_listed(item, user_id, server) for item in list_in(answer.document, "api_keys")]
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None
    return sorted(found, key=lambda item: item.key.created_at)


def _listed(item: object, user_id: str, server: Server) -> ListedKey:
    # Masked once more: what a server lists is a key's start, whatever it should send.
    return ListedKey(_row(item, user_id, server), masked(text_in(item, "api_key")))


def _row(item: object, user_id: str, server: Server) -> ApiKey:
    return ApiKey(
        id=id_in(item, "id"),
        name=find_text_in(item, "name"),
        user_id=user_id,
        stored="",
        hash=None,
        created_at=time_in(item, "created_at"),
        last_used_at=find_time_in(item, "last_used_at"),
        total_uses=count_in(item, "total_uses"),
        is_active=flag_in(item, "is_active"),
        expires_at=find_time_in(item, "expires_at"),
        username=server.acting.username if user_id == server.acting.id else None,
    )


def create(
    server: Server,
    name: str,
    expires_at: datetime | None = None,
    *,
    ability: str = "api-key create",
    known: Collection[str] | None = None,
) -> NewKey:
    """Make a key of the acting user; return it once the server accepts it.

    ``known`` are the ids of the keys that are there, if the caller has just listed them. Raises
    UnsupportedError before any request where the server would drop the expiry, and FailedError with
    the new ids of that name where its answer is lost.
    """
    if expires_at is not None:
        server.require(f"{ability} --expires")
    user_id = server.acting.id
    if known is None:
        known = {item.key.id for item in list_keys(server)}
    body = {"name": name} | ({} if expires_at is None else {"expires_at": iso(expires_at)})
    try:
        answer = server.client.done(server.client.ask("POST", PATH, body))
        key_id, plaintext = _new(answer, server.client)
    except LostAnswerError as error:
        raise _lost(server, name, known, error) from None
    except (KeyboardInterrupt, SystemExit):
        server.warn(
            f"the server may have created an API key {name!r}; to see it: langkeys"
            f" api-key list {server.option}"
        )
        raise
    with taking_back([(server, key_id)]):
        return NewKey(_proved(server, key_id, plaintext, user_id, expires_at), plaintext)


def _new(answer: Answer, client: Client) -> tuple[str, str]:
    try:
        plaintext = text_in(answer.document, "api_key")
        client.hide(plaintext)
        return id_in(answer.document, "id"), plaintext
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None


def _proved(
    server: Server, key_id: str, plaintext: str, user_id: str, expires_at: datetime | None
) -> ApiKey:
    """Return the row of a new key by which the server lets its user in; else raise FailedError."""
    named = f"the new API key {dashed(key_id)}"
    by_it = Server(server.client.by(plaintext))

    def refusal() -> InvalidKeyError | None:
        try:
            by_it.acting  # noqa: B018 - raises where the server refuses the key
        except InvalidKeyError as error:
            return error
        return None

    def listed() -> ApiKey | None:
        return next((item.key for item in list_keys(by_it) if item.key.id == key_id), None)

    refused = settled(refusal, lambda error: error is None)
    if refused is not None:
        raise FailedError(f"{named} is not accepted by the server: {refused.message}")
    if by_it.acting.id != user_id:
        raise FailedError(f"{named} belongs to another user of {server.location}")
    row = settled(listed, lambda found: found is not None)
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
        found = settled(new_ones, bool)
    except LangkeysError:
        return FailedError(
            f"{error.message}; it is unknown whether an API key {name!r} was created",
            hint=f"check with langkeys api-key list {server.option}, and revoke a key"
            " that nobody has received",
        )
    if not found:
        return FailedError(
            f"{error.message}; so far there is no new API key {name!r}",
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
def taking_back(
    made: Sequence[tuple[Server, str]], arrived: Collection[str] = ()
) -> Iterator[None]:
    """Revoke new keys where the block fails, Ctrl-C included; an error's hint names what is left.

    ``made`` are their ids, with the server by the key that made each; ``arrived`` are the ids of
    those that somebody has already, which stay. Both may grow in the block.
    """
    try:
        yield
    except BaseException as error:
        if not made:
            raise
        server = made[0][0]
        undelivered = [item for item in made if item[1] not in arrived]
        left = [dashed(key_id) for by, key_id in undelivered if not _is_taken_back(by, key_id)]
        other = " other" if arrived else ""
        many = (
            f"the{other} new API key has"
            if len(undelivered) == 1
            else f"the {len(undelivered)}{other} new API keys have"
        )
        hint = f"{many} been removed again"
        if left:
            hint = (
                "keys that were not delivered could not be removed. To revoke them:"
                f" langkeys api-key revoke {' '.join(left)} {server.option}"
            )
        if arrived:
            ids = ", ".join(dashed(key_id) for _, key_id in made if key_id in arrived)
            hint += f"; these were delivered, and work in addition to the old ones: {ids}"
        if isinstance(error, LangkeysError):
            error.hint = hint if error.hint is None else f"{error.hint}; {hint}"
        elif left or arrived:
            server.warn(hint)
        raise


def _is_taken_back(server: Server, key_id: str) -> bool:
    def is_ended() -> bool:
        try:
            end(server.client, key_id)
        except NotFoundError:
            return False  # it may not be there yet, or not any more
        return True

    try:
        settled(is_ended, bool)
    except LangkeysError:
        return False
    return True


# Ending


def end(client: Client, key_id: str, *, is_own: bool = False) -> None:
    """Delete a key of the client's user; where an answer is lost, ask again.

    ``is_own``: it is the key that is sent, which the server refuses once it is gone. Raises
    NotFoundError where it was not there in the first place.
    """
    error: LangkeysError = FailedError("")
    for attempt in range(_ATTEMPTS):
        try:
            answer = client.ask("DELETE", f"{PATH}{dashed(key_id)}")
        except (LostAnswerError, UnreachableError) as lost:
            error = lost
            continue
        if answer.is_done:
            return
        is_gone = answer.status in (400, 404) and _NOT_FOUND in str(answer.detail).lower()
        if attempt and (is_gone or (is_own and answer.is_refusal)):
            return  # the first attempt did it, and its answer was lost
        if is_gone:
            raise NotFoundError(
                f"API key {dashed(key_id)} is not (or no longer) a key of this user on"
                f" {client.base}"
            )
        error = client.failure(answer)
        if not isinstance(error, LostAnswerError):
            raise error
    raise FailedError(
        f"{error.message}; it is unknown whether API key {dashed(key_id)} is revoked",
        hint="run the command again: a revoked key is no longer found",
    )


def require_refused(client: Client, key_id: str) -> None:
    """Raise FailedError unless the server itself refuses the client's key, whose row is deleted."""
    named = f"API key {dashed(key_id)} is deleted"

    def look() -> bool | LangkeysError:
        try:
            return is_refused(client)
        except LangkeysError as error:
            return error

    # Where it cannot be told for another reason than a lost answer, that will not change.
    seen = settled(look, lambda found: bool(found) and not isinstance(found, LostAnswerError))
    if isinstance(seen, LangkeysError):
        raise FailedError(
            f"{named}, but it is unknown whether {client.base} refuses it: {seen.message}",
            hint=seen.hint,
        )
    if seen:
        return
    raise FailedError(
        f"{named}, but {client.base} still accepts it",
        hint="another row may hold the same key, or the server's LANGFLOW_API_KEY is that key",
    )


def require_gone(server: Server, key_ids: Collection[str], client: Client | None = None) -> None:
    """Raise FailedError where the server still lists a key that was deleted."""

    def left() -> list[str]:
        return [item.key.id for item in list_keys(server, client) if item.key.id in key_ids]

    for key_id in settled(left, lambda found: not found):
        raise FailedError(f"API key {dashed(key_id)} is still listed by {server.location}")


# Choosing


def of_value(keys: Sequence[ListedKey], api_key: str) -> list[ListedKey]:
    """Return the listed keys that a whole key may be: those that look the same masked."""
    return [item for item in keys if item.value == masked(api_key)]


def matching(
    keys: Sequence[ListedKey],
    moment: datetime,
    *,
    status: str | None = None,
    unused_since: datetime | None = None,
    created_before: datetime | None = None,
    expires_before: datetime | None = None,
    is_expired: bool = False,
) -> list[ListedKey]:
    """Return the keys that meet all conditions, as a store's own filter means them."""

    def is_meant(key: ApiKey) -> bool:
        end_at = key.expires_at
        conditions: tuple[Callable[[], bool], ...] = (
            lambda: status is None or key.status(moment) == status,
            lambda: unused_since is None or (key.last_used_at or key.created_at) <= unused_since,
            lambda: created_before is None or key.created_at <= created_before,
            lambda: (
                expires_before is None
                or (end_at is not None and moment <= end_at <= expires_before)
            ),
            lambda: not is_expired or (end_at is not None and end_at < moment),
        )
        return all(condition() for condition in conditions)

    return [item for item in keys if is_meant(item.key)]
