"""Parse server addresses from ``--url`` and LANGFLOW_URL, and decide what may be displayed."""

import ipaddress
import re
import socket
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from langkeys.errors import ConfigError, UsageError

_HINT = "write it as https://host, http://localhost:7860 or https://host/prefix"
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%25[A-Za-z0-9._-]+)?")
_API = re.compile(r"/api(/v[0-9]+)?$")
_SHOWN = 200
_MAX_HOST = 253


class Address(NamedTuple):
    """The address of a server. ``base`` is ASCII, as in requests, and contains no secret."""

    base: str
    scheme: str
    host: str

    @property
    def is_loopback(self) -> bool:
        """Whether requests stay on this machine."""
        host = self.host.partition("%")[0]
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            found_v4 = socket.inet_aton(host)  # 127.1 and 0.0.0.0 are loopback addresses too
            return found_v4[0] == 127 or not any(found_v4)
        except OSError:
            pass
        try:
            found = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return (
            found.is_loopback or found.is_unspecified or (mapped is not None and mapped.is_loopback)
        )


def parsed_address(url: str, source: str) -> Address:
    """Parse the address of a server; ``source``, such as ``--url``, names its origin in errors.

    A trailing ``/api/v1`` and a query are removed. Raises UsageError, which quotes no part of the
    address, because it may contain a password.
    """
    text = url.strip()
    if "@" in text:
        # Refuse an @ anywhere: after a /, ? or # in a password, a parser would find another host.
        raise UsageError(
            f"{source} has a user or password in its URL, but langkeys only sends an API key",
            hint="remove the part before the @; a gateway that asks for a password"
            " must let API keys through",
        )
    if any(character <= " " or character == "\x7f" for character in text):
        raise UsageError(f"{source} has a space or control character in its URL", hint=_HINT)
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        raise UsageError(f"{source} is not a URL", hint=_HINT) from None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{source} is not an http:// or https:// URL", hint=_HINT)
    try:
        # An ASCII host is only checked, for empty and forbidden labels.
        encoded = host.encode("idna").decode()
        host = host if host.isascii() else encoded
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host) or len(host) > _MAX_HOST or port == 0:
        raise UsageError(f"{source} has no valid host", hint=_HINT)
    written = f"[{host}]" if ":" in host else host
    path = _API.sub("", parts.path.rstrip("/")).rstrip("/")
    path = quote(path, safe="/%:@!$&'()*+,;=~")
    base = f"{parts.scheme}://{written}{'' if port is None else f':{port}'}{path}"
    return Address(base, parts.scheme, host)


def parsed_proxy(value: str, setting: str) -> tuple[str, str]:
    """Return a proxy's URL, and its host and port for messages.

    Raises ConfigError, which names the variable but quotes no part of its value: that may contain a
    password, and a ``/`` in a password makes part of it look like the host.
    """
    url = value if "://" in value else f"http://{value}"
    hint = "write it as http://host:port, with user:password@ percent-encoded"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigError(f"{setting} is not a URL", hint=hint) from None
    if parts.scheme not in ("http", "https"):
        known = parts.scheme if parts.scheme.startswith("socks") else "different"
        raise ConfigError(
            f"{setting} is a {known} proxy, which langkeys does not support",
            hint="use an http:// proxy, or set NO_PROXY to the server's host",
        )
    rest = f"{parts.path}{parts.query}{parts.fragment}"
    if not _HOST.fullmatch(host) or "@" in rest:
        raise ConfigError(f"{setting} has no valid host", hint=hint)
    written = f"[{host}]" if ":" in host else host
    return url, written if port is None else f"{written}:{port}"


def shown_target(address: str, location: str) -> str:
    """Return the target of a redirect from ``address``, without credentials, query or fragment."""
    try:
        parts = urlsplit(urljoin(address, location.strip()))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an invalid address"
    if not host:
        return "an invalid address"
    return f"{parts.scheme}://{host}{unquote(parts.path)}"[:_SHOWN]
