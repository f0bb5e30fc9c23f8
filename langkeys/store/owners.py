"""Find the owners of rows."""

from collections.abc import Iterable

from langkeys.errors import NotFoundError
from langkeys.models import ApiKey, User, dashed
from langkeys.store.protocol import OwnedKey, Store


def get_owner(store: Store, user_id: str, username: str | None = None) -> User:
    """Return the user with this id; raise NotFoundError, which shows ``username`` if it is known.

    The user is never looked up by name: anybody who signs up can choose another user's id as a
    name.
    """
    owner = store.find_user(user_id)
    if owner is None:
        named = dashed(user_id) if username is None else repr(username)
        raise NotFoundError(
            f"user {named} does not exist in {store.location}, or has just been deleted"
        )
    return owner


def with_owners(store: Store, rows: Iterable[ApiKey]) -> list[OwnedKey]:
    """Return rows of API keys with their owners; an owner that does not exist is None."""
    return [OwnedKey(row, store.find_user(row.user_id)) for row in rows]
