"""``langkeys api-key``: create, list, show, revoke."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from langkeys import api_keys
from langkeys.authentication import superuser_at_risk
from langkeys.cli import prompts
from langkeys.cli.key_rows import key_object, person_time, resolved_keys, show_keys
from langkeys.cli.options import DryRun, Group, JsonCommand, Yes, invocation, new_app
from langkeys.cli.output import Output
from langkeys.errors import LangkeysError, UsageError
from langkeys.files import StagedFile
from langkeys.models import ApiKey, User, dashed, masked
from langkeys.session import Session
from langkeys.store.base import KeyFilter
from langkeys.times import iso, now, parsed_future, parsed_span
from langkeys.users import get_user


class ApiKeyGroup(Group):
    """``langkeys api-key`` alone is ``langkeys api-key create``."""

    default = "create"


app = new_app(cls=ApiKeyGroup)


@app.callback()
def api_key() -> None:
    """Make, list, show and revoke API keys (x-api-key: sk-...).

    Without a command: create. A REF names a key by its id, its exact name, the visible start of
    the key (sk-XXXXX; linear, as keys must be decrypted for it) or a unique start of its id;
    - reads whole keys from stdin, one a line.
    """


class Status(str, Enum):
    """What a key's row says."""

    ACTIVE = "active"
    EXPIRED = "expired"
    INACTIVE = "inactive"


UserOption = Annotated[
    str | None, typer.Option("--user", metavar="USER", help="The owner, by user name or id.")
]


@app.command(cls=JsonCommand)
def create(
    context: typer.Context,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What the key is for.")
    ] = api_keys.DEFAULT_NAME,
    user: UserOption = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="A time (ISO 8601) or a span (90d).")
    ] = None,
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Make N keys at once.")
    ] = None,
    write_to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Put the key in FILE (0600) instead of stdout."),
    ] = None,
) -> None:
    """Make an API key; an existing one is never removed.

    The key is printed once, and alone where stdout is not a terminal: KEY=$(langkeys api-key).
    If it cannot be delivered (closed pipe, full disk) it is taken back.

    \b
    Examples:
      langkeys api-key
      langkeys api-key create --name ci --expires 90d --write-to /run/secrets/langflow-key
      langkeys api-key create --user alice --count 3 --json
    """
    call = invocation(context)
    out = call.output
    if write_to is None or out.as_json:
        out.require_stdout()
    api_keys.checked_name(name)
    expires_at = None if expires is None else parsed_future(expires, "--expires")
    with ExitStack() as stack:
        session = stack.enter_context(call.session(writes=True))
        acting = session.acting
        owner = acting.user if user is None else get_user(session.store, user)
        if expires_at is not None:
            api_keys.require_expiry(session.generation)
        staged = None if write_to is None else stack.enter_context(StagedFile(write_to))
        session.check_secret_key()
        keys = _made(session, out, owner, name, expires_at, count)
        if staged is not None:
            staged.write("".join(f"{key.plaintext}\n" for key in keys))
        api_keys.store_keys(session.store, keys)
        with _TakenBack(session, keys):
            if staged is not None:
                staged.publish()
            _deliver(out, keys, as_array=count is not None, written_to=staged)
        _say_made(session, out, keys, staged)
        _warn_of_owner(session, owner)


def _made(
    session: Session,
    out: Output,
    owner: User,
    name: str,
    expires_at: datetime | None,
    count: int | None,
) -> list[api_keys.NewApiKey]:
    keys: list[api_keys.NewApiKey] = []
    with out.progress("making API keys", count or 1) as done:
        for key in api_keys.prepared(
            session.generation,
            lambda: session.cipher,
            owner=owner,
            name=name,
            expires_at=expires_at,
            count=count or 1,
        ):
            keys.append(key)
            if len(keys) % 100 == 0:
                done(len(keys))
    return keys


class _TakenBack:
    """Revoke new keys where the block that delivers them fails."""

    def __init__(self, session: Session, keys: Sequence[api_keys.NewApiKey]) -> None:
        self._session = session
        self._keys = keys

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            return
        what = "the new API key" if len(self._keys) == 1 else f"the {len(self._keys)} new API keys"
        try:
            api_keys.revoke(self._session.store, [key.row for key in self._keys])
        except LangkeysError as second:
            ids = ", ".join(dashed(key.row.id) for key in self._keys[:10])
            hint = f"revoke what nobody has received: {ids} ({second.message})"
        else:
            hint = f"{what} could not be delivered and has been taken back"
        if isinstance(error, LangkeysError):
            error.hint = hint


def _deliver(
    out: Output,
    keys: Sequence[api_keys.NewApiKey],
    *,
    as_array: bool,
    written_to: StagedFile | None,
) -> None:
    if out.as_json:
        objects = [_new_key_object(key, written_to) for key in keys]
        out.document(objects if as_array else objects[0])
    elif written_to is not None:
        return
    elif out.is_terminal and len(keys) == 1:
        out.new_key_panel(keys[0].plaintext, keys[0].row.name or "")
    else:
        out.lines(key.plaintext for key in keys)


def _new_key_object(key: api_keys.NewApiKey, written_to: StagedFile | None) -> dict[str, Any]:
    if written_to is None:
        return key_object(key.row, key.plaintext)
    return {
        **key_object(key.row, masked(key.plaintext)),
        "written_to": str(written_to.path),
    }


def _say_made(
    session: Session,
    out: Output,
    keys: Sequence[api_keys.NewApiKey],
    staged: StagedFile | None,
) -> None:
    row = keys[0].row
    until = "" if row.expires_at is None else f", until {iso(row.expires_at)}"
    what = (
        f"API key {dashed(row.id)}" if len(keys) == 1 else f"{len(keys)} API keys"
    ) + f" ({row.name}) for {row.username}{until}"
    where = "" if staged is None else f", written to {staged.path}"
    out.note(f"made {what} in {session.store.location}{where}")
    if staged is not None and staged.narrowed:
        out.warn(f"{staged.path} could be read by others; its mode is 0600 now")


def _warn_of_owner(session: Session, owner: User) -> None:
    risk = superuser_at_risk(session.settings, session.generation, owner)
    if risk is not None:
        session.warn(risk)
    if not owner.is_active:
        session.warn(f"the owner {owner.username} is inactive: servers refuse the key")


@app.command("list", cls=JsonCommand)
def list_(
    context: typer.Context,
    user: UserOption = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="Everybody's keys.")] = False,
    status: Annotated[Status | None, typer.Option(help="Only keys in this state.")] = None,
    unused_for: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Only keys not used for so long (90d).")
    ] = None,
    expires_within: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Only keys that expire so soon (14d).")
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=0, help="At most N keys.")] = None,
    offset: Annotated[int, typer.Option(metavar="N", min=0, help="Leave out the first N.")] = 0,
) -> None:
    """List API keys, oldest first: the acting user's, a user's or everybody's.

    Piped columns: id, name, masked key, username, status, created_at, last_used_at, total_uses,
    expires_at. A key that the secret key does not open has no masked form.

    \b
    Examples:
      langkeys api-key list --all-users
      langkeys api-key list --expires-within 14d --json
      langkeys api-key list --unused-for 90d | cut -f1
    """
    call = invocation(context)
    if user is not None and all_users:
        raise UsageError("--user and --all-users exclude each other")
    moment = now()
    unused_since = None if unused_for is None else moment - parsed_span(unused_for, "--unused-for")
    expires_before = (
        None if expires_within is None else moment + parsed_span(expires_within, "--expires-within")
    )
    call.output.require_stdout()
    with call.session() as session:
        acting = session.acting.user
        owner = acting if user is None else get_user(session.store, user)
        wanted = KeyFilter(
            now=moment,
            user_id=None if all_users else owner.id,
            status=None if status is None else status.value,
            unused_since=unused_since,
            expires_before=expires_before,
        )
        closed = 0

        def shown() -> Iterator[tuple[ApiKey, str | None]]:
            nonlocal closed
            for key in session.store.api_keys(wanted, limit=limit, offset=offset):
                value = api_keys.masked_value(key, lambda: session.cipher)
                closed += value is None
                yield key, value

        show_keys(call.output, shown(), moment)
        if closed:
            call.output.warn(
                f"the secret key from {session.cipher.source} does not open {closed} of these keys"
            )


@app.command(cls=JsonCommand)
def show(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="The key, or - for stdin.")],
) -> None:
    """Show one API key, anybody's; never the key itself.

    Piped columns: those of list.

    \b
    Examples:
      langkeys api-key show ci
      langkeys api-key show - --json < leaked.txt
    """
    call = invocation(context)
    call.output.require_stdout()
    with call.session() as session:
        session.acting  # noqa: B018 - who may not act may not look either
        keys = resolved_keys(session, [ref])
        if len(keys) != 1:
            raise UsageError(f"{len(keys)} keys came on stdin; show takes one")
        key, moment = keys[0], now()
        value = api_keys.masked_value(key, lambda: session.cipher)
        if not call.output.is_sentences:
            show_keys(call.output, [(key, value)], moment, as_array=False)
            return
        described = key_object(key, value, moment)
        times = ("created_at", "last_used_at", "expires_at")
        call.output.card(
            {
                name: person_time(getattr(key, name), moment)
                if name in times
                else str("" if content is None else content)
                for name, content in described.items()
            }
        )


@app.command(cls=JsonCommand)
def revoke(
    context: typer.Context,
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="The keys, or - for stdin.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Revoke API keys, anybody's: a running server refuses them at once.

    All of them or none. It asks first; --yes skips the question, and is needed to revoke the key
    that langkeys itself acts by. Piped columns: those of list.

    \b
    Examples:
      langkeys api-key revoke ci
      langkeys api-key revoke - --yes < leaked.txt
      langkeys api-key revoke 3f2a9c41 --dry-run
    """
    call = invocation(context)
    call.output.require_stdout()
    with call.session(writes=True) as session:
        acting = session.acting
        keys = resolved_keys(session, refs, destroys=True)
        session.check_secret_key()
        if not dry_run:
            if (
                acting.api_key is not None
                and acting.api_key.id in {key.id for key in keys}
                and not yes
            ):
                raise UsageError(
                    f"API key {dashed(acting.api_key.id)} is the one that langkeys acts by"
                    " (LANGKEYS_API_KEY); nothing was done",
                    hint="give --yes to revoke it all the same",
                )
            names = ", ".join(f"{dashed(k.id)} ({k.name}, {k.username})" for k in keys[:10])
            more = "" if len(keys) <= 10 else f" and {len(keys) - 10} more"
            prompts.confirm(f"Revoke {names}{more}?", yes=yes)
        values = [api_keys.masked_value(key, lambda: session.cipher) for key in keys]
        if not dry_run:
            api_keys.revoke(session.store, keys)
        many = f"{len(keys)} API key{'' if len(keys) == 1 else 's'}"
        if dry_run:
            call.output.note(f"dry run: {many} would be revoked; nothing was done")
        else:
            call.output.note(f"revoked {many} in {session.store.location}")
        show_keys(call.output, zip(keys, values, strict=True), now())
