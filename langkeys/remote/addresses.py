"""The address of a server: what ``--url`` and LANGFLOW_URL may say, and what of it is shown."""

import ipaddress
import re
import socket
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from langkeys.errors import UsageError

_HINT = "write it as https://host, http://localhost:7860 or https://host/prefix"
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%25[A-Za-z0-9._-]+)?")
_API = re.compile(r"/api(/v[0-9]+)?$")
_SHOWN = 200


class Address(NamedTuple):
    """Where a server is. ``base`` is in ASCII, as it is sent, and holds no secret."""

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
            return socket.inet_aton(host)[0] in (0, 127)  # 127.1 is one, and so is 0.0.0.0
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
    """Read the address of a server; ``source`` names in errors what gave it, as ``--url``.

    A path that ends in ``/api/v1`` is taken for the server's own; a query is left out. Raises
    UsageError, which shows nothing of the address: it may hold a password.
    """
    text = url.strip()
    if "@" in text:
        # Wherever it stands: a password with a /, ? or # in it makes a parser see another host.
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
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host) or port == 0:
        raise UsageError(f"{source} has no valid host", hint=_HINT)
    written = f"[{host}]" if ":" in host else host
    path = _API.sub("", parts.path.rstrip("/")).rstrip("/")
    path = quote(path, safe="/%:@!$&'()*+,;=~")
    base = f"{parts.scheme}://{written}{'' if port is None else f':{port}'}{path}"
    return Address(base, parts.scheme, host)


def shown_target(address: str, location: str) -> str:
    """Return where a redirect of ``address`` leads, without user, password, query and fragment."""
    try:
        parts = urlsplit(urljoin(address, location.strip()))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an invalid address"
    if not host:
        return "an invalid address"
    return f"{parts.scheme}://{host}{unquote(parts.path)}"[:_SHOWN]
