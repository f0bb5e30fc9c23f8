"""``langkeys api-key`` over REST: the acting user's keys, and any key given whole."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from langkeys.cli import prompts
from langkeys.cli.key_files import Form, is_file, one_file
from langkeys.cli.messages import key_or_count, plural_keys
from langkeys.cli.options import invocation
from langkeys.cli.present.api_keys import (
    ApiKeyRow,
    confirm_for_keys,
    show_api_key_card,
    show_api_keys,
)
from langkeys.cli.present.paging import Paging, sliced
from langkeys.cli.remote.connection import require_self, server_of
from langkeys.cli.remote.delivery import Delivery
from langkeys.errors import UsageError
from langkeys.models import dashed
from langkeys.remote import api_keys, rotation
from langkeys.remote.api_keys import ListedKey
from langkeys.remote.creation import MadeKey, NewKey, revoke_on_failure
from langkeys.remote.creation import create as create_key
from langkeys.remote.references import ChosenKey, choose, choose_acting, chosen_from
from langkeys.remote.server import Server
from langkeys.text import listed, pronoun
from langkeys.times import iso, now


def create(
    context: typer.Context,
    *,
    name: str,
    user: str | None,
    expires_at: datetime | None,
    count: int | None,
    write_to: Path | None,
    replace: bool,
    form: Form,
) -> None:
    """Create keys of the acting user; each is verified at the server."""
    out = invocation(context).output
    with ExitStack() as stack:
        server = server_of(context, writes=True)
        if expires_at is not None:
            server.require("api-key create --expires")
        require_self(server, user, "api-key create --user")
        destination = None
        if write_to is not None and is_file(write_to):
            destination = one_file(stack, write_to, form, replace=replace)
        delivery = Delivery(out, server, destination, form, as_array=count is not None)
        made: list[NewKey] = []
        undelivered: list[MadeKey] = []
        known = {item.key.id for item in api_keys.list_keys(server)}
        with revoke_on_failure(undelivered):
            for _ in range(count or 1):
                new = create_key(server, name, expires_at, known=known)
                known.add(new.row.id)
                undelivered.append(MadeKey(server, new.row.id, name, new.plaintext))
                made.append(new)
            delivery.hand_over(made, set())
        delivery.report()
        row = made[0].row
        what = key_or_count(row, len(made))
        until = "" if row.expires_at is None else f", until {iso(row.expires_at)}"
        where = "" if destination is None else f", written to {destination}"
        out.note(
            f"created {what} ({row.name}) for {server.acting.username}{until} in"
            f" {server.location}, which accepts {pronoun(len(made))}{where}"
        )
        delivery.warn()


def list_(
    context: typer.Context,
    *,
    user: str | None,
    all_users: bool,
    moment: datetime,
    conditions: Mapping[str, Any],
    paging: Paging[ApiKeyRow],
) -> None:
    """List the keys of the acting user; ``conditions`` are those of ``matching_keys``."""
    out = invocation(context).output
    out.require_stdout()
    server = server_of(context)
    if all_users:
        server.require("api-key list --all-users")
    require_self(server, user, "api-key list --all-users")
    found = api_keys.matching_keys(api_keys.list_keys(server), moment, **conditions)
    shown = paging.page(
        lambda limit, offset: sliced(found, limit, offset),
        lambda item: ApiKeyRow(item.key, item.value, moment),
    )
    show_api_keys(out, shown, moment)


def show(context: typer.Context, ref: str) -> None:
    """Show a key of the acting user, or the key on stdin."""
    out = invocation(context).output
    out.require_stdout()
    chosen = chosen_keys(context, [ref], destroys=False, writes=False)
    if len(chosen) != 1:
        raise UsageError(f"stdin has {len(chosen)} keys, but this command takes one")
    key, value = chosen[0].listed
    show_api_key_card(out, key, value, now())


def revoke(context: typer.Context, refs: Sequence[str], *, yes: bool, dry_run: bool) -> None:
    """Revoke keys of the acting user, or keys on stdin."""
    out = invocation(context).output
    out.require_stdout()
    chosen = chosen_keys(context, refs, destroys=True)
    location = chosen[0].server.location
    if not dry_run:
        require_yes_for_acting(chosen, yes=yes)
        _confirm_revoking(chosen, yes=yes)
        rotation.revoke(chosen)
        out.note(f"revoked {plural_keys(chosen)} in {location}{_proof(chosen)}")
    else:
        out.note(f"dry run: {plural_keys(chosen)} would be revoked; nothing was done")
    show_api_keys(out, [item.listed for item in chosen], now(), are_gone=not dry_run)


def _proof(chosen: Sequence[ChosenKey]) -> str:
    if not all(item.whole for item in chosen):
        return ""
    return f", which now refuses {pronoun(len(chosen))}"


def _confirm_revoking(chosen: Sequence[ChosenKey], *, yes: bool) -> None:
    names = [
        f"{dashed(item.key_id)} ({item.listed.key.name}, {item.listed.key.username})"
        for item in chosen
    ]
    prompts.confirm(f"Revoke {listed(names)} in {chosen[0].server.location}?", yes=yes)


def prune(
    context: typer.Context,
    *,
    user: str | None,
    moment: datetime,
    conditions: Mapping[str, Any],
    yes: bool,
    dry_run: bool,
) -> None:
    """Revoke the acting user's keys that match, except the acting key."""
    out = invocation(context).output
    out.require_stdout()
    server = server_of(context, writes=True)
    require_self(server, user, "api-key list --all-users")
    found = api_keys.matching_keys(api_keys.list_keys(server), moment, **conditions)
    chosen = [item for item in chosen_from(server, found) if item.whole is None]
    if chosen and dry_run:
        out.note(f"dry run: {plural_keys(chosen)} would be revoked; nothing was done")
    elif chosen:
        confirm_for_keys(
            out,
            [item.listed for item in chosen],
            len(chosen),
            f"Revoke {plural_keys(chosen)} in {server.location}?",
            yes=yes,
        )
        with out.progress("revoking API keys", len(chosen)) as done:
            rotation.revoke(chosen, done)
        out.note(f"revoked {plural_keys(chosen)} in {server.location}")
    show_api_keys(
        out,
        [item.listed for item in chosen],
        moment,
        are_gone=not dry_run,
        nothing=lambda: f"no API key of {server.acting.username} matches; nothing was done",
    )


def chosen_keys(
    context: typer.Context,
    refs: Sequence[str],
    *,
    destroys: bool,
    working: bool = False,
    writes: bool = True,
    needed: Sequence[str] = (),
) -> list[ChosenKey]:
    """Return the keys that REFs name, without repetition; ``-`` means the lines of stdin.

    A key on stdin authenticates itself; other REFs need LANGKEYS_API_KEY. ``needed`` are abilities
    of the server that are checked before a key is sent.
    """
    found: dict[str, ChosenKey] = {}
    server: Server | None = None
    keys: list[ListedKey] = []
    for ref in refs:
        if ref == "-":
            lines = prompts.secret_lines("API key")
            by_it = server_of(context, api_key=lines[0], writes=writes)
            for ability in needed:
                by_it.require(ability)
            chosen = [
                choose_acting(by_it, line, f"line {number} of stdin")
                for number, line in enumerate(lines, 1)
            ]
        else:
            if server is None:
                server = server_of(context, writes=writes)
                for ability in needed:
                    server.require(ability)
                keys = api_keys.list_keys(server)
            warn = invocation(context).output.warn
            chosen = [choose(server, keys, ref, destroys=destroys, working=working, warn=warn)]
        for item in chosen:
            found.setdefault(item.key_id, item)
    return list(found.values())


def require_yes_for_acting(chosen: Sequence[ChosenKey], *, yes: bool) -> None:
    """Raise UsageError if the acting key is among the chosen keys and ``yes`` is false."""
    for item in chosen:
        if not yes and item.whole is not None and not item.is_presented:
            raise UsageError(
                f"API key {dashed(item.key_id)} is the key that langkeys authenticates"
                " with (LANGKEYS_API_KEY); nothing was done",
                hint="use --yes to do it anyway",
            )
