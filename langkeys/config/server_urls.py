"""Parse the URLs of databases on servers.

URLs are parsed here, so that no driver can quote them in an error. The syntax is that of servers
(SQLAlchemy's ``make_url``), and the parameters are libpq's. An error never quotes any part of the
URL: if a password is not percent-encoded, any part may belong to it.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from langkeys.config.urls import HIDDEN
from langkeys.models import shown_without

KEYWORDS = frozenset((
    "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname",
    "fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "host", "hostaddr",
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
    "load_balance_hosts", "options", "passfile", "password", "port", "replication",
    "require_auth", "requirepeer", "service", "ssl_max_protocol_version",
    "ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcompression", "sslcrl",
    "sslcrldir", "sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert", "sslsni",
    "target_session_attrs", "tcp_user_timeout", "user",
))  # fmt: skip
"""The names of libpq's connection parameters."""

_DRIVER_PARAMETERS = frozenset((
    "prepare_threshold", "prepared_statement_cache_size", "statement_cache_size",
    "async_fallback", "prepared_statement_name_func",
))  # fmt: skip
"""Parameters of a server's driver that do not affect which database is used."""

SECRET_KEYWORDS = frozenset({"password", "sslpassword"})

_ENCODED = re.compile(r"(?:[^%\s/?#@\[\]\x00-\x20\x7f]|%[0-9A-Fa-f]{2})*")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:@/?#,]*)(?::[0-9]{1,5})?")
_VALUE = re.compile(r"(?:[^%\s#@&\x00-\x20\x7f]|%[0-9A-Fa-f]{2})*")


class BadURLError(ValueError):
    """A URL cannot be parsed. The text says how to correct it and quotes no part of it."""


class ServerURL(NamedTuple):
    """The libpq parameters of a URL, and reasons why a Langflow 1.13 server would refuse it."""

    parameters: Mapping[str, str]
    refusals: tuple[str, ...]

    def __repr__(self) -> str:
        return shown_without(self, "parameters")

    @property
    def has_password(self) -> bool:
        """Whether any part of the URL contains a password."""
        return any(name in self.parameters for name in SECRET_KEYWORDS)


def parsed_server_url(text: str) -> ServerURL:
    """Parse a URL; raise BadURLError, which quotes no part of it."""
    written = text.partition("://")[0]
    scheme, _, driver = written.lower().partition("+")
    refusals = []
    if scheme == "postgres":
        refusals.append("its scheme is postgres://; servers take postgresql://")
    elif written != written.lower():
        refusals.append("its scheme is not in lower case")
    if driver in ("psycopg2", "pg8000"):
        refusals.append(f"servers need an asynchronous driver, which {driver} is not")
    rest = text.partition("://")[2]
    before, has_query, query = rest.partition("?")
    authority, _, database = before.partition("/")
    credentials, has_credentials, hosts_text = authority.rpartition("@")
    if "@" in database or "@" in query or "/" in database or "#" in before:
        raise BadURLError(_ENCODE)
    parameters: dict[str, str] = {}
    if has_credentials:
        user, _, password = credentials.partition(":")
        for name, part in (("user", user), ("password", password)):
            if not _ENCODED.fullmatch(part):
                raise BadURLError(_ENCODE)
            if part:
                parameters[name] = _decoded(part)
    _read_hosts(hosts_text, parameters, refusals)
    if re.search("[;&=]", database):
        raise BadURLError("has parameters that do not begin with a ?")
    if not _ENCODED.fullmatch(database):
        raise BadURLError(_ENCODE)
    if database:
        parameters["dbname"] = _decoded(database)
    if has_query:
        _read_query(query, parameters, refusals)
    return ServerURL(parameters, tuple(refusals))


_ENCODE = (
    "has a character that must be percent-encoded, in a password most often: write @ as %40, / as"
    " %2F, ? as %3F, # as %23, % as %25, [ as %5B, ] as %5D and a space as %20"
)


def _read_hosts(hosts_text: str, parameters: dict[str, str], refusals: list[str]) -> None:
    hosts, ports = [], []
    for written in hosts_text.split(","):
        if not _HOST.fullmatch(written):
            raise BadURLError(f"has no valid host and port, or it {_ENCODE}")
        host, port = written, ""
        if (found := re.fullmatch(r"(\[.*\]|[^\[]*?)(?::([0-9]*))?", written)) is not None:
            host, port = found[1], found[2] or ""
        host = host.removeprefix("[").removesuffix("]")
        if "%" in host and not host.startswith("%"):
            refusals.append("its host is percent-encoded")
        elif host.startswith("%"):
            refusals.append(
                "its host is a percent-encoded socket folder; servers take ?host=/FOLDER"
            )
        hosts.append(_decoded(host))
        ports.append(port)
    if len(hosts) > 1:
        refusals.append("it has several hosts before the database's name")
    if any(hosts):
        parameters["host"] = ",".join(hosts)
    if any(ports):
        parameters["port"] = ",".join(ports)


def _read_query(query: str, parameters: dict[str, str], refusals: list[str]) -> None:
    several: dict[str, list[str]] = {}
    for number, part in enumerate(query.split("&"), 1):
        if not part:
            continue
        name, has_value, text = part.partition("=")
        if not has_value or not _VALUE.fullmatch(text) or not _VALUE.fullmatch(name):
            raise BadURLError(f"has no valid parameter no. {number}, or it {_ENCODE}")
        name, value = _decoded(name), _decoded(text)
        if name == "ssl":
            name = "sslmode"  # asyncpg's name for it
            value = {"true": "require", "True": "require"}.get(value, value)
        if name in _DRIVER_PARAMETERS:
            continue
        if name not in KEYWORDS:
            raise BadURLError(
                f"has a parameter that PostgreSQL's clients do not know (no. {number}), or it"
                f" {_ENCODE}"
            )
        several.setdefault(name, []).append(value)
    for name, values in several.items():
        if len(values) > 1 and name not in ("host", "port", "hostaddr"):
            raise BadURLError(f"has the parameter {name} more than once")
        parameters[name] = ",".join(values)
    if "host" in several and "port" not in parameters:
        _split_ports(parameters)
    if "options" in several:
        refusals.append("it has the parameter options, which the server's connection pool ignores")


def _split_ports(parameters: dict[str, str]) -> None:
    """Split hosts such as ``h1:5432`` in a query, which SQLAlchemy accepts and libpq does not."""
    hosts = parameters["host"].split(",")
    if all(re.fullmatch(r"[^:/]+:[0-9]{1,5}", host) for host in hosts):
        parameters["host"] = ",".join(host.partition(":")[0] for host in hosts)
        parameters["port"] = ",".join(host.partition(":")[2] for host in hosts)


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadURLError("has a percent-encoded byte that is not UTF-8") from None
    if "\0" in decoded:
        raise BadURLError("has a percent-encoded NUL")
    return decoded


def shown_server_url(text: str, parameters: Mapping[str, str]) -> str:
    """Return a URL of the database without anything that may be secret.

    A user name without a password is hidden: it may be a token that somebody pasted.
    """
    user = parameters.get("user", "") if "password" in parameters else ""
    if not user and "@" in text:
        user = HIDDEN
    hosts = parameters.get("host", parameters.get("hostaddr", "")).split(",")
    ports = parameters.get("port", "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    shown = f"postgresql://{f'{user}@' if user else ''}"
    database = parameters.get("dbname", "")
    if not re.fullmatch(r"[\w.$ -]*", database):
        database = HIDDEN  # unusual for a name: it may be part of a password
    query = ""
    if parameters.get("host", "").startswith("/"):
        query = f"?host={parameters['host']}" + (f"&port={ports[0]}" if ports[0] else "")
    else:
        shown += ",".join(
            f"{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
            for host, port in zip(hosts, ports, strict=False)
        )
    if not database and re.fullmatch(r"[\w.-]+", parameters.get("service", "")):
        query = f"?service={parameters['service']}"
    slash = "/" if database or query or hosts == [""] else ""
    return f"{shown}{slash}{database}{query}"


def place_of(shown: str) -> str:
    """Return a displayed URL without its user and without the default port.

    The result is the same for the same database, whichever user connects.
    """
    rest = shown.partition("://")[2]
    authority, slash, database = rest.partition("/")
    hosts = authority.rpartition("@")[2].lower().split(",")
    return ",".join(host.removesuffix(":5432") for host in hosts) + slash + database
