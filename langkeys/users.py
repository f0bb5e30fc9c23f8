"""What can be done with users."""

from langkeys.errors import NotFoundError
from langkeys.models import User, parsed_id
from langkeys.store.base import Store


def get_user(store: Store, text: str) -> User:
    """Return the user with this name, or else this id; raise NotFoundError."""
    user = store.find_user_named(text)
    if user is None:
        user_id = parsed_id(text)
        user = None if user_id is None else store.find_user(user_id)
    if user is None:
        raise NotFoundError(
            f"no user {text!r} in {store.location}", hint="name a user by user name or id"
        )
    return user
