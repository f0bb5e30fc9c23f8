"""A Langflow server as the services see it: its version, and the user whose API key is sent."""

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
from langkeys.remote.records import ActingUser, Complete, Deed, Record

if TYPE_CHECKING:
    from langkeys.remote.api_keys import ListedKey

WHOAMI = "/api/v1/users/whoami"
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


class Doing:
    """What is allowed to change something on a server: one deed, which has been recorded."""

    def __init__(self, client: Client, complete: Complete) -> None:
        self._client = client
        self.complete = complete
        """Takes the id of what the server has made."""

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Answer:
        """Send a request of the deed; see ``Client.ask``."""
        return self._client.ask(method, path, body, timeout=timeout)


class Server:
    """One server and one acting user; each is asked for once, when it is first needed.

    ``record`` gets to know each deed before it is done. ``key_id`` is the id of the API key that is
    sent, as soon as it is known.
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
        """The keys of the acting user as they were listed last."""

    def by(self, api_key: str) -> "Server":
        """Return the same server, asked by another API key."""
        return Server(self.client.by(api_key), self.warn, self.record)

    def by_own(self, api_key: str, key_id: str) -> "Server":
        """Return the same server, asked by another API key of the acting user."""
        other = self.by(api_key)
        other.key_id = key_id
        other.acting = self.acting
        return other

    @contextmanager
    def doing(self, deed: Deed) -> Iterator[Doing]:
        """Context manager around the requests of one deed, which is recorded first."""
        self.record.acts(self.acting, self.key_id)
        with self.record.doing(deed) as complete:
            yield Doing(self.client, complete)

    @property
    def location(self) -> str:
        """Where this is, for people: the server's address."""
        return self.client.base

    @property
    def option(self) -> str:
        """The option that names this server in a command line for people."""
        return self.client.option

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
                f"{self.location} is Langflow {version.text}, but langkeys is only"
                " tested with 1.5 and later"
            )
        return version

    @cached_property
    def acting(self) -> ActingUser:
        """The user whose API key is sent; InvalidKeyError where the server refuses it."""
        found = whoami(self.client)
        user = ActingUser(
            id_in(found, "id"), found["username"], found["is_active"], found["is_superuser"]
        )
        self.record.acts(user, self.key_id)
        return user

    def require(self, ability: str) -> None:
        """Raise UnsupportedError where this server's version does not do it over REST."""
        require_anywhere(ability)
        self.version.require(ability)

    def require_superuser(self) -> None:
        """Raise ForbiddenError where the acting user is no superuser: only they change users."""
        if not self.acting.is_superuser:
            raise ForbiddenError(
                f"{self.acting.username} is not a superuser of {self.location}",
                hint="set LANGKEYS_API_KEY to an API key of a superuser",
            )


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
