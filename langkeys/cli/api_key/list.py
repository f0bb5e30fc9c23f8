"""``langkeys api-key list``."""

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import typer

from langkeys.api_keys import lifecycle as api_keys
from langkeys.cli.invocation import session_of
from langkeys.cli.messages import warn_of_undecryptable
from langkeys.cli.options import (
    Limit,
    Offset,
    RemoteCommand,
    Sort,
    UserOption,
    invocation,
    is_remote,
    new_app,
)
from langkeys.cli.present.api_keys import API_KEYS, ApiKeyRow, show_api_keys
from langkeys.cli.present.columns import shows
from langkeys.cli.present.paging import Paging
from langkeys.errors import UsageError
from langkeys.models import ApiKey, User
from langkeys.sessions.session import Access, Session
from langkeys.store.protocol import KeyFilter
from langkeys.text import agreeing, counted, pronoun
from langkeys.times import now, parsed_span

app = new_app()

MAX_COUNTED = 1000
"""The maximum number of other users' keys that are counted."""


class Status(str, Enum):
    """The status of an API key's row."""

    ACTIVE = "active"
    EXPIRED = "expired"
    INACTIVE = "inactive"


@app.command("list", cls=RemoteCommand)
@shows(API_KEYS)
def list_(
    context: typer.Context,
    user: UserOption = None,
    all_users: Annotated[
        bool, typer.Option("--all-users", help="List the keys of all users.")
    ] = False,
    status: Annotated[Status | None, typer.Option(help="Only keys with this status.")] = None,
    unused_for: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Only keys not used for this long (90d).")
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Only keys created at least this long ago (90d)."),
    ] = None,
    expires_within: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Only keys that expire within this time (14d)."),
    ] = None,
    expired: Annotated[
        bool,
        typer.Option("--expired", help="Only keys that have expired, including inactive ones."),
    ] = False,
    sort: Sort = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> None:
    """List API keys, oldest first. Default: the acting user's keys.

    Only keys that match every filter are listed. To see first which keys prune or rotate would
    change, use the same filters here.

    {columns} api_key is the masked key; it is empty if the key cannot be decrypted.

    \b
    Examples:
      langkeys api-key list --all-users
      langkeys api-key list --expires-within 14d --json
      langkeys api-key list --unused-for 90d | cut -f1
      langkeys api-key list --all-users --sort -last_used_at --limit 10
    """
    call = invocation(context)
    if user is not None and all_users:
        raise UsageError("--user and --all-users cannot be used together")
    moment = now()
    paging = Paging(API_KEYS, sort=sort, limit=limit, offset=offset)
    conditions: dict[str, Any] = {
        "status": None if status is None else status.value,
        "unused_since": _before(moment, unused_for, "--unused-for"),
        "created_before": _before(moment, older_than, "--older-than"),
        "expires_before": None
        if expires_within is None
        else moment + parsed_span(expires_within, "--expires-within"),
        "is_expired": expired,
    }
    if is_remote(context):
        from langkeys.cli.remote import api_keys as over_rest

        over_rest.list_(
            context,
            user=user,
            all_users=all_users,
            moment=moment,
            conditions=conditions,
            paging=paging,
        )
        return
    call.output.require_stdout()
    with session_of(context, access=Access.READ) as session:
        owner = session.owner(user)
        wanted = KeyFilter(now=moment, user_id=None if all_users else owner.id, **conditions)
        found = paging.page(
            lambda limit, offset: session.store.api_keys(wanted, limit=limit, offset=offset),
            lambda key: ApiKeyRow(key, None, moment),
        )
        undecryptable = total = 0

        def shown() -> Iterator[tuple[ApiKey, str | None]]:
            nonlocal undecryptable, total
            for key in found:
                value = api_keys.masked_value(key, lambda: session.reading_cipher)
                undecryptable += value is None
                total += 1
                yield key, value

        show_api_keys(call.output, shown(), moment, store=session.store)
        if undecryptable:
            warn_of_undecryptable(session, "API key", undecryptable, total)
        is_default = user is None and not all_users and not any(conditions.values())
        if is_default and call.output.is_sentences and not call.output.quiet:
            _note_others(session, owner)


def _note_others(session: Session, owner: User) -> None:
    """Say that other users have keys, too, which are not listed."""
    count = session.store.count_of_others(owner.id, MAX_COUNTED + 1)
    if count > MAX_COUNTED:
        session.note(
            f"more than {MAX_COUNTED} API keys of other users are not shown; to see them:"
            " --all-users"
        )
    elif count:
        session.note(
            f"{counted(count, 'API key')} of other users {agreeing('are', count)} not shown; to see"
            f" {pronoun(count)}: --all-users"
        )


def _before(moment: datetime, span: str | None, option: str) -> datetime | None:
    return None if span is None else moment - parsed_span(span, option)
