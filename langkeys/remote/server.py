"""A Langflow server as the services see it: its version, and the user whose API key is sent."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from langkeys.errors import ForbiddenError, InvalidKeyError
from langkeys.models import User, parsed_id
from langkeys.remote.abilities import Version
from langkeys.remote.client import Answer, Client, LostAnswerError
from langkeys.times import parsed_iso

WHOAMI = "/api/v1/users/whoami"
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


class Server:
    """One server and one acting user; each is asked for once, when it is first needed."""

    def __init__(self, client: Client, warn: Callable[[str], None] = lambda _: None) -> None:
        self.client = client
        self.warn = warn

    @property
    def location(self) -> str:
        """Where this is, for people: the server's address."""
        return self.client.base

    @cached_property
    def version(self) -> Version:
        """The server's version; FailedError where this is no Langflow server."""
        path = "/api/v1/version"
        answer = self.client.ask("GET", path, anonymous=True)
        if answer.status in (401, 403) and self.client.api_key is not None:
            answer = self.client.ask("GET", path)  # a gateway before it wants the key for all
        document = self.client.done(answer).document
        text = document.get("version") if isinstance(document, dict) else None
        found = _VERSION.match(text) if isinstance(text, str) else None
        if found is None:
            raise self.client.strange(answer)
        major, minor = int(found[1]), int(found[2])
        shown = str(text)
        if major == 0:  # langflow-base 0.11.6 is what came with Langflow 1.11.6
            major, shown = 1, f"1.{str(text)[2:]}"
        version = Version(major, minor, self.client.shown(shown))
        if not version.is_known:
            self.warn(
                f"{self.location} is Langflow {version.text}; langkeys was tried on 1.5 and later"
            )
        return version

    @cached_property
    def acting(self) -> "ActingUser":
        """The user whose API key is sent; InvalidKeyError where the server refuses it."""
        found = whoami(self.client)
        return ActingUser(
            id_in(found, "id"), found["username"], found["is_active"], found["is_superuser"]
        )

    def require(self, ability: str) -> None:
        """Raise UnsupportedError where this server's version does not do it over REST."""
        self.version.require(ability)

    def require_superuser(self) -> None:
        """Raise ForbiddenError where the acting user is no superuser: only they change users."""
        if not self.acting.is_superuser:
            raise ForbiddenError(
                f"{self.acting.username} is not a superuser of {self.location}",
                hint="set LANGKEYS_API_KEY to an API key of a superuser",
            )


class ActingUser(NamedTuple):
    """What has to be known of the user whose API key is sent."""

    id: str
    username: str
    is_active: bool
    is_superuser: bool


def whoami_answer(client: Client) -> Answer:
    """Return the server's answer to whose key this is; InvalidKeyError where it refuses the key."""
    answer = client.ask("GET", WHOAMI)
    if answer.is_refusal:
        detail = client.detail(answer) or answer.status
        raise InvalidKeyError(
            f"{client.base} refuses the API key: {detail}", reason="refused by the server"
        )
    return client.done(answer)


def whoami(client: Client) -> Mapping[str, Any]:
    """Return what ``GET /api/v1/users/whoami`` says of the client's key, its types checked."""
    answer = whoami_answer(client)
    found: Mapping[str, Any] = answer.document
    try:
        id_in(found, "id")
        text_in(found, "username")
        flag_in(found, "is_active")
        flag_in(found, "is_superuser")
        find_text_in(found, "profile_image")
        for name in ("create_at", "updated_at", "last_login_at"):
            find_time_in(found, name)
        if not isinstance(found.get("optins"), dict | None):
            raise StrangeFieldError("optins is not an object")
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None
    return found


def is_refused(client: Client) -> bool:
    """Tell whether the server refuses the client's key, by Langflow's own answer."""
    answer = client.ask("GET", WHOAMI)
    if answer.is_refusal:
        return True
    client.done(answer)
    return False


def parsed_user(answer: Answer, document: Any) -> User:
    """Read a user as servers write them; raise LostAnswerError for what none of them writes."""
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


def strange_field(answer: Answer, error: "StrangeFieldError") -> LostAnswerError:
    """Return the error for a field that is not what every Langflow server has there."""
    return LostAnswerError(
        f"{answer.address} does not answer as a Langflow server does: {error}",
        hint="check --url or LANGFLOW_URL",
    )


class StrangeFieldError(Exception):
    """A field of an answer is missing or of another type; says which, and not what is in it."""


def _field(document: Any, name: str, kind: type, what: str) -> Any:
    if not isinstance(document, dict):
        raise StrangeFieldError("there is no JSON object")
    found = document.get(name)
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise StrangeFieldError(f"{name} is not {what}")
    return found


def text_in(document: Any, name: str) -> str:
    """Return a field that is a text."""
    found: str = _field(document, name, str, "a text")
    return found


def find_text_in(document: Any, name: str) -> str | None:
    """Return a field that is a text, or None where it is null or missing."""
    return (
        None
        if isinstance(document, dict) and document.get(name) is None
        else text_in(document, name)
    )


def flag_in(document: Any, name: str) -> bool:
    """Return a field that is true or false."""
    found: bool = _field(document, name, bool, "true or false")
    return found


def count_in(document: Any, name: str) -> int:
    """Return a field that is a whole number."""
    found: int = _field(document, name, int, "a whole number")
    return found


def list_in(document: Any, name: str) -> list[Any]:
    """Return a field that is a list."""
    found: list[Any] = _field(document, name, list, "a list")
    return found


def id_in(document: Any, name: str) -> str:
    """Return a field that is a UUID, as 32 hex digits."""
    found = parsed_id(text_in(document, name))
    if found is None:
        raise StrangeFieldError(f"{name} is not a UUID")
    return found


def time_in(document: Any, name: str) -> datetime:
    """Return a field that is a time, aware; naive means UTC."""
    try:
        return parsed_iso(text_in(document, name))
    except (ValueError, OverflowError):
        raise StrangeFieldError(f"{name} is not a time") from None


def find_time_in(document: Any, name: str) -> datetime | None:
    """Return a field that is a time, or None where it is null or missing."""
    return (
        None
        if isinstance(document, dict) and document.get(name) is None
        else time_in(document, name)
    )
