"""``langkeys whoami``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from langkeys.api_keys.refusals import explained
from langkeys.api_keys.verification import require_current
from langkeys.cli import prompts
from langkeys.cli.invocation import session_of
from langkeys.cli.options import Invocation, RemoteCommand, invocation, is_remote, new_app
from langkeys.cli.present.users import user_object
from langkeys.errors import FailedError, InvalidKeyError, UsageError
from langkeys.models import ApiKey, User, dashed
from langkeys.sessions.session import Access, Session
from langkeys.times import iso_or_none, now, parsed_iso, relative

app = new_app()

_FIELDS = (
    "id", "username", "profile_image", "store_api_key", "is_active", "is_superuser", "create_at",
    "updated_at", "last_login_at",
)  # fmt: skip
_TIMES = ("create_at", "updated_at", "last_login_at")


@app.command(cls=RemoteCommand)
def whoami(
    context: typer.Context,
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", metavar="-", help="Look up the API key on stdin."),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", metavar="FILE", help="Look up the API key in FILE."),
    ] = None,
    require_superuser: Annotated[
        bool,
        typer.Option("--require-superuser", help="Exit {failed} unless the user is a superuser."),
    ] = False,
) -> None:
    """Show the acting user, or the user of an API key.

    With an API key, show the key's user, or exit {invalid_key} with the reason: unknown, expired,
    inactive, owner inactive, duplicate, undecryptable, or refused by the server. In JSON the error
    has it as reason. The answer is what a server of the database's Langflow version would say.
    Nothing is written, and no use of the key is counted.

    With --url or --remote a live server is asked, with that key, LANGKEYS_API_KEY or
    LANGFLOW_API_KEY; the server counts it as a use. A key from stdin or a file is also looked up in
    the database, if there is one, and a warning says if the server does not use that database.

    Piped columns: id, username, is_active, is_superuser, API key id, API key name.

    \b
    Examples:
      langkeys whoami
      langkeys whoami --api-key - < leaked.txt
      langkeys whoami --url http://localhost:7860 --via query --require-superuser
    """
    call = invocation(context)
    call.output.require_stdout()
    key = _presented_key(api_key, api_key_file)
    if is_remote(context):
        described, how = _from_server(context, key)
        where = None
    else:
        access = Access.USER if key is None else Access.NOBODY
        with session_of(context, access=access) as session:
            described, how = _from_store(session, key)
            where = session.store.location
    _show(call, described, how, where)
    if require_superuser and described["is_superuser"] is not True:
        call.output.warn(f"{described['username']} is not a superuser")
        raise typer.Exit(FailedError.exit_code)


def _presented_key(api_key: str | None, api_key_file: Path | None) -> str | None:
    if api_key is not None and api_key_file is not None:
        raise UsageError("--api-key and --api-key-file cannot be used together")
    if api_key is not None:
        if api_key != "-":
            raise UsageError(
                "--api-key only takes - (stdin): arguments are kept in the shell's history",
                hint="use langkeys whoami --api-key - < FILE, or --api-key-file FILE",
            )
        keys = prompts.secret_lines("API key")
        if len(keys) != 1:
            raise UsageError(f"stdin has {len(keys)} lines, but whoami takes one API key")
        return keys[0]
    if api_key_file is not None:
        return prompts.secret_from_file(api_key_file, "an API key")
    return None


def _from_store(session: Session, key: str | None) -> tuple[dict[str, Any], str]:
    if key is None:
        acting = session.known_user
        return _described(acting.user, acting.api_key), f"by {acting.how}"
    require_current(session.store)
    try:
        verified = session.verifier.verify(key)
    except InvalidKeyError as error:
        raise explained(error, key, session.verifier) from None
    if verified.warning is not None:
        session.warn(verified.warning)
    return _described(verified.user, verified.api_key), "by the API key presented"


def _described(user: User, key: ApiKey | None) -> dict[str, Any]:
    described = user_object(user)
    if key is not None:
        described["api_key"] = {
            "id": dashed(key.id),
            "name": key.name,
            "expires_at": iso_or_none(key.expires_at),
        }
    return described


def _from_server(context: typer.Context, key: str | None) -> tuple[dict[str, Any], str]:
    from langkeys.cli.remote import whoami as over_rest

    return over_rest.whoami(context, key, _FIELDS, _TIMES)


def _show(call: Invocation, described: dict[str, Any], how: str, where: str | None) -> None:
    key = described.get("api_key") or {}
    if call.output.as_json:
        call.output.document(described)
    elif call.output.is_terminal:
        kind = "superuser" if described["is_superuser"] else "not a superuser"
        state = "active" if described["is_active"] else "INACTIVE"
        lines = [f"{described['username']}, {kind}, {state} ({how}; id {described['id']})"]
        if where is not None:
            lines.append(f"database {where}")
        if key:
            expiry = key["expires_at"]
            until = f", expires {relative(parsed_iso(expiry), now())}" if expiry else ""
            lines.append(f"API key {key['name'] or '(no name)'}, id {key['id']}{until}")
        call.output.sentence(*lines)
    else:
        flags = [str(described[name]).lower() for name in ("is_active", "is_superuser")]
        call.output.rows(
            [(described["id"], described["username"], *flags, key.get("id"), key.get("name"))]
        )
