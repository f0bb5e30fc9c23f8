"""Send a request to a Langflow server, and interpret its answer.

- Only this module imports urllib.request.
- A request carries one credential, the API key, and no cookie: servers prefer a session to a key.
- Redirects are not followed: a client that follows one also sends the API key to its target.
- One time limit covers the whole request, from resolving the host to the answer's last byte.
- Only Langflow's own ``{"detail": ...}`` counts as a refusal of the key. A gateway may answer with
  the same status, but knows nothing about keys.
- Secrets that were sent are never shown, even if the server repeats them.
"""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from langkeys.config.urls import shown_url
from langkeys.errors import (
    FailedError,
    ForbiddenError,
    InvalidKeyError,
    LangkeysError,
)
from langkeys.remote.addresses import parsed_address, parsed_proxy, shown_target
from langkeys.remote.causes import plain_cause
from langkeys.remote.deadline import within
from langkeys.remote.documents import parsed_document, problem_in

TIMEOUT = 10.0
"""The time limit for a whole request, in seconds."""

MAX_BYTES = 16 << 20
"""The maximum size of an answer; about 50,000 API keys fit."""

_CHUNK = 1 << 16
_SHOWN = 300

NOT_ARRIVED = ("An API key must be passed as query or header", "No authentication credentials")
"""Langflow's answers to a request without a key: up to 1.7, and from 1.8 on."""

_OF_KEYS = ("key", "token", "credential", "authenticat", "inactive")


class UnreachableError(FailedError):
    """The request could not be sent, so nothing was done."""


class LostAnswerError(FailedError):
    """The request was sent, but there is no valid answer, so it may have been carried out."""


class RejectedError(FailedError):
    """The server understood the request and refused it."""


class Answer(NamedTuple):
    """A server's answer; ``document`` is its JSON, or None if it has none."""

    method: str
    address: str
    status: int
    document: Any
    headers: Mapping[str, str]

    @property
    def is_done(self) -> bool:
        """Whether the server reports success."""
        return 200 <= self.status < 300

    @property
    def detail(self) -> Any:
        """The content of FastAPI's ``{"detail": ...}``, or None."""
        return self.document.get("detail") if isinstance(self.document, dict) else None

    @property
    def is_refusal(self) -> bool:
        """Whether Langflow itself refuses the API key, and not a gateway in front of it."""
        challenge = self.headers.get("www-authenticate", "").lower()
        return (
            self.status in (401, 403)
            and isinstance(self.detail, str | dict)
            and bool(self.detail)
            and list(self.document) == ["detail"]
            and (not challenge or challenge.startswith("bearer"))
            and not self.is_without_key
        )

    @property
    def is_without_key(self) -> bool:
        """Whether Langflow says that the request had no API key."""
        return self.status in (401, 403) and str(self.detail).startswith(NOT_ARRIVED)


class _AcceptEverything(urllib.request.HTTPErrorProcessor):
    """Accepts every answer: raises for no status, follows no redirect, and never retries."""

    def http_response(self, request: Any, response: Any) -> Any:  # noqa: ARG002
        return response

    https_response = http_response


class Client:
    """Sends requests to one server, with one API key or none.

    ``url`` is the server's address; ``source`` names its origin in errors. ``label`` replaces the
    address in messages if the address is from a file. ``via`` says where the key is sent:
    ``header`` or ``query``. ``warn`` shows a warning.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        via: str = "header",
        source: str = "--url",
        label: str | None = None,
        timeout: float = TIMEOUT,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.address = parsed_address(url, source)
        self.base = label or shown_url(self.address.base)
        self.via = via
        self.timeout = timeout
        self._warn = warn
        self._secrets: set[str] = set() if label is None else {self.address.host}
        self.option = f"--url {self.base}" if label is None else "--remote"
        is_private = self.address.scheme == "https" or self.address.is_loopback
        # All clients of a server share this list, so that each warning is shown once.
        self._unsaid = (
            []
            if is_private
            else [
                f"the API key goes to {self.base} without encryption: it can be read on the network"
            ]
        )
        self.api_key = api_key
        if api_key is not None:
            self._check_key(api_key)
        proxy, self._proxy_host = self._proxy()
        handler = urllib.request.ProxyHandler({} if proxy is None else {self.address.scheme: proxy})
        self._opener = urllib.request.build_opener(handler, _AcceptEverything)

    def __repr__(self) -> str:
        return f"Client({self.base!r})"

    def _check_key(self, api_key: str) -> None:
        if not api_key or not all("!" <= character <= "~" for character in api_key):
            raise InvalidKeyError(
                "the API key has characters that an HTTP header cannot hold", reason="unknown"
            )
        self._secrets.add(api_key)

    def _proxy(self) -> tuple[str | None, str | None]:
        """Return the proxy that the environment names, and its host for messages.

        No proxy is used for a server on this machine.
        """
        netloc = urlsplit(self.address.base).netloc
        if self.address.is_loopback or urllib.request.proxy_bypass(netloc):
            return None, None
        proxy = urllib.request.getproxies().get(self.address.scheme)
        return parsed_proxy(proxy, f"{self.address.scheme}_proxy") if proxy else (None, None)

    def by(self, api_key: str) -> "Client":
        """Return a client for the same server with another API key."""
        other = object.__new__(Client)
        other.__dict__.update(self.__dict__)
        other._check_key(api_key)
        other.api_key = api_key
        return other

    def hide(self, *secrets: str) -> None:
        """Hide these texts in all answers."""
        for secret in filter(None, secrets):
            self._secrets |= {
                secret,
                json.dumps(secret)[1:-1],
                json.dumps(secret, ensure_ascii=False)[1:-1],
            }

    def shown(self, text: str) -> str:
        """Return a text from an answer, shortened and without the secrets that were sent."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            for form in {secret, quote(secret, safe="")}:
                text = text.replace(form, "(hidden)")
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

    # Requests

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str | int] | None = None,
        anonymous: bool = False,
        timeout: float | None = None,
    ) -> Answer:
        """Send one request and return its answer, whatever its status is.

        ``path`` begins with a slash. It ends with a slash if the path on the server does:
        otherwise many servers redirect to http://. Raises UnreachableError or LostAnswerError.
        """
        if not anonymous and self.api_key is not None:
            while self._unsaid:
                self._warn(self._unsaid.pop())
        address = f"{self.base}{path}"
        request = self._request(
            method, f"{self.address.base}{path}", body, query or {}, anonymous=anonymous
        )
        seconds = self.timeout if timeout is None else timeout
        try:
            response, data = within(seconds, lambda over: self._exchange(request, seconds, over))
        except urllib.error.URLError as error:
            reason = error.reason if isinstance(error.reason, BaseException) else error
            raise self._unreachable(UnreachableError, reason, seconds) from None
        except (OSError, HTTPException) as error:
            raise self._unreachable(LostAnswerError, error, seconds) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        if len(data) > MAX_BYTES:
            raise LostAnswerError(
                f"the answer of {address} is larger than {MAX_BYTES >> 20} MiB",
                hint="check --url or LANGFLOW_URL: this is not an answer of a Langflow server",
            )
        return Answer(method, address, response.status, parsed_document(data), headers)

    def _request(
        self,
        method: str,
        address: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str | int],
        *,
        anonymous: bool,
    ) -> urllib.request.Request:
        headers = {"accept": "application/json", "user-agent": "langkeys"}
        fields = dict(query)
        if self.api_key is not None and not anonymous:
            (fields if self.via == "query" else headers)["x-api-key"] = self.api_key
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        target = f"{address}?{urlencode(fields)}" if fields else address
        return urllib.request.Request(  # noqa: S310 - http or https, see parsed_address
            target, data, headers, method=method
        )

    def _exchange(
        self, request: urllib.request.Request, seconds: float, over: threading.Event
    ) -> tuple[HTTPResponse, bytes]:
        with self._opener.open(request, timeout=seconds) as response:
            data = bytearray()
            while not over.is_set() and len(data) <= MAX_BYTES:
                chunk = response.read1(_CHUNK)
                if not chunk:
                    break
                data += chunk
            if len(data) <= MAX_BYTES and response.length:
                raise IncompleteRead(b"")
            return response, bytes(data)

    def _unreachable(
        self, kind: type[FailedError], error: BaseException, seconds: float
    ) -> FailedError:
        through = "" if self._proxy_host is None else f" (through the proxy {self._proxy_host})"
        cause, hint = plain_cause(error, seconds)
        return kind(
            f"{self.base} does not answer{through}: {self.shown(cause)}",
            hint=hint or "check --url or LANGFLOW_URL, and that the server is up: GET /health",
        )

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """Return the document at a path; otherwise raise the error from ``failure``."""
        answer = self.require_done(self.ask("GET", path, query=query))
        if answer.document is None:
            raise self.unexpected(answer)
        return answer.document

    def require_done(self, answer: Answer) -> Answer:
        """Return an answer that reports success; for others, raise the error from ``failure``."""
        if not answer.is_done:
            raise self.failure(answer)
        return answer

    # The meaning of answers

    def detail(self, answer: Answer) -> str | None:
        """Return the server's reason for a refusal, without the parts that repeat the request.

        For a 422, only the field and the problem are returned: its ``input`` repeats the whole
        body.
        """
        found = answer.detail
        if isinstance(found, list):
            found = "; ".join(problem_in(item) for item in found if isinstance(item, dict))
        elif isinstance(found, dict):
            found = next((found[name] for name in ("message", "code") if name in found), None)
        return self.shown(found) if isinstance(found, str) and found else None

    def failure(self, answer: Answer) -> LangkeysError:
        """Return the error for an answer that does not report success."""
        status, detail = answer.status, self.detail(answer)
        said = f"{answer.address} answers {status}{f': {detail}' if detail else ''}"
        if status in (401, 403):
            return self.refusal(answer)
        if 300 <= status < 400:
            asked = f"{self.address.base}{answer.address.removeprefix(self.base)}"
            target = self.shown(shown_target(asked, answer.headers.get("location", "")))
            return FailedError(
                f"{answer.address} answers {status}, a redirect to {target}, which is"
                " not followed: the API key would be sent there too",
                hint="use the address of the server itself; behind a gateway that is"
                " often https:// instead of http://",
            )
        if status == 407:
            return FailedError(f"the proxy {self._proxy_host} asks for a password")
        if status == 429:
            after = self.shown(answer.headers.get("retry-after", ""))[:40]
            wait = (
                f" again after {after}{' seconds' if after.isdigit() else ''}"
                if after
                else " later"
            )
            return FailedError(f"{said}: too many requests", hint=f"try{wait}")
        if status >= 500:
            return LostAnswerError(said, hint="check the log of the server or its gateway")
        if status == 404 and answer.detail == "Not Found":
            return FailedError(
                f"{said}: there is no such page at this address",
                hint="if the server is mounted under a path, include it in the"
                " address, as in https://host/langflow",
            )
        if answer.detail is None:
            return self.unexpected(answer)
        return RejectedError(said)

    def refusal(self, answer: Answer) -> LangkeysError:
        """Return the error for a 401 or 403, from Langflow or from a gateway."""
        if answer.is_without_key:
            other = "header" if self.via == "query" else "query"
            return FailedError(
                f"the API key did not arrive at {self.base}: {self.detail(answer)}",
                hint=f"a gateway may drop it (x-api-key, sent by {self.via}): try --via {other}",
            )
        if not answer.is_refusal:
            challenge = answer.headers.get("www-authenticate", "").partition(" ")[0]
            asks = f", asking for {self.shown(challenge)} authentication" if challenge else ""
            return FailedError(
                f"{answer.address} answers {answer.status}{asks}, which is not"
                " Langflow's answer: something in front of it refuses the request",
                hint="a gateway, proxy or firewall blocks it; that says nothing about the API key",
            )
        detail = self.detail(answer) or str(answer.status)
        if any(word in detail.lower() for word in _OF_KEYS):
            return InvalidKeyError(
                f"{self.base} refuses the API key: {detail}", reason="refused by the server"
            )
        return ForbiddenError(f"{answer.address} refuses the request: {detail}")

    def unexpected(self, answer: Answer) -> LostAnswerError:
        """Return the error for an answer that no Langflow server sends."""
        return LostAnswerError(
            f"{answer.address} answers {answer.status}, which is not an answer of a"
            " Langflow server",
            hint="check --url or LANGFLOW_URL",
        )
