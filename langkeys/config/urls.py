"""Show URLs without anything that may be secret.

People paste passwords that are not percent-encoded. A ``/``, ``@``, ``?`` or ``#`` in a password
misleads a URL parser, so no parser is trusted here. A part is shown only if no secret can have its
form; everything else is hidden.
"""

import re
from functools import cache

HIDDEN = "***"

_ENGINES = (
    "sqlite", "postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle", "mongodb", "redis",
    "rediss", "cockroachdb", "duckdb", "http", "https", "file",
)  # fmt: skip
_DRIVERS = (
    "aiosqlite", "pysqlite", "pysqlcipher", "psycopg", "psycopg2", "psycopg_async", "asyncpg",
    "pg8000", "pymysql", "aiomysql", "mysqldb", "mysqlconnector", "pyodbc", "oracledb", "srv",
)  # fmt: skip
# Only listed names: any other word before :// could be part of a password.
_SCHEME = rf"(?i:({'|'.join(_ENGINES)})(?:\+(?:{'|'.join(_DRIVERS)}))?)"

_ONE_HOST = r"(?:[\w.*-]*|\[[0-9A-Fa-f:.]*\])(?::[0-9]{1,5})?"
_HOST = f"{_ONE_HOST}(?:,{_ONE_HOST})*"
_PATH = r"[^=@:\\]*"
# Parameters that are not secret, if their values do not look like a secret.
_SHOWN_PARAMETER = (
    r"(?:sslmode|connect_timeout|application_name|target_session_attrs|mode|cache|timeout|uri"
    r"|gssencmode|channel_binding)=[a-z0-9_-]{0,20}"
)
_ASSIGNMENT = (
    r"(?i)\b(?:host(?:addr)?|user|uid|dbname|service|server"
    r"|\w*(?:pass|pwd|secret|token|key)\w*)\s*="
)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Compiled at first use: plain paths, the usual case, need no pattern.
    return re.compile(pattern)


def _is_assignment_in(text: str) -> bool:
    return "=" in text and _compiled(_ASSIGNMENT).search(text) is not None


def scheme_of(url: str) -> str | None:
    """Return the scheme of a URL if it may be shown, or None."""
    found = _compiled(_SCHEME).fullmatch(url.partition("://")[0]) if "://" in url else None
    return None if found is None else found[0]


def is_path(text: str) -> bool:
    """Tell whether a text can only be a file path, and not a URL or a connection string."""
    if "://" in text:
        return False
    path, _, query = text.partition("?")
    if text.startswith(("/", "./", "../")) and not text.startswith("//"):
        return not (_is_assignment_in(query) or _is_assignment_in(path.partition(";")[2]))
    return not query and not _looks_secret(path)


def shown_url(url: str) -> str:
    """Return a URL or file path in a form that may be shown."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url if is_path(url) and not _looks_secret(url) else HIDDEN
    found = _compiled(_SCHEME).fullmatch(scheme)
    if found is None:
        return HIDDEN
    if found[1].lower() == "sqlite":
        return f"{scheme}://{_shown_file(rest)}"
    credentials, at, location = rest.rpartition("@")
    if re.search(r"[/?#;&=@]", credentials):
        return f"{scheme}://{HIDDEN}"  # the end of the password is ambiguous
    # The user name is hidden too, because it may be a token.
    return f"{scheme}://{f'{HIDDEN}@' if at else ''}{_shown_location(location)}"


def _looks_secret(text: str) -> bool:
    """Tell whether a text looks as if it contains a password: ``u:p@h``, ``password=p``."""
    return "@" in text.partition(":")[2] or _is_assignment_in(text)


def file_of(rest: str) -> str:
    """Return the path after ``sqlite://``, or an empty text if it may contain a password."""
    path, _, query = rest.partition("?")
    if not path.startswith("/") or _looks_secret(path) or "@" in query:
        return ""
    return path.removeprefix("/")


def _shown_file(rest: str) -> str:
    path, mark, query = rest.partition("?")
    return f"{path}{_shown_query(mark, query)}" if not path or file_of(rest) else HIDDEN


def _shown_location(location: str) -> str:
    end = re.search(r"[?#;&]", location)
    start = len(location) if end is None else end.start()
    host, slash, path = location[:start].partition("/")
    if not _compiled(_HOST).fullmatch(host):
        return HIDDEN
    shown_path = path if _compiled(_PATH).fullmatch(path) else HIDDEN
    query = _shown_query(location[start : start + 1], location[start + 1 :])
    return f"{host}{slash}{shown_path}{query}"


def _shown_query(mark: str, query: str) -> str:
    if not query:
        return mark
    if mark != "?":
        return f"{mark}{HIDDEN}"
    parts = (
        part if _compiled(_SHOWN_PARAMETER).fullmatch(part) else HIDDEN for part in query.split("&")
    )
    return f"?{'&'.join(parts)}"


def has_password(url: str) -> bool:
    """Tell whether a URL may contain a password."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower().startswith("sqlite"):
        return False
    return re.search(r":[^@]*@|password=", rest) is not None
