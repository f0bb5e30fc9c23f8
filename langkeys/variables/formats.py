"""Write names and values in formats that other programs read.

Each format is a function that takes an iterable and yields lines. UsageError names a variable that
the format cannot represent, but never its value.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator

from langkeys.errors import UsageError
from langkeys.text import json_visible

Pairs = Iterable[tuple[str, str]]

SECRET_NAME = "langflow-variables"  # noqa: S105 - the name of the Kubernetes object
"""The default ``metadata.name`` of the Secret that ``k8s_secret`` writes."""

DOTENV_HEAD = (
    "# For python-dotenv (langflow run --env-file, langkeys); lines without quotes for Docker,"
    " kubectl and systemd, too. Not for a shell to source."
)
"""The first line of a dotenv file."""

_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Stricter than python-dotenv: only names that other readers of .env files also accept.
_DOTENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_KUBERNETES_KEY = re.compile(r"(?!\.\.)(?!\.$)[-._a-zA-Z0-9]{1,253}")

_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_KUBERNETES_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_KUBERNETES_NAMESPACE = re.compile(_LABEL)

# Values that python-dotenv, Docker, kubectl and systemd read in the same way, and in which a shell
# executes nothing.
_NEEDS_NO_QUOTES = re.compile(r"[\w./:@%+,=!*?^{}\[\]-]+")


def dotenv(pairs: Pairs) -> Iterator[str]:
    """Yield lines for python-dotenv, which Langflow uses to read its ``--env-file``.

    A value is quoted only if necessary: Docker and kubectl treat quotes as part of the value.
    """
    yield DOTENV_HEAD
    for name, value in pairs:
        yield f"{_held(name, _DOTENV_NAME, 'dotenv')}={dotenv_value(value)}"


def is_run_by_shells(value: str) -> bool:
    """Tell whether a shell that sources a dotenv file might execute a part of this value.

    A shell has no escape within single quotes: the first single quote in the value ends the quoted
    text, and the rest is a command. Double quotes, which a carriage return needs, allow
    substitution.
    """
    if _NEEDS_NO_QUOTES.fullmatch(value):
        return False
    return "'" in value or ("\r" in value and ("$" in value or "`" in value))


def dotenv_value(value: str) -> str:
    """Return a value as a dotenv file contains it: quoted only if necessary."""
    if _NEEDS_NO_QUOTES.fullmatch(value):
        return value
    # python-dotenv expands ${NAME} within any quotes, and cannot escape it. But it expands
    # ${NAME:-DEFAULT} to the default if the name is unset, and = can never be set.
    value = value.replace("${", "$${=:-{}")
    end = ""
    if value.endswith("\\"):
        # Before 1.2.3, it treats a backslash before the closing quote as an escape of that quote.
        value, end = value[:-1], "${=:-\\\\}"
    value = value.replace("\\", "\\\\")
    if "\r" in value:
        # A raw carriage return is read as a newline; only double quotes allow escaping it.
        escaped = value.replace('"', '\\"').replace("\r", "\\r")
        return f'"{escaped}{end}"'
    escaped = value.replace("'", "\\'")
    return f"'{escaped}{end}'"


def shell(pairs: Pairs) -> Iterator[str]:
    """Yield lines for a POSIX shell: ``eval "$(langkeys variable export ...)"``."""
    for name, value in pairs:
        if "\0" in value:
            raise UsageError(f"the value of {name} has a NUL character, which a shell cannot hold")
        quoted = value.replace("'", "'\\''")
        yield f"export {_held(name, _SHELL_NAME, 'shell')}='{quoted}'"


def json_object(pairs: Pairs) -> Iterator[str]:
    """Yield the lines of one JSON object."""
    yield "{"
    yield from _members(pairs, "  ")
    yield "}"


def k8s_secret(
    pairs: Pairs, name: str = SECRET_NAME, namespace: str | None = None
) -> Iterator[str]:
    """Yield the lines of a Kubernetes Secret as a JSON manifest, for ``kubectl apply -f``."""
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    yield "{"
    yield '  "apiVersion": "v1",'
    yield '  "kind": "Secret",'
    yield f'  "metadata": {json.dumps(metadata)},'
    yield '  "type": "Opaque",'
    yield '  "data": {'
    encoded = (
        (
            _held(name, _KUBERNETES_KEY, "k8s-secret"),
            base64.b64encode(value.encode()).decode("ascii"),
        )
        for name, value in pairs
    )
    yield from _members(encoded, "    ")
    yield "  }"
    yield "}"


def check_kubernetes_names(name: str, namespace: str | None) -> None:
    """Raise UsageError for an invalid name of a Kubernetes object or namespace."""
    if not _KUBERNETES_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid name for a Kubernetes object",
            hint="use lower-case letters, digits, and - or . between them, at most 253 characters",
        )
    if namespace is not None and not _KUBERNETES_NAMESPACE.fullmatch(namespace):
        raise UsageError(
            f"{namespace!r} is not a valid name for a Kubernetes namespace",
            hint="use lower-case letters, digits, and - between them, at most 63 characters",
        )


def check_kubernetes_key(key: str) -> None:
    """Raise UsageError for an invalid data key of a Kubernetes Secret."""
    if not _KUBERNETES_KEY.fullmatch(key):
        raise UsageError(
            f"{key!r} is not a valid data key for a Kubernetes Secret",
            hint="use letters, digits, -, _ and ., at most 253 characters",
        )


def _members(pairs: Pairs, indent: str) -> Iterator[str]:
    previous = None
    for name, value in pairs:
        if previous is not None:
            yield f"{previous},"
        previous = json_visible(f"{indent}{json.dumps(name)}: {json.dumps(value)}")
    if previous is not None:
        yield previous


def _held(name: str, rule: re.Pattern[str], format_: str) -> str:
    if rule.fullmatch(name) is None:
        raise UsageError(
            f"the format {format_} cannot hold the name {name!r}",
            hint="use --format json, which can hold every name, or rename the variable in Langflow",
        )
    return name


FORMATS: dict[str, Callable[[Pairs], Iterator[str]]] = {
    "dotenv": dotenv,
    "json": json_object,
    "shell": shell,
    "k8s-secret": k8s_secret,
}

FOR_ENVIRONMENTS = frozenset({"dotenv", "shell"})
"""Formats for environments: they omit the variables that ``run`` omits."""
