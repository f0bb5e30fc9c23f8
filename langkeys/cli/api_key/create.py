"""``langkeys api-key create``."""

from collections.abc import Generator
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from langkeys.api_keys import lifecycle as api_keys
from langkeys.cli.delivery import store_and_deliver, warn_of_owner
from langkeys.cli.invocation import refuse_own_file, session_of
from langkeys.cli.key_files import (
    Destination,
    Format,
    FormatOption,
    NamespaceOption,
    SecretKeyOption,
    SecretNameOption,
    form_of,
    is_file,
    one_file,
)
from langkeys.cli.messages import key_or_count
from langkeys.cli.options import RemoteEncryptingCommand, UserOption, invocation, is_remote, new_app
from langkeys.cli.output import Output
from langkeys.models import ApiKey, User
from langkeys.sessions.session import Access, Session
from langkeys.text import checked_name
from langkeys.times import parsed_expiry, person_iso

app = new_app()

MAX_KEYS = 10_000_000
"""The maximum of --count: a larger number is probably a typing error and would fill the disk."""


@app.command(cls=RemoteEncryptingCommand)
def create(
    context: typer.Context,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="The key's name.")
    ] = api_keys.DEFAULT_NAME,
    user: UserOption = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN|never",
            help="When the key expires: a time (ISO 8601), a span (90d), or never.",
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MAX_KEYS, help="Create N keys.")
    ] = None,
    write_to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the key to FILE (0600); - is stdout, the default."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace FILE if it exists and is not empty.")
    ] = False,
    format_: FormatOption = Format.KEY,
    secret_name: SecretNameOption = None,
    secret_key: SecretKeyOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Create an API key. Existing keys are never removed.

    The key is printed once. In a pipe it is printed alone: KEY=$(langkeys api-key). If it cannot be
    delivered (closed pipe, full disk), it is removed again. A FILE with one key has no newline at
    its end, like a mounted secret; several keys are written one a line. A k8s-secret is a JSON
    manifest with one key.

    \b
    Examples:
      langkeys api-key
      langkeys api-key create --name ci --expires 90d --write-to /run/secrets/langflow-key
      langkeys api-key create --user alice --count 3 --json
      langkeys api-key create --format k8s-secret | kubectl apply -f -
    """
    call = invocation(context)
    out = call.output
    if not is_file(write_to) or out.as_json:
        out.require_stdout()
    checked_name(name)
    source = context.get_parameter_source("name")
    is_name_given = source is not None and source.name == "COMMANDLINE"
    expires_at = None if expires is None else parsed_expiry(expires, "--expires")
    form = form_of(
        format_,
        secret_name=secret_name,
        secret_key=secret_key,
        namespace=namespace,
        is_shown=not out.as_json or is_file(write_to),
    )
    form.check_count(count or 1)
    over_url = is_remote(context)
    refuse_own_file(context, write_to)
    if over_url:
        from langkeys.cli.remote import api_keys as over_rest

        over_rest.create(
            context,
            name=name,
            user=user,
            expires_at=expires_at,
            count=count,
            write_to=write_to,
            replace=replace,
            form=form,
        )
        return
    with ExitStack() as stack:
        destination = None
        if write_to is not None and is_file(write_to):
            destination = one_file(stack, write_to, form, replace=replace)
        session = stack.enter_context(session_of(context, access=Access.WRITE))
        owner = session.owner(user)
        if expires_at is not None:
            api_keys.require_expiry(session.generation)
        api_keys.require_working_owner(session.generation, owner)
        session.check_secret_key(encrypts=session.generation.encrypts_keys)
        has_name_twice = is_name_given and api_keys.is_name_taken(session.store, owner, name)
        made = _made(session, owner, name, expires_at, count or 1)
        first, stored = store_and_deliver(
            session,
            out,
            stack.enter_context(closing(made)),
            as_array=count is not None,
            destination=destination,
            form=form,
        )
        _say_made(session, out, first, stored, destination)
        if has_name_twice:
            out.note(
                f"another working API key of {owner.username} is named {name!r}: commands that use"
                " the name will need an id"
            )
        if destination is not None:
            destination.warn(out)
        warn_of_owner(session, owner)


def _made(
    session: Session, owner: User, name: str, expires_at: datetime | None, count: int
) -> Generator[api_keys.NewApiKey, None, None]:
    with session.progress("creating API keys", count) as done:
        prepared = api_keys.new_api_keys(
            session.generation,
            lambda: session.cipher,
            owner=owner,
            name=name,
            expires_at=expires_at,
            count=count,
        )
        for number, key in enumerate(prepared, 1):
            yield key
            if number % 100 == 0:
                done(number)


def _say_made(
    session: Session,
    out: Output,
    row: ApiKey,
    count: int,
    destination: Destination | None,
) -> None:
    until = "" if row.expires_at is None else f", until {person_iso(row.expires_at)}"
    what = f"{key_or_count(row, count)} ({row.name}) for {row.username}{until}"
    where = "" if destination is None else f", written to {destination}"
    out.note(f"created {what} in {session.store.location}{where}")
