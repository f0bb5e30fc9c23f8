"""Format and parse the files that API keys and passwords are written to."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from langkeys.api_keys.ensure import is_api_key
from langkeys.errors import FailedError
from langkeys.files.reading import find_bytes, without_newline
from langkeys.manifest import schema
from langkeys.manifest.declared import OutputFile
from langkeys.variables.formats import DOTENV_HEAD, dotenv, k8s_secret

SECRET_NAME, SECRET_KEY = "langflow-api-key", "api-key"


def file_text(output: OutputFile, api_key: str) -> str:
    """Return the content of a file with this key; a bare file has no trailing newline."""
    if output.format == schema.DOTENV:
        return "".join(f"{line}\n" for line in dotenv([(output.variable, api_key)]))
    if output.format == schema.K8S_SECRET:
        lines = k8s_secret(
            [(output.secret_key or SECRET_KEY, api_key)],
            output.secret_name or SECRET_NAME,
            output.secret_namespace,
        )
        return "".join(f"{line}\n" for line in lines)
    return api_key


def find_text(path: Path, what: str) -> str | None:
    """Return the content of a file; None if it is missing or empty.

    Raises FailedError if the content is not UTF-8; ``what`` says what the file should contain.
    """
    content = find_bytes(path, what)
    if not content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise FailedError(f"{path} holds something other than {what}") from None


def find_key(text: str) -> str | None:
    """Return the API key in a file of any format; None if the file contains anything else."""
    for found in _candidates(text):
        if is_api_key(found):
            return found
    return None


def _candidates(text: str) -> Iterator[str]:
    yield without_newline(text)
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
