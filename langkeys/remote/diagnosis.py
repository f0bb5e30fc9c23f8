"""Check a server, as far as that is possible from outside and with one API key.

Access without a key is checked first. If the server gives everybody a session, langkeys does not
use it.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from langkeys.errors import InvalidKeyError, LangkeysError
from langkeys.models import dashed
from langkeys.remote.api_keys import list_keys
from langkeys.remote.client import Client
from langkeys.remote.records import ActingUser
from langkeys.remote.server import WHOAMI, Server
from langkeys.remote.users import list_users
from langkeys.times import now

UNUSED_DAYS = 90
"""A key that has not been used for this many days is reported."""

MAX_NAMED = 20
"""The maximum number of keys that are named; the others are only counted."""

NOT_SEEN = (
    "not visible over REST: whether stored values can be decrypted, the secret key,"
    " file modes, other users' API keys, sign-up, open MCP endpoints"
)


class Finding(NamedTuple):
    """A result of a check: ``level`` is ``ok``, ``note`` or ``problem``."""

    section: str
    level: str
    message: str
    hint: str | None = None


class RemoteReport(NamedTuple):
    """The results of all checks."""

    url: str
    version: str
    acting: ActingUser | None
    counts: dict[str, int]
    findings: list[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether there are no problems."""
        return all(finding.level != "problem" for finding in self.findings)


class _Examination:
    """Runs the checks and collects their findings. A failing check does not stop the others."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client: Client = server.client
        self.findings: list[Finding] = []
        self.counts: dict[str, int] = {}
        self.acting: ActingUser | None = None

    def add(self, section: str, level: str, message: str, hint: str | None = None) -> None:
        self.findings.append(Finding(section, level, message, hint))

    def attempt(self, section: str, check: Callable[[], None]) -> None:
        try:
            check()
        except LangkeysError as error:
            self.add(section, "problem", error.message, error.hint)

    def auto_login(self) -> None:
        answer = self.client.ask("GET", "/api/v1/auto_login", anonymous=True)
        document = answer.document
        token = document.get("access_token") if isinstance(document, dict) else None
        if isinstance(token, str):
            self.client.hide(token)
        if answer.is_done and token:
            self.add(
                "access",
                "problem",
                "anybody gets a superuser's session: GET /api/v1/auto_login gives it"
                " without a key or password, and with it an API key can be created",
                "set LANGFLOW_AUTO_LOGIN=false on the server (up to 1.12 the default is true)",
            )
        elif answer.status in (400, 403) and answer.detail is not None:
            self.add("access", "ok", "nobody can log in without a password (AUTO_LOGIN is off)")
        else:
            self.add(
                "access",
                "note",
                "cannot determine whether AUTO_LOGIN is on: /api/v1/auto_login"
                f" answers {answer.status}",
                "ask without a proxy in between, or run langkeys doctor on the database",
            )

    def anonymous(self) -> None:
        answer = self.client.ask("GET", WHOAMI, anonymous=True)
        document = answer.document
        if answer.is_done and isinstance(document, dict) and "is_superuser" in document:
            self.add(
                "access",
                "problem",
                "requests without an API key are accepted, as a superuser",
                "set LANGFLOW_SKIP_AUTH_AUTO_LOGIN=false on the server",
            )
        elif answer.is_without_key or answer.is_refusal:
            self.add("access", "ok", "a request without an API key is refused")
        else:
            self.add(
                "access",
                "note",
                f"a request without an API key is answered {answer.status}, not by"
                " Langflow itself: there is a gateway or proxy in front of it",
                "to check Langflow itself, use its own address as the URL",
            )

    def transport(self) -> None:
        if self.client.address.scheme == "https":
            self.add("transport", "ok", "TLS, with a certificate that is valid here")
        elif self.client.address.is_loopback:
            self.add("transport", "ok", "http:// on this machine: nothing is sent over a network")
        else:
            self.add(
                "transport",
                "problem",
                "http:// to another machine: API keys and values can be read on the network",
                "put TLS in front of the server, and use https://",
            )

    def version(self) -> None:
        self.add("server", "ok", f"Langflow {self.server.version.text}")

    def health(self) -> None:
        answer = self.client.ask("GET", "/health_check", anonymous=True)
        found = answer.detail or answer.document
        document = found if isinstance(found, dict) else {}
        if answer.is_done and document.get("db") == "ok":
            self.add("server", "ok", "its database answers")
        elif document.get("db") is not None:
            self.add("server", "problem", "its database does not answer", "check its log")
        else:
            self.add("server", "note", f"/health_check answers {answer.status}")

    def key(self) -> None:
        if self.client.api_key is None:
            self.add(
                "key",
                "note",
                "without an API key, nothing else can be checked",
                "set LANGKEYS_API_KEY or LANGFLOW_API_KEY",
            )
            return
        try:
            self.acting = self.server.acting
        except InvalidKeyError as error:
            self.add("key", "problem", error.message, error.hint)
            return
        what = "a superuser" if self.acting.is_superuser else "not a superuser"
        self.add("key", "ok", f"the API key belongs to {self.acting.username}, {what}")
        self.attempt("keys", self.own_keys)
        if self.acting.is_superuser:
            self.attempt("users", self.users)

    def own_keys(self) -> None:
        keys, moment = list_keys(self.server), now()
        self.counts["own API keys"] = len(keys)
        has_expiry = self.server.version.cell("api-key create --expires") != "-"
        option = self.server.option
        create = f"langkeys api-key create --expires 90d {option}"
        unused_since = moment - timedelta(days=UNUSED_DAYS)
        for number, (key, _) in enumerate(keys):
            if number == MAX_NAMED:
                self.add("keys", "note", f"{len(keys) - number} more keys are not checked")
                break
            named = f"API key {dashed(key.id)} ({key.name})"
            revoke = f"if nobody needs it: langkeys api-key revoke {dashed(key.id)} {option}"
            replace = f"to replace it by one that expires: {create}"
            if key.status(moment) != "active":
                self.add("keys", "note", f"{named} is {key.status(moment)}", revoke)
            elif has_expiry and key.expires_at is None:
                self.add("keys", "note", f"{named} never expires", replace)
            if (key.last_used_at or key.created_at) <= unused_since:
                self.add("keys", "note", f"{named} was not used for {UNUSED_DAYS} days", revoke)
        if not has_expiry:
            self.add(
                "keys", "note", "a server of this version does not support the expiry of API keys"
            )

    def users(self) -> None:
        users = list_users(self.server)
        superusers = [user for user in users if user.is_active and user.is_superuser]
        self.counts |= {"users": len(users), "active superusers": len(superusers)}
        if len(superusers) == 1:
            self.add(
                "users",
                "note",
                f"{superusers[0].username} is the only active superuser",
                "if their password is lost, only langkeys on the database can reset it",
            )


def examine(server: Server) -> RemoteReport:
    """Check a server from outside, and with the client's API key, if it has one.

    Raises FailedError if no Langflow server answers.
    """
    version = server.version
    found = _Examination(server)
    found.attempt("access", found.auto_login)
    found.attempt("access", found.anonymous)
    found.transport()
    found.attempt("server", found.version)
    found.attempt("server", found.health)
    found.attempt("key", found.key)
    found.add("server", "note", NOT_SEEN)
    return RemoteReport(
        server.location,
        version.text,
        found.acting,
        found.counts,
        found.findings,
    )
