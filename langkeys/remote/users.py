"""List, create and change users over REST, for superusers, one request at a time.

There are no transactions. langkeys checks just before a change that another superuser remains. A
change by somebody else at the same moment goes unnoticed.
"""

import re
from typing import Any

from langkeys.errors import ConflictError, FailedError, LangkeysError, NotFoundError
from langkeys.models import User, dashed, parsed_id
from langkeys.remote.client import Answer, LostAnswerError
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
from langkeys.remote.records import ServerChange
from langkeys.remote.server import Server
from langkeys.text import counted

PATH = "/api/v1/users/"

PAGE = 200
"""The number of users in an answer; 1.13 refuses larger numbers."""

MAX_USERS = 1_000_000
"""A longer list is not trusted, because it might never end."""

_ATTEMPTS = 3
_TAKEN = re.compile("unavailable|already|taken|exists")


def list_users(server: Server) -> list[User]:
    """Return all users, oldest first; LostAnswerError if the server does not list them all."""
    for _ in range(_ATTEMPTS):
        found, total = _all_pages(server)
        if len(found) == total:  # otherwise users came or went between pages
            return sorted(found.values(), key=lambda user: user.created_at)
    raise LostAnswerError(
        f"{server.location} says that it has {counted(total, 'user')}, but lists {len(found)}",
        hint="run the command again, while nobody changes users",
    )


def _all_pages(server: Server) -> tuple[dict[str, User], int]:
    found: dict[str, User] = {}
    version = server.version
    is_paged = (version.major, version.minor) >= (1, 13)
    # Before 1.13, pages have no fixed order, so a user can be missing: request all users together.
    size = PAGE if is_paged else MAX_USERS
    total = 1
    while len(found) < total <= MAX_USERS:
        answer = server.client.ask("GET", PATH, query={"skip": len(found), "limit": size})
        page, total = _page(server.client.require_done(answer))
        before = len(found)
        found.update((user.id, user) for user in page)
        if len(found) == before or len(page) < size:
            break
    return found, total


def _page(answer: Answer) -> tuple[list[User], int]:
    try:
        total = count_in(answer.document, "total_count")
        return [parsed_user(answer, item) for item in list_in(answer.document, "users")], total
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None


def parsed_user(answer: Answer, document: Any) -> User:
    """Return the user in a server's answer; raise LostAnswerError if it is invalid."""
    try:
        return User(
            id=id_in(document, "id"),
            username=text_in(document, "username"),
            password_hash="",
            is_active=flag_in(document, "is_active"),
            is_superuser=flag_in(document, "is_superuser"),
            created_at=time_in(document, "create_at"),
            updated_at=time_in(document, "updated_at"),
            last_login_at=find_time_in(document, "last_login_at"),
            profile_image=find_text_in(document, "profile_image"),
            optins=document.get("optins") if isinstance(document.get("optins"), dict) else None,
        )
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None


def get_user(server: Server, text: str) -> User:
    """Return the user with this id, or else with this name; raise NotFoundError."""
    users = list_users(server)
    user_id = parsed_id(text)
    by_id = next((user for user in users if user.id == user_id), None)
    by_name = next((user for user in users if user.username == text), None)
    if by_id is not None and by_name is not None and by_id != by_name:
        server.warn(
            f"{text!r} is the id of {by_id.username!r}, and the name of another user:"
            " the user with the id is used"
        )
    found = by_id or by_name
    if found is None:
        alike = next((u.username for u in users if u.username.lower() == text.lower()), None)
        raise NotFoundError(
            f"no user {text!r} in {server.location}",
            hint=("" if alike is None else f"there is {alike!r}; ")
            + f"to see names and ids: langkeys user list {server.option}",
        )
    return found


def check_new(server: Server, username: str) -> None:
    """Raise ConflictError if the name is taken, regardless of case."""
    taken = [u.username for u in list_users(server) if u.username.lower() == username.lower()]
    if taken:
        raise ConflictError(
            f"a user {taken[0]!r} already exists in {server.location}; user names are"
            " unique regardless of case",
            hint="choose another name, or change that user: set-password, activate, promote",
        )


def create_user(server: Server, username: str, password: str, *, is_superuser: bool) -> User:
    """Create an active user, with two requests, because servers create inactive users."""
    check_new(server, username)
    client = server.client
    client.hide(password)
    body = {"username": username, "password": password}
    details = {"is_active": False, "is_superuser": False}
    try:
        with server.changing(
            ServerChange("insert", "user", None, username, None, details)
        ) as recorded:
            answer = recorded.ask("POST", PATH, body)
            if answer.status in (400, 409) and _TAKEN.search(str(answer.detail).lower()):
                raise ConflictError(
                    f"there is a user {username!r} in {server.location}: {client.detail(answer)}",
                    hint="choose another name, or change that user: set-password, activate,"
                    " promote",
                )
            made = _user_of(client.require_done(answer), username)
            recorded.complete(made.id)
    except LostAnswerError as error:
        raise FailedError(
            f"{error.message}; a user {username!r} may have been created, inactive",
            hint=f"check with langkeys user show {username} {server.option}; then set-password and"
            " activate",
        ) from None
    state = {"is_active": True} | ({"is_superuser": True} if is_superuser else {})
    try:
        return _patch(server, made, state)
    except LangkeysError as error:
        more = f" and langkeys user promote {username}" if is_superuser else ""
        raise FailedError(
            f"the user {username!r} was created in {server.location}, but not active yet:"
            f" {error.message}",
            hint=f"langkeys user activate {username}{more} ({server.option})",
        ) from None


def _user_of(answer: Answer, username: str) -> User:
    made = parsed_user(answer, answer.document)
    if made.username != username:
        raise strange_field(answer, StrangeFieldError("the username differs"))
    return made


def set_password(server: Server, user: User, password: str) -> User:
    """Send a new password for a user; a server never shows whether it has stored it."""
    server.client.hide(password)
    return _patch(server, user, {"password": password})


def change_state(
    server: Server, user: User, *, is_active: bool | None = None, is_superuser: bool | None = None
) -> User:
    """Activate, deactivate, promote or demote a user, and check the result.

    None leaves a flag unchanged. Raises ConflictError for the acting user, and for the last
    active superuser that the server lists.
    """
    if is_active is False or is_superuser is False:
        check_dispensable(server, user, "deactivate" if is_active is False else "demote")
    wanted = {
        name: value
        for name, value in (("is_active", is_active), ("is_superuser", is_superuser))
        if value is not None and getattr(user, name) is not value
    }
    return _patch(server, user, wanted) if wanted else user


def check_dispensable(server: Server, user: User, what: str) -> None:
    """Raise ConflictError if the server or langkeys needs this user."""
    if user.id == server.acting.id:
        raise ConflictError(
            f"{user.username} is the acting user; nothing was done",
            hint=f"{what} {user.username} as another superuser",
        )
    others = [u for u in list_users(server) if u.is_active and u.is_superuser and u.id != user.id]
    if not others and user.is_active and user.is_superuser:
        raise ConflictError(
            f"{user.username} is the last active superuser in {server.location}; nothing was done",
            hint="promote another user first",
        )


def _patch(server: Server, user: User, changes: dict[str, bool] | dict[str, str]) -> User:
    state = {"is_active": user.is_active, "is_superuser": user.is_superuser}
    state |= {name: value for name, value in changes.items() if isinstance(value, bool)}
    details = {**state, "changed": sorted(changes)}
    try:
        with server.changing(
            ServerChange("update", "user", user.id, user.username, None, details)
        ) as recorded:
            # A new user may not be visible yet, so repeat the request.
            answer = poll(
                lambda: recorded.ask("PATCH", f"{PATH}{dashed(user.id)}", changes),
                lambda answer: answer.status != 404,
            )
            if _user_of(server.client.require_done(answer), user.username).id != user.id:
                raise strange_field(answer, StrangeFieldError("the id differs"))
    except LostAnswerError as error:
        raise FailedError(
            f"{error.message}; {user.username} may have been changed anyway",
            hint="run the command again: that is safe",
        ) from None

    def look() -> User | None:
        return next((found for found in list_users(server) if found.id == user.id), None)

    def is_changed(found: User | None) -> bool:
        return found is not None and all(
            name == "password" or getattr(found, name) is value for name, value in changes.items()
        )

    found = poll(look, is_changed)
    if found is None:
        raise NotFoundError(f"user {user.username!r} is no longer in {server.location}")
    if not is_changed(found):
        raise FailedError(
            f"{user.username} in {server.location} was not stored as changed",
            hint="another user may have changed the user at the same time",
        )
    return found
