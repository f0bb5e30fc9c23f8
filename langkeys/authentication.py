"""Authenticate the acting user: by API key, by AUTO_LOGIN, or by the superuser's password."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from langkeys.api_keys import verification
from langkeys.config.settings import Settings
from langkeys.errors import (
    ForbiddenError,
    InvalidKeyError,
    UnauthenticatedError,
)
from langkeys.models import ApiKey, User
from langkeys.store.generations import Generation
from langkeys.store.protocol import Store

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

DEFAULT_SUPERUSER = "langflow"
"""The account that a server creates by default."""


class Acting(NamedTuple):
    """The acting user, the API key used, if any, and a description of the method."""

    user: User
    how: str
    api_key: ApiKey | None = None


def authenticate(
    settings: Settings,
    store: Store,
    *,
    cipher: Callable[[], "Cipher"],
    verify_password: Callable[[str, str | None], bool],
    ask_password: Callable[[str], str],
    warn: Callable[[str], None],
) -> Acting:
    """Return the acting user.

    Uses the first of these that is set: API key, AUTO_LOGIN, password. ``verify_password`` gets the
    password and the stored hash; the hash is None if there is no such user. The check must take
    equally long in both cases. Raises InvalidKeyError or UnauthenticatedError.
    """
    value = settings.find("LANGKEYS_API_KEY")
    if value is not None:
        try:
            verified = verification.verify(store, cipher, value.text)
        except InvalidKeyError as error:
            raise InvalidKeyError(
                f"LANGKEYS_API_KEY ({value.source}) is not valid: {error.message}",
                reason=error.reason,
                hint="set it to a valid API key of a superuser, or unset it",
            ) from None
        if verified.warning is not None:
            # A server of this generation accepts this key, but it must not change the store.
            raise InvalidKeyError(
                f"LANGKEYS_API_KEY ({value.source}) is not accepted: {verified.warning}",
                reason="inactive",
                hint="set it to an active API key of an active superuser, or unset it",
            )
        return Acting(verified.user, "api key", verified.api_key)
    if settings.auto_login:
        return _by_auto_login(settings, store)
    return _by_password(settings, store, verify_password, ask_password, warn)


def needs_no_password(settings: Settings) -> bool:
    """Tell whether ``authenticate`` works without asking for a password."""
    return (
        settings.find("LANGKEYS_API_KEY") is not None
        or settings.auto_login
        or settings.find("LANGFLOW_SUPERUSER_PASSWORD") is not None
    )


def auto_login_name(settings: Settings, store: Store) -> str:
    """Return the name of the user that a server of this generation logs in automatically."""
    return settings.superuser if store.generation.auto_login_is_named else DEFAULT_SUPERUSER


def _by_auto_login(settings: Settings, store: Store) -> Acting:
    name = auto_login_name(settings, store)
    user = store.find_user_named(name)
    if user is None:
        named = store.generation.auto_login_is_named
        raise UnauthenticatedError(
            "LANGFLOW_AUTO_LOGIN is true, but there is no user"
            f" {_shown_superuser(settings) if store.generation.auto_login_is_named else repr(name)}"
            f" in {store.location}",
            hint="set LANGFLOW_SUPERUSER to the name of its superuser"
            if named
            else "start the server once, which creates that user; or set"
            " LANGFLOW_AUTO_LOGIN=false, LANGFLOW_SUPERUSER and its password",
        )
    return Acting(user, "auto login")


def _superuser_quotes(settings: Settings) -> str | None:
    value = settings.find("LANGFLOW_SUPERUSER")
    return None if value is None else value.quotes_hint


def _shown_superuser(settings: Settings) -> str:
    value = settings.find("LANGFLOW_SUPERUSER")
    return repr(settings.superuser) if value is None else value.shown


def _by_password(
    settings: Settings,
    store: Store,
    verify_password: Callable[[str, str | None], bool],
    ask_password: Callable[[str], str],
    warn: Callable[[str], None],
) -> Acting:
    name = settings.superuser
    value = settings.find("LANGFLOW_SUPERUSER_PASSWORD")
    password = ask_password(name) if value is None else value.text
    user = store.find_user_named(name)
    stored = None if user is None else user.password_hash
    is_right = verify_password(password, stored)
    if not is_right and value is not None and value.dropped:
        # A server that read the password with the newline has stored it so.
        is_right = verify_password(password + value.dropped, stored)
        if is_right and user is not None:
            warn(
                f"the stored password of {name!r} ends with the newline at the end of {value.file}:"
                " set it again without the newline (langkeys user set-password), or let servers"
                " and programs read the same file"
            )
    if not is_right or user is None:
        by = "typed" if value is None else f"LANGFLOW_SUPERUSER_PASSWORD, {value.source}"
        shown = _shown_superuser(settings)
        raise UnauthenticatedError(
            f"wrong name or password for the superuser {shown} ({by}) in {store.location}",
            hint=(None if value is None else value.quotes_hint)
            or _superuser_quotes(settings)
            or "check LANGFLOW_SUPERUSER, LANGFLOW_SUPERUSER_PASSWORD and the database; if the"
            " password is lost, set LANGFLOW_AUTO_LOGIN=true to act without it",
        )
    return Acting(user, "password")


def require_superuser(acting: Acting, location: str) -> None:
    """Raise ForbiddenError unless the acting user is an active superuser."""
    user = acting.user
    if not user.is_active:
        raise ForbiddenError(
            f"the acting user {user.username!r} ({acting.how}) is inactive in {location}",
            hint="act as an active superuser",
        )
    if not user.is_superuser:
        raise ForbiddenError(
            f"the acting user {user.username!r} ({acting.how}) is not a superuser in {location}",
            hint="act as a superuser: LANGFLOW_SUPERUSER, or LANGKEYS_API_KEY with a key of one",
        )


def superuser_at_risk(settings: Settings, generation: Generation, owner: User) -> str | None:
    """Return a warning about what a server will do to the account ``owner`` and its keys, or None.

    With LANGFLOW_AUTO_LOGIN false a server deletes or retires the superuser ``langflow`` that has
    never logged in, at its next start or clean stop.
    """
    if (
        owner.username != DEFAULT_SUPERUSER
        or not owner.is_superuser
        or owner.last_login_at is not None
        or settings.auto_login
    ):
        return None
    server = f"a Langflow {generation.release} server"
    if generation.deletes_default_superuser:
        what = f"{server} deletes it, with its keys and variables, when it starts or stops"
    else:
        # Measured on 1.13.0: if LANGFLOW_SUPERUSER names it, the server takes the account over and
        # resets its password.
        what = f"{server} deactivates it, and its keys with it, if LANGFLOW_SUPERUSER names"
        what += " another user, and otherwise resets its password"
    return (
        f"the owner {DEFAULT_SUPERUSER!r} has never logged in: with"
        f" LANGFLOW_AUTO_LOGIN=false {what}. Create the key for a superuser with"
        " another name (--user)"
    )
