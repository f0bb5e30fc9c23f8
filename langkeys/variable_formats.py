"""Names and values as text that programs read back as the same names and values.

Each format takes an iterable and yields lines as they become known; UsageError names a variable
that the format cannot hold, never its value.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator

from langkeys.errors import UsageError

Pairs = Iterable[tuple[str, str]]

SECRET_NAME = "langflow-variables"  # noqa: S105 - the name of the Kubernetes object
"""``metadata.name`` of the Secret that ``k8s_secret`` describes."""

_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Narrower than python-dotenv's own rule: what other readers of .env files take, too.
_DOTENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_KUBERNETES_KEY = re.compile(r"(?!\.\.)(?!\.$)[-._a-zA-Z0-9]{1,253}")


def dotenv(pairs: Pairs) -> Iterator[str]:
    """Yield lines for python-dotenv, which Langflow reads its ``--env-file`` with."""
    for name, value in pairs:
        yield f"{_held(name, _DOTENV_NAME, 'dotenv')}={_dotenv_quoted(value)}"


def _dotenv_quoted(value: str) -> str:
    # python-dotenv puts in the value of ${NAME} within any quotes, and knows no escape for it; but
    # ${NAME:-DEFAULT} of a name that cannot be set is its default.
    value = value.replace("${", "$${=:-{}")
    end = ""
    if value.endswith("\\"):
        # Before 1.2.3 it takes a backslash before the closing quote for that quote's escape.
        value, end = value[:-1], "${=:-\\\\}"
    value = value.replace("\\", "\\\\")
    if "\r" in value:
        # Reading a file turns it into a newline; only double quotes have an escape for it.
        escaped = value.replace('"', '\\"').replace("\r", "\\r")
        return f'"{escaped}{end}"'
    escaped = value.replace("'", "\\'")
    return f"'{escaped}{end}'"


def shell(pairs: Pairs) -> Iterator[str]:
    """Yield lines for a POSIX shell: ``eval "$(langkeys variable export ...)"``."""
    for name, value in pairs:
        if "\0" in value:
            raise UsageError(f"the value of {name} has a NUL character, which no shell can hold")
        quoted = value.replace("'", "'\\''")
        yield f"export {_held(name, _SHELL_NAME, 'shell')}='{quoted}'"


def json_object(pairs: Pairs) -> Iterator[str]:
    """Yield the lines of one JSON object."""
    yield "{"
    yield from _members(pairs, "  ")
    yield "}"


def k8s_secret(pairs: Pairs) -> Iterator[str]:
    """Yield the lines of a Kubernetes Secret as a JSON manifest, for ``kubectl apply -f``."""
    yield "{"
    yield '  "apiVersion": "v1",'
    yield '  "kind": "Secret",'
    yield f'  "metadata": {{"name": {json.dumps(SECRET_NAME)}}},'
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


def _members(pairs: Pairs, indent: str) -> Iterator[str]:
    previous = None
    for name, value in pairs:
        if previous is not None:
            yield f"{previous},"
        previous = f"{indent}{json.dumps(name)}: {json.dumps(value)}"
    if previous is not None:
        yield previous


def _held(name: str, rule: re.Pattern[str], format_: str) -> str:
    if rule.fullmatch(name) is None:
        raise UsageError(
            f"the format {format_} cannot hold the name {name!r}",
            hint="--format json holds every name; rename the variable in Langflow for the others",
        )
    return name


FORMATS: dict[str, Callable[[Pairs], Iterator[str]]] = {
    "dotenv": dotenv,
    "json": json_object,
    "shell": shell,
    "k8s-secret": k8s_secret,
}
