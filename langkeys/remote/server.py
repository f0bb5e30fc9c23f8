"""A Langflow server: its version, and the user whose API key is sent."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from langkeys.errors import ForbiddenError, InvalidKeyError
from langkeys.remote.abilities import Version, require_anywhere
from langkeys.remote.client import Answer, Client
from langkeys.remote.fields import (
    StrangeFieldError,
    find_text_in,
    find_time_in,
    flag_in,
    id_in,
    strange_field,
    text_in,
)
from langkeys.remote.records import ActingUser, Complete, Record, ServerChange

if TYPE_CHECKING:
    from langkeys.remote.api_keys import ListedKey

WHOAMI = "/api/v1/users/whoami"
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


class RecordedChange:
    """A change that has been recorded and may now send requests."""

    def __init__(self, client: Client, complete: Complete) -> None:
        self._client = client
        self.complete = complete
        """Takes the id of the object that the server has created."""

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Answer:
        """Send a request that belongs to this change; see ``Client.ask``."""
        return self._client.ask(method, path, body, timeout=timeout)


class Server:
    """One server and one acting user; both are requested at first use.

    ``record`` gets each change before it is made. ``key_id`` is the id of the API key that is sent,
    once it is known.
    """

    def __init__(
        self,
        client: Client,
        warn: Callable[[str], None] = lambda _: None,
        record: Record | None = None,
    ) -> None:
        self.client = client
        self.warn = warn
        self.record = record or Record()
        self.key_id: str | None = None
        self.listed: Sequence[ListedKey] = ()
        """The acting user's keys from the last list."""

    def by(self, api_key: str) -> "Server":
        """Return the same server with another API key."""
        return Server(self.client.by(api_key), self.warn, self.record)

    def by_own(self, api_key: str, key_id: str) -> "Server":
        """Return the same server with another API key of the acting user."""
        other = self.by(api_key)
        other.key_id = key_id
        other.acting = self.acting
        return other

    @contextmanager
    def changing(self, change: ServerChange) -> Iterator[RecordedChange]:
        """Context manager around the requests of one change; records the change first."""
        self.record.set_acting(self.acting, self.key_id)
        with self.record.changing(change) as complete:
            yield RecordedChange(self.client, complete)

    @property
    def location(self) -> str:
        """The server's address, for messages."""
        return self.client.base

    @property
    def option(self) -> str:
        """The option that names this server, for commands in messages."""
        return self.client.option

    @cached_property
    def version(self) -> Version:
        """The server's version; FailedError if it is not a Langflow server."""
        path = "/api/v1/version"
        answer = self.client.ask("GET", path, anonymous=True)
        if answer.status in (401, 403) and self.client.api_key is not None:
            answer = self.client.ask("GET", path)  # a gateway may require the key for every path
        document = self.client.require_done(answer).document
        text = document.get("version") if isinstance(document, dict) else None
        found = _VERSION.match(text) if isinstance(text, str) else None
        if found is None:
            raise self.client.unexpected(answer)
        major, minor = int(found[1]), int(found[2])
        shown = str(text)
        if major == 0:  # langflow-base 0.11.6 is Langflow 1.11.6
            major, shown = 1, f"1.{str(text)[2:]}"
        version = Version(major, minor, self.client.shown(shown))
        if not version.is_known:
            self.warn(
                f"{self.location} is Langflow {version.text}, but langkeys is only"
                " tested with 1.5 and later"
            )
        return version

    @cached_property
    def acting(self) -> ActingUser:
        """The user whose API key is sent; InvalidKeyError if the server refuses it."""
        found = whoami(self.client)
        user = ActingUser(
            id_in(found, "id"), found["username"], found["is_active"], found["is_superuser"]
        )
        self.record.set_acting(user, self.key_id)
        return user

    def require(self, ability: str) -> None:
        """Raise UnsupportedError if this server's version does not support it over REST."""
        require_anywhere(ability)
        self.version.require(ability)

    def require_superuser(self) -> None:
        """Raise ForbiddenError unless the acting user is a superuser, who may change users."""
        if not self.acting.is_superuser:
            raise ForbiddenError(
                f"{self.acting.username} is not a superuser in {self.location}",
                hint="set LANGKEYS_API_KEY to an API key of a superuser",
            )


def whoami_answer(client: Client) -> Answer:
    """Return the server's answer about the API key's user; InvalidKeyError if it is refused."""
    answer = client.ask("GET", WHOAMI)
    if answer.is_refusal:
        detail = client.detail(answer) or answer.status
        raise InvalidKeyError(
            f"{client.base} refuses the API key: {detail}", reason="refused by the server"
        )
    return client.require_done(answer)


def whoami(client: Client) -> Mapping[str, Any]:
    """Return the checked answer of ``GET /api/v1/users/whoami`` for the client's API key."""
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
    """Tell whether Langflow itself refuses the client's API key."""
    answer = client.ask("GET", WHOAMI)
    if answer.is_refusal:
        return True
    client.require_done(answer)
    return False
