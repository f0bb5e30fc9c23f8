"""List and revoke API keys over REST. Each revocation is verified at the server."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from langkeys.errors import FailedError, LangkeysError, NotFoundError
from langkeys.models import ApiKey, dashed, masked
from langkeys.remote.client import Client, LostAnswerError, UnreachableError
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
from langkeys.remote.polling import poll
from langkeys.remote.records import ServerChange, sha256_of
from langkeys.remote.server import RecordedChange, Server, is_refused

PATH = "/api/v1/api_key/"

_ATTEMPTS = 3
_NOT_FOUND = "not found"


class ListedKey(NamedTuple):
    """An API key from the server's list, and its masked form."""

    key: ApiKey
    value: str


def list_keys(server: Server, client: Client | None = None) -> list[ListedKey]:
    """Return the keys of the acting user, oldest first."""
    is_own = client is None
    client = client or server.client
    answer = client.require_done(client.ask("GET", PATH))
    try:
        user_id = id_in(answer.document, "user_id")
        found = [_listed(item, user_id, server) for item in list_in(answer.document, "api_keys")]
        if count_in(answer.document, "total_count") != len(found):
            raise StrangeFieldError("api_keys is not complete")
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None
    found.sort(key=lambda item: item.key.created_at)
    if is_own and client.api_key is not None:
        same = keys_like(found, client.api_key)
        server.key_id = same[0].key.id if len(same) == 1 else server.key_id
        server.listed = found
    return found


def _listed(item: object, user_id: str, server: Server) -> ListedKey:
    # Mask it again: a server should list only the start of a key, but may send more.
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


# Revoking


def end(server: Server, key_id: str, name: str | None, whole: str | None = None) -> None:
    """Delete a key of the acting user; repeat the request if its answer is lost.

    ``whole`` is the key itself, if it is known. Raises NotFoundError if there was no such key.
    """
    details = {
        "username": server.acting.username,
        "sha256": None if whole is None else sha256_of(whole),
    }
    change = ServerChange("delete", "api_key", key_id, name, server.acting.id, details)
    with server.changing(change) as recorded:
        _delete(server.client, recorded, key_id, is_own=whole == server.client.api_key)


def _delete(client: Client, recorded: RecordedChange, key_id: str, *, is_own: bool) -> None:
    error: LangkeysError = FailedError("")
    may_be_done = False
    for _ in range(_ATTEMPTS):
        try:
            answer = recorded.ask("DELETE", f"{PATH}{dashed(key_id)}")
        except (LostAnswerError, UnreachableError) as lost:
            may_be_done |= isinstance(lost, LostAnswerError)
            error = lost
            continue
        if answer.is_done and answer.document is not None:
            return
        is_gone = answer.status in (400, 404) and _NOT_FOUND in str(answer.detail).lower()
        # Once it is deleted, the server refuses the key that the request is sent with.
        if may_be_done and (is_gone or (is_own and answer.is_refusal)):
            return  # an earlier attempt deleted it, but its answer was lost
        if is_gone:
            raise NotFoundError(
                f"API key {dashed(key_id)} is not (or no longer) a key of this user on"
                f" {client.base}"
            )
        error = client.unexpected(answer) if answer.is_done else client.failure(answer)
        if not isinstance(error, LostAnswerError):
            raise error
        may_be_done = True
    raise LostAnswerError(
        f"{error.message}; it is unknown whether API key {dashed(key_id)} is revoked",
        hint="run the command again: a revoked key is no longer found",
    )


def require_refused(client: Client, key_id: str) -> None:
    """Raise FailedError unless the server refuses the client's deleted key."""
    named = f"the server says that API key {dashed(key_id)} is deleted"

    def look() -> bool | LangkeysError:
        try:
            return is_refused(client)
        except LangkeysError as error:
            return error

    # An error other than a lost answer is permanent, so stop asking.
    seen = poll(look, lambda found: bool(found) and not isinstance(found, LostAnswerError))
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
    """Raise FailedError if the server still lists one of the deleted keys."""

    def left() -> list[str]:
        return [item.key.id for item in list_keys(server, client) if item.key.id in key_ids]

    for key_id in poll(left, lambda found: not found):
        raise FailedError(f"API key {dashed(key_id)} is still listed by {server.location}")


# Selecting


def keys_like(keys: Sequence[ListedKey], api_key: str) -> list[ListedKey]:
    """Return the listed keys whose masked form matches this API key."""
    return [item for item in keys if item.value == masked(api_key)]


def matching_keys(
    keys: Sequence[ListedKey],
    moment: datetime,
    *,
    status: str | None = None,
    unused_since: datetime | None = None,
    created_before: datetime | None = None,
    expires_before: datetime | None = None,
    is_expired: bool = False,
) -> list[ListedKey]:
    """Return the keys that meet all conditions; see ``langkeys.store.records.KeyFilter``."""

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
