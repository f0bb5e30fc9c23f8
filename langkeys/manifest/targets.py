"""The files that API keys and passwords are written to: their text, and the key in one of them."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from langkeys.api_keys.ensure import is_api_key
from langkeys.errors import FailedError
from langkeys.files import staged as files
from langkeys.manifest import schema
from langkeys.manifest.declared import Target
from langkeys.variables.formats import DOTENV_HEAD, dotenv, k8s_secret

SECRET_NAME, SECRET_KEY = "langflow-api-key", "api-key"


def text_of(target: Target, api_key: str) -> str:
    """Return what is in a file that holds this key; a bare one has no newline at its end."""
    if target.format == schema.DOTENV:
        return "".join(f"{line}\n" for line in dotenv([(target.variable, api_key)]))
    if target.format == schema.K8S_SECRET:
        lines = k8s_secret(
            [(target.secret_key or SECRET_KEY, api_key)],
            target.secret_name or SECRET_NAME,
            target.secret_namespace,
        )
        return "".join(f"{line}\n" for line in lines)
    return api_key


def find_text(path: Path, what: str) -> str | None:
    """Return what is in a file, or None where there is none or it is empty; FailedError."""
    content = files.find_bytes(path, what)
    if not content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise FailedError(f"{path} holds something else than {what}") from None


def find_key(text: str) -> str | None:
    """Return the API key that a file of any of the formats holds, and nothing else; or None."""
    for found in _candidates(text):
        if is_api_key(found):
            return found
    return None


def _candidates(text: str) -> Iterator[str]:
    yield files.without_newline(text)
    lines = [line for line in text.splitlines() if line not in ("", DOTENV_HEAD)]
    if len(lines) == 1:
        yield lines[0].partition("=")[2]
    if not text.lstrip().startswith("{"):
        return
    try:
        found = json.loads(text)
        if found["kind"] == "Secret" and len(found["data"]) == 1:
            (value,) = found["data"].values()
            yield base64.b64decode(value, validate=True).decode()
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return
