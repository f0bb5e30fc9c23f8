"""Asking a live server over REST. The only module that imports urllib's slow client."""

import json
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import Any

from langkeys.errors import FailedError, InvalidKeyError, UsageError
from langkeys.urls import shown_url

TIMEOUT = 10.0
"""Seconds to wait for the server."""

_MOST_BYTES = 1 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirect would carry the API key to wherever it points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def whoami(url: str, api_key: str, *, via: str) -> dict[str, Any]:
    """Return what ``GET /api/v1/users/whoami`` of the server at ``url`` says of an API key.

    ``via`` is ``header`` or ``query``. Raises InvalidKeyError where the server refuses the key,
    FailedError where it does not answer as a Langflow server; the key is in no message.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        raise UsageError("the URL of the server is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("the URL of the server is no http:// or https:// URL")
    if "@" in parts.path + parts.query + parts.fragment:
        # What follows would go to a host of the password's making, and show in errors.
        raise UsageError(
            "the URL of the server has an @ after its host: a password in it with a /, ? or #?",
            hint="percent-encode the password, or leave it out: langkeys does not use it",
        )
    # Without what may be secret in it: user, password, query.
    host = parts.netloc.rpartition("@")[2]
    base = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    address = f"{base}/api/v1/users/whoami"
    named = shown_url(base)
    headers = {"accept": "application/json"}
    target = address
    if via == "query":
        target += "?" + urllib.parse.urlencode({"x-api-key": api_key})
    else:
        headers["x-api-key"] = api_key
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(
            urllib.request.Request(target, headers=headers),  # noqa: S310 - http or https, above
            timeout=TIMEOUT,
        ) as response:
            body = response.read(_MOST_BYTES)
    except urllib.error.HTTPError as error:
        detail = _detail(error, api_key)
        if error.code in (401, 403):
            raise InvalidKeyError(
                f"{named} refuses the API key: {detail or error.code}",
                reason="refused by the server",
            ) from None
        raise FailedError(
            f"{named} answers {error.code}{f': {detail}' if detail else ''}",
            hint="name the server's own address: nothing is followed to another one",
        ) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FailedError(
            f"{named} does not answer: {str(reason) or type(error).__name__}",
            hint="check --url or LANGFLOW_URL, and that the server is up: GET /health",
        ) from None
    except ValueError:
        # What http.client refuses to send; its message would repeat the key.
        raise InvalidKeyError(
            "the API key has characters that no header can hold", reason="unknown"
        ) from None
    try:
        user = json.loads(body)
    except (ValueError, RecursionError):
        user = None
    if not isinstance(user, dict) or "username" not in user:
        raise FailedError(
            f"{named} does not answer as a Langflow server does",
            hint="check --url or LANGFLOW_URL",
        )
    return user


def _detail(answer: urllib.error.HTTPError, api_key: str) -> str | None:
    try:
        with answer:
            detail = json.loads(answer.read(_MOST_BYTES))["detail"]
    except (OSError, HTTPException, ValueError, KeyError, TypeError, RecursionError):
        return None  # it is an error whatever its body says
    # A server that repeats what it was sent must not make us repeat it.
    return str(detail).replace(api_key, "(the key)")[:200]
