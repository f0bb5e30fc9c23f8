"""From a command's context to the server that it asks, and the API key that it asks by."""

import typer

from langkeys.cli.invocation import settings_of
from langkeys.cli.options import invocation
from langkeys.errors import ConfigError, UnauthenticatedError, UsageError
from langkeys.models import parsed_id
from langkeys.remote.client import Client
from langkeys.remote.server import Server

VIA = ("header", "query")


def server_of(
    context: typer.Context,
    *,
    api_key: str | None = None,
    falls_back: bool = False,
    needs_key: bool = True,
) -> Server:
    """Make the server that ``--url`` or LANGFLOW_URL names, asked by an API key.

    The key is ``api_key``, which came on stdin, or else LANGKEYS_API_KEY, or with ``falls_back``
    LANGFLOW_API_KEY. Raises UnauthenticatedError where there is none and one is needed.
    """
    given, output = invocation(context).given, invocation(context).output
    settings = settings_of(context)
    settings.check()
    for text in settings.warnings:
        output.warn(text)
    found = None
    if api_key is None:
        names = ("LANGKEYS_API_KEY", "LANGFLOW_API_KEY") if falls_back else ("LANGKEYS_API_KEY",)
        found = next(filter(None, map(settings.find, names)), None)
        api_key = None if found is None else found.text
    if api_key is None and needs_key:
        raise UnauthenticatedError(
            "no API key for the server: LANGKEYS_API_KEY is not set",
            hint="set it to an API key of the server; commands that take - can read"
            " the key from stdin instead",
        )
    url, source, label = given.get("url"), "--url", None
    if url is None:
        url, source = settings.server_url(found), "LANGFLOW_URL"
        value = settings.find(source)
        if value is not None and value.file is not None:
            label = f"the server in {value.file}"
    if url is None:
        raise ConfigError(
            "--remote needs the server's address", hint="use --url URL, or set LANGFLOW_URL"
        )
    via = given.get("via", VIA[0])
    if via not in VIA:
        raise UsageError(f"--via must be header or query, not {via!r}")
    client = Client(str(url), api_key, via=str(via), source=source, label=label, warn=output.warn)
    return Server(client, output.warn)


def require_self(server: Server, user: str | None, ability: str) -> None:
    """Raise UnsupportedError where ``--user`` names another user than the one whose key is sent."""
    acting = server.acting
    if user is not None and user != acting.username and parsed_id(user) != acting.id:
        server.require(ability)
