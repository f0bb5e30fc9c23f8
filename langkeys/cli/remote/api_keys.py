"""``langkeys api-key`` over REST: one's own keys, and any key by itself."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from langkeys.api_keys import checked_name
from langkeys.cli import prompts
from langkeys.cli.delivery import warn_of_file
from langkeys.cli.invocation import refuse_own_file
from langkeys.cli.key_rows import plural_keys, show_key_card, show_keys
from langkeys.cli.options import invocation
from langkeys.cli.remote.connection import require_self, server_of
from langkeys.cli.remote.delivery import deliver, report_written
from langkeys.errors import NotFoundError, UsageError
from langkeys.files import StagedFile
from langkeys.models import dashed
from langkeys.remote import api_keys, rotation
from langkeys.remote.api_keys import ListedKey, NewKey
from langkeys.remote.references import Chosen, choose, choose_acting, chosen_from
from langkeys.remote.rotation import Replacement
from langkeys.remote.server import Server
from langkeys.times import iso, now, parsed_future, parsed_span


def create(
    context: typer.Context,
    *,
    name: str,
    user: str | None,
    expires: str | None,
    count: int | None,
    write_to: Path | None,
) -> None:
    """Make keys of the user whose key is sent, each proved by the server."""
    out = invocation(context).output
    if write_to is None or out.as_json:
        out.require_stdout()
    checked_name(name)
    expires_at = None if expires is None else parsed_future(expires, "--expires")
    with ExitStack() as stack:
        server = server_of(context)
        if expires_at is not None:
            server.require("api-key create --expires")
        require_self(server, user, "api-key create --user")
        refuse_own_file(context, write_to)
        staged = None if write_to is None else stack.enter_context(StagedFile(write_to))
        made: list[NewKey] = []
        ids: list[tuple[Server, str]] = []
        known = {item.key.id for item in api_keys.list_keys(server)}
        with api_keys.taking_back(ids):
            for _ in range(count or 1):
                new = api_keys.create(server, name, expires_at, known=known)
                known.add(new.row.id)
                ids.append((server, new.row.id))
                made.append(new)
            deliver(out, server, made, as_array=count is not None, staged=staged)
        report_written(out, made, staged, as_array=count is not None)
        row = made[0].row
        what = f"API key {dashed(row.id)}" if len(made) == 1 else f"{len(made)} API keys"
        until = "" if row.expires_at is None else f", until {iso(row.expires_at)}"
        where = "" if staged is None else f", written to {staged.path}"
        out.note(
            f"created {what} ({row.name}) for {server.acting.username}{until} in"
            f" {server.location}, which accepts it{where}"
        )
        warn_of_file(out, staged)


def list_(
    context: typer.Context,
    *,
    user: str | None,
    all_users: bool,
    moment: datetime,
    conditions: Mapping[str, Any],
    limit: int | None,
    offset: int,
) -> None:
    """List the keys of the user whose key is sent; ``conditions`` are those of ``matching``."""
    out = invocation(context).output
    out.require_stdout()
    server = server_of(context)
    if all_users:
        server.require("api-key list --all-users")
    require_self(server, user, "api-key list --all-users")
    found = api_keys.matching(api_keys.list_keys(server), moment, **conditions)
    show_keys(out, found[offset:][:limit], moment)


def show(context: typer.Context, ref: str) -> None:
    """Show one's own key, or the one on stdin."""
    out = invocation(context).output
    out.require_stdout()
    chosen = _chosen(context, [ref], destroys=False)
    if len(chosen) != 1:
        raise UsageError(f"stdin has {len(chosen)} keys, but this command takes one")
    key, value = chosen[0].listed
    show_key_card(out, key, value, now())


def revoke(context: typer.Context, refs: Sequence[str], *, yes: bool, dry_run: bool) -> None:
    """End keys: one's own, and those on stdin by themselves."""
    out = invocation(context).output
    out.require_stdout()
    chosen = _chosen(context, refs, destroys=True)
    location = chosen[0].server.location
    if not dry_run:
        _require_yes_for_acting(chosen, yes=yes)
        _confirm_revoking(chosen, yes=yes)
        rotation.revoke(chosen)
        out.note(f"revoked {plural_keys(chosen)} in {location}{_proof(chosen)}")
    else:
        out.note(f"dry run: {plural_keys(chosen)} would be revoked; nothing was done")
    show_keys(out, [item.listed for item in chosen], now())


def _proof(chosen: Sequence[Chosen]) -> str:
    if not all(item.whole for item in chosen):
        return ""
    return f", which now refuses {'it' if len(chosen) == 1 else 'them'}"


def _confirm_revoking(chosen: Sequence[Chosen], *, yes: bool) -> None:
    names = ", ".join(
        f"{dashed(item.key_id)} ({item.listed.key.name}, {item.listed.key.username})"
        for item in chosen[:10]
    )
    more = "" if len(chosen) <= 10 else f" and {len(chosen) - 10} more"
    prompts.confirm(f"Revoke {names}{more} in {chosen[0].server.location}?", yes=yes)


def prune(
    context: typer.Context,
    *,
    user: str | None,
    moment: datetime,
    conditions: Mapping[str, Any],
    yes: bool,
    dry_run: bool,
) -> None:
    """Revoke one's own keys that match, but the acting one."""
    out = invocation(context).output
    out.require_stdout()
    server = server_of(context)
    require_self(server, user, "api-key list --all-users")
    found = api_keys.matching(api_keys.list_keys(server), moment, **conditions)
    chosen = [item for item in chosen_from(server, found) if item.whole is None]
    if not chosen:
        out.note(f"no API key of {server.acting.username} matches; nothing was done")
    elif dry_run:
        out.note(f"dry run: {plural_keys(chosen)} would be revoked; nothing was done")
    else:
        prompts.confirm(f"Revoke {plural_keys(chosen)} in {server.location}?", yes=yes)
        with out.progress("revoking API keys", len(chosen)) as done:
            rotation.revoke(chosen, done)
        out.note(f"revoked {plural_keys(chosen)} in {server.location}")
    show_keys(out, [item.listed for item in chosen], moment)


def rotate(
    context: typer.Context,
    *,
    refs: Sequence[str] | None,
    user: str | None,
    age: timedelta | None,
    grace: str | None,
    keep_old: bool,
    expires: str | None,
    write_to: Path | None,
    yes: bool,
    dry_run: bool,
) -> None:
    """Replace keys: one's own, and those on stdin by themselves."""
    out = invocation(context).output
    if write_to is None or out.as_json or dry_run:
        out.require_stdout()
    expires_at = None if expires is None else parsed_future(expires, "--expires")
    if grace is not None:
        parsed_span(grace, "--grace")
    chosen = _to_rotate(context, refs, user=user, age=age, grace=grace)
    server = chosen[0].server
    if not dry_run:
        _require_yes_for_acting(chosen, yes=yes)
    if expires_at is not None:
        server.require("api-key rotate --expires")
    rotation.require_rotatable([item.listed.key for item in chosen])
    if dry_run:
        out.note(f"dry run: {plural_keys(chosen)} would be rotated; nothing was done")
        show_keys(out, [item.listed for item in chosen], now())
        return
    with ExitStack() as stack:
        refuse_own_file(context, write_to)
        staged = None if write_to is None else stack.enter_context(StagedFile(write_to))
        as_array = refs is None or len(refs) != 1 or len(chosen) != 1

        replaced: dict[str, Chosen] = {}

        def additions(key: NewKey) -> dict[str, Any]:
            old = replaced[key.row.id]
            ends = old.listed.key.expires_at if keep_old else None
            return {
                "replaces": dashed(old.key_id),
                "replaces_expires_at": None if ends is None else iso(ends),
            }

        def hand_over(made: Sequence[Replacement]) -> None:
            replaced.update((item.new.row.id, item.old) for item in made)
            new = [item.new for item in made]
            deliver(out, server, new, as_array=as_array, staged=staged, additions=additions)

        done = rotation.rotate(chosen, hand_over, expires_at=expires_at, keeps_old=keep_old)
        new = [item.new for item in done]
        report_written(out, new, staged, as_array=as_array, additions=additions)
        where = "" if staged is None else f"; written to {staged.path}"
        for item in done:
            out.note(f"{_replaced(item, keep_old=keep_old)}, in {server.location}{where}")
        warn_of_file(out, staged)
    if not keep_old and any(item.whole and not item.is_presented for item in chosen):
        out.warn("LANGKEYS_API_KEY is one of the replaced keys: set it to the new one")


def _replaced(item: Replacement, *, keep_old: bool) -> str:
    key, old, server = item.new.row, dashed(item.old.key_id), item.old.server.option
    ends = item.old.listed.key.expires_at
    if not keep_old:
        fate = "which is deleted"
        if item.old.whole is not None:
            fate += " and refused"
    else:
        until = "keeps working" if ends is None else f"works until {iso(ends)}"
        fate = f"which {until}; to revoke it: langkeys api-key revoke {old} {server}"
    return f"API key {dashed(key.id)} ({key.name}) replaces {old}, {fate}"


def _to_rotate(
    context: typer.Context,
    refs: Sequence[str] | None,
    *,
    user: str | None,
    age: timedelta | None,
    grace: str | None,
) -> list[Chosen]:
    if refs:
        chosen = _chosen(context, refs, destroys=False, working=True)
        if grace is not None:
            chosen[0].server.require("api-key rotate --grace")
        return chosen
    server, moment = server_of(context), now()
    if grace is not None:
        server.require("api-key rotate --grace")
    require_self(server, user, "api-key list --all-users")
    created_before = None if age is None else moment - age
    found = api_keys.matching(
        api_keys.list_keys(server), moment, status="active", created_before=created_before
    )
    if not found:
        raise NotFoundError(
            f"no working API key of {server.acting.username} matches in {server.location}"
        )
    return chosen_from(server, found)


def _chosen(
    context: typer.Context, refs: Sequence[str], *, destroys: bool, working: bool = False
) -> list[Chosen]:
    """Return the keys that REFs name, each once; ``-`` stands for stdin's lines.

    Each key on stdin acts for itself; only for what else is named LANGKEYS_API_KEY is needed.
    """
    found: dict[str, Chosen] = {}
    server: Server | None = None
    keys: list[ListedKey] = []
    for ref in refs:
        if ref == "-":
            lines = prompts.secret_lines("API key")
            by_it = server_of(context, api_key=lines[0])
            chosen = [
                choose_acting(by_it, line, f"line {number} of stdin")
                for number, line in enumerate(lines, 1)
            ]
        else:
            if server is None:
                server = server_of(context)
                keys = api_keys.list_keys(server)
            chosen = [choose(server, keys, ref, destroys=destroys, working=working)]
        for item in chosen:
            found.setdefault(item.key_id, item)
    return list(found.values())


def _require_yes_for_acting(chosen: Sequence[Chosen], *, yes: bool) -> None:
    for item in chosen:
        if not yes and item.whole is not None and not item.is_presented:
            raise UsageError(
                f"API key {dashed(item.key_id)} is the key that langkeys authenticates"
                " with (LANGKEYS_API_KEY); nothing was done",
                hint="use --yes to do it anyway",
            )
