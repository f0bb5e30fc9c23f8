"""From a command's context to the server that it asks, and the API key that it asks by."""

from collections.abc import Mapping

import typer

from langkeys.cli.invocation import settings_of
from langkeys.cli.options import invocation
from langkeys.errors import ConfigError, UnauthenticatedError, UsageError
from langkeys.files import read_text
from langkeys.models import parsed_id
from langkeys.ownership import is_ours, user_name
from langkeys.remote.client import Client
from langkeys.remote.server import Server
from langkeys.settings import ENV_FILE, Settings, Value, dotenv_lines

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
    address = _address(context, settings)
    key = None if api_key is None else Value("the API key", api_key, "stdin or a file")
    for name in ("LANGKEYS_API_KEY", "LANGFLOW_API_KEY") if falls_back else ("LANGKEYS_API_KEY",):
        key = key or settings.find(name)
    if key is None and needs_key:
        raise UnauthenticatedError(
            "there is no API key to ask the server by: LANGKEYS_API_KEY is not set",
            hint="set it to an API key of the server, or give the key itself on stdin, where the"
            " command takes -",
        )
    if key is not None and _is_foreign(given, settings, address):
        _require_from_there(settings, key)
    via = given.get("via", VIA[0])
    if via not in VIA:
        raise UsageError(f"--via {via!r} is not header or query")
    source = address.name if address.name == "--url" else f"{address.name} ({address.source})"
    text = None if key is None else key.text
    client = Client(address.text, text, via=str(via), source=source, warn=output.warn)
    return Server(client, output.warn)


def _address(context: typer.Context, settings: Settings) -> Value:
    url = invocation(context).given.get("url")
    if url is not None:
        return Value("--url", str(url), "--url")
    found = settings.find("LANGFLOW_URL")
    if found is None:
        raise ConfigError("--remote needs an address", hint="give --url URL, or set LANGFLOW_URL")
    if _is_from_env_file(settings, found) and _is_interpolated(settings, found.name):
        raise ConfigError(
            f"LANGFLOW_URL ({found.source}) holds ${{...}}: an address that another setting goes"
            " into could send a secret along",
            hint="write the address out",
        )
    return found


def _is_from_env_file(settings: Settings, value: Value) -> bool:
    # As it stands in the file, or in a file that NAME_FILE names there.
    name = str(settings.env_file)
    return settings.env_file is not None and (
        value.source == name or value.source.endswith(f"({name})")
    )


def _is_interpolated(settings: Settings, name: str) -> bool:
    assert settings.env_file is not None
    lines = dotenv_lines(read_text(settings.env_file, "settings", error=ConfigError))
    return any("${" in (value or "") for found, value, _ in lines if (found or "").upper() == name)


def _is_foreign(given: Mapping[str, str | bool], settings: Settings, address: Value) -> bool:
    """Tell whether the address stands in a ``./.env`` of another user, whom nobody vouches for."""
    if not _is_from_env_file(settings, address) or given.get("env_file") is not None:
        return False
    if settings.environ.get(ENV_FILE):
        return False
    assert settings.env_file is not None
    return not is_ours(settings.env_file.stat().st_uid)


def _require_from_there(settings: Settings, key: Value) -> None:
    if not _is_from_env_file(settings, key):
        assert settings.env_file is not None
        raise ConfigError(
            f"LANGFLOW_URL stands in {settings.env_file}, which belongs to"
            f" {user_name(settings.env_file.stat().st_uid)}: no API key goes there but one that"
            " stands in it, too",
            hint="give --url URL, or vouch for the file by --env-file",
        )


def require_self(server: Server, user: str | None, ability: str) -> None:
    """Raise UnsupportedError where ``--user`` names another user than the one whose key is sent."""
    acting = server.acting
    if user is not None and user != acting.username and parsed_id(user) != acting.id:
        server.require(ability)
