"""Get the server and the API key of a command from its context."""

import typer

from langkeys.cli.invocation import settings_of
from langkeys.cli.options import invocation
from langkeys.config.known_settings import Value
from langkeys.config.settings import Settings
from langkeys.errors import ConfigError, UnauthenticatedError, UsageError
from langkeys.models import parsed_id
from langkeys.remote.client import Client
from langkeys.remote.records import NoChanges, Record
from langkeys.remote.server import Server

VIA = ("header", "query")


def server_of(
    context: typer.Context,
    *,
    api_key: str | None = None,
    writes: bool = False,
    falls_back: bool = False,
    needs_key: bool = True,
) -> Server:
    """Return the server that ``--url`` or LANGFLOW_URL names, with an API key.

    The key is ``api_key`` (from stdin), or else LANGKEYS_API_KEY, or else, with ``falls_back``,
    LANGFLOW_API_KEY. Unless ``writes`` is true, nothing can be changed. With ``writes``, the audit
    trail records every change and refusal. Raises UnauthenticatedError if a key is needed and there
    is none.
    """
    call = invocation(context)
    settings = settings_of(context)
    settings.check()
    for text in settings.warnings:
        call.output.warn(text)
    found = None
    if api_key is None:
        names = ("LANGKEYS_API_KEY", "LANGFLOW_API_KEY") if falls_back else ("LANGKEYS_API_KEY",)
        found = next(filter(None, map(settings.find, names)), None)
        api_key = None if found is None else found.text
    client = _client(context, settings, found)
    record = _record(context, settings, client.base) if writes else NoChanges()
    if api_key is not None:
        client = client.by(api_key)
    elif needs_key:
        raise UnauthenticatedError(
            "no API key for the server: LANGKEYS_API_KEY is not set",
            hint="set it to an API key of the server; commands that take - can read"
            " the key from stdin instead",
        )
    return Server(client, call.output.warn, record)


def _client(context: typer.Context, settings: Settings, found: Value | None) -> Client:
    given = invocation(context).given
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
    warn = invocation(context).output.warn
    return Client(str(url), None, via=str(via), source=source, label=label, warn=warn)


def _record(context: typer.Context, settings: Settings, location: str) -> Record:
    from langkeys.cli.remote.records import AuditRecord

    call = invocation(context)
    reason = call.given.get("reason")
    record = AuditRecord(
        settings,
        call.output.warn,
        command=context.command_path.partition(" ")[2],
        reason=None if reason is None else str(reason),
        location=location,
    )
    call.refused = record.record_refusal
    return record


def require_self(server: Server, user: str | None, ability: str) -> None:
    """Raise UnsupportedError if ``--user`` names a user other than the acting user."""
    acting = server.acting
    if user is not None and user != acting.username and parsed_id(user) != acting.id:
        server.require(ability)
