"""``langkeys whoami`` over REST: whose API key this is to a server, and to the database here."""

from typing import Any, NamedTuple

import typer

from langkeys.api_keys.refusals import explained
from langkeys.api_keys.verification import Verified, require_current
from langkeys.cli.invocation import session_of, settings_of
from langkeys.cli.options import invocation
from langkeys.cli.remote.connection import server_of
from langkeys.config import locations
from langkeys.errors import ConfigError, InvalidKeyError, LangkeysError
from langkeys.files.reading import is_there
from langkeys.models import dashed, parsed_id
from langkeys.remote.server import whoami as remote_whoami
from langkeys.sessions.session import Access
from langkeys.times import iso, parsed_iso


class _Here(NamedTuple):
    """The result of looking a key up in the local database: its user, or why it is invalid."""

    location: str
    verified: Verified | None
    refusal: InvalidKeyError | None = None


def whoami(
    context: typer.Context, key: str | None, fields: tuple[str, ...], times: tuple[str, ...]
) -> tuple[dict[str, Any], str]:
    """Ask the server for the user of a key.

    With ``key``, also look the key up in the local database, if there is one. Returns the server's
    answer, and a description of the sources.
    """
    server = server_of(context, api_key=key, falls_back=True, needs_key=False)
    if server.client.api_key is None:
        raise ConfigError(
            "no API key for the server",
            hint="use --api-key - or --api-key-file FILE, or set LANGKEYS_API_KEY or"
            " LANGFLOW_API_KEY",
        )
    try:
        answer = remote_whoami(server.client)
    except InvalidKeyError as error:
        here = None if key is None else _here(context, key)
        if here is not None and here.verified is not None:
            error.hint = (
                f"in {here.location} it is a valid key of {here.verified.user.username}:"
                " the server does not use this database"
            )
        elif here is not None and here.refusal is not None:
            error.hint = f"the database here refuses it, too: {here.refusal.message}"
        elif error.hint is None:
            error.hint = (
                "it may have been revoked, have expired, or belong to another server; langkeys"
                " whoami without --url and --remote asks the database, which has the reason"
            )
        raise
    described = {name: answer.get(name) for name in fields}
    described["store_api_key"] = None
    for name in times:
        text = described[name]
        if isinstance(text, str):
            described[name] = iso(parsed_iso(text))
    if answer.get("optins") is not None:
        described["optins"] = answer["optins"]
    here = None if key is None else _here(context, key)
    difference = None if here is None else _difference(server.location, described, here)
    if difference is not None:
        invocation(context).output.warn(difference)
    if here is None or difference is not None:
        return described, "as the server says"
    row = None if here.verified is None else here.verified.api_key
    named = "" if row is None else f": API key {dashed(row.id)} ({row.name or 'no name'})"
    invocation(context).output.note(
        f"the key has the same user in the database {here.location}{named}"
    )
    return described, f"as the server and {here.location} say"


def _difference(server: str, user: dict[str, Any], here: _Here) -> str | None:
    """Return evidence that the server accepts the key but does not use the local database."""
    said = (
        f"the server at {server} does not use the database {here.location}: to the server it is a"
        f" key of {user['username']} ({user['id']})"
    )
    if here.verified is None:
        assert here.refusal is not None
        if here.refusal.reason == "unknown":
            return f"{said}, but it is not in the database"
        return f"{said}, but with the database it would be refused: {here.refusal.message}"
    other = here.verified.user
    if other.id == parsed_id(str(user["id"])):
        return None
    return f"{said}, in the database one of {other.username} ({dashed(other.id)})"


def _here(context: typer.Context, key: str) -> _Here | None:
    """Look a key up in the database of the settings; None if that does not exist."""
    settings = settings_of(context)
    try:
        target = locations.database(settings).target
        is_given = locations.is_database_given(settings)
        if target.file is not None and not is_given and not is_there(target.file):
            return None
        with session_of(context, access=Access.NOBODY) as session:
            require_current(session.store)
            location = session.store.location
            try:
                return _Here(location, session.verifier.verify(key))
            except InvalidKeyError as error:
                refusal = explained(error, key, session.verifier)
            if refusal.reason == "undecryptable":
                raise refusal  # it says nothing about which database the server uses
            return _Here(location, None, refusal)
    except LangkeysError as error:
        invocation(context).output.note(f"not compared with the database: {error.message}")
        return None
