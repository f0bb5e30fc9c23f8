"""``langkeys api-key rotate`` over REST."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import typer

from langkeys.cli import prompts
from langkeys.cli.invocation import refuse_own_file
from langkeys.cli.key_files import (
    Destination,
    Form,
    file_for_each,
    is_file,
    one_file,
    try_file_for_each,
)
from langkeys.cli.messages import plural_keys
from langkeys.cli.options import invocation
from langkeys.cli.output import Output
from langkeys.cli.present.api_keys import confirm_for_keys, rotation_heads, show_api_keys
from langkeys.cli.remote.api_keys import chosen_keys, require_yes_for_acting
from langkeys.cli.remote.connection import require_self, server_of
from langkeys.cli.remote.delivery import Delivery
from langkeys.models import ApiKey, dashed
from langkeys.remote import api_keys, rotation
from langkeys.remote.creation import NewKey
from langkeys.remote.references import ChosenKey, chosen_from
from langkeys.remote.rotation import Expires, Replacement
from langkeys.times import ago, iso, now, short_relative


def rotate(
    context: typer.Context,
    *,
    refs: Sequence[str] | None,
    user: str | None,
    age: timedelta | None,
    has_grace: bool,
    keep_old: bool,
    expires: Expires,
    write_to: Path | None,
    write_to_dir: Path | None,
    form: Form,
    yes: bool,
    dry_run: bool,
) -> None:
    """Replace keys of the acting user, or keys on stdin."""
    out = invocation(context).output
    options = {"--grace": has_grace, "--expires": isinstance(expires, datetime)}
    needed = [f"api-key rotate {option}" for option, is_given in options.items() if is_given]
    chosen = _to_rotate(context, refs, user=user, age=age, needed=needed)
    if not dry_run:
        require_yes_for_acting(chosen, yes=yes)
    olds, refuse = [item.listed.key for item in chosen], partial(refuse_own_file, context)
    rotation.require_rotatable(olds)
    form.check_count(len(chosen))
    # Check that the files can be written before any request is sent.
    if write_to_dir is not None:
        try_file_for_each(write_to_dir, olds, form, refuse)
    elif dry_run and write_to is not None and is_file(write_to):
        with ExitStack() as trial:
            one_file(trial, write_to, form, replace=True)
    if dry_run or not chosen:
        many = f"dry run: {plural_keys(chosen)} would be rotated; nothing was done"
        out.note(many if chosen else "no API key needs to be rotated; nothing was done")
        if chosen or out.as_json:
            show_api_keys(out, [item.listed for item in chosen], now())
        return
    _report_leftovers(out, chosen)
    _confirm(out, chosen, yes=yes or keep_old)
    with ExitStack() as stack:
        destination = None
        if write_to is not None and is_file(write_to):
            destination = one_file(stack, write_to, form, replace=True)
        _carry_out(
            out,
            chosen,
            lambda keys: (
                destination
                if write_to_dir is None
                else file_for_each(stack, write_to_dir, keys, form, refuse)
            ),
            form=form,
            as_array=refs is None or len(refs) != 1 or len(chosen) != 1,
            expires=expires,
            keep_old=keep_old,
        )
    if not keep_old and any(item.whole and not item.is_presented for item in chosen):
        out.warn("LANGKEYS_API_KEY is one of the replaced keys: set it to the new one")


def _report_leftovers(out: Output, chosen: Sequence[ChosenKey]) -> None:
    for key, old in rotation.leftovers(chosen):
        out.warn(
            f"API key {dashed(key.id)} ({key.name}), newer than {dashed(old.key_id)}, was created"
            f" {ago(key.created_at)} and never used. It may be left over from an interrupted"
            " rotation. Revoke it only if nobody uses it: langkeys api-key revoke"
            f" {dashed(key.id)} {old.server.option}"
        )


def _confirm(out: Output, chosen: Sequence[ChosenKey], *, yes: bool) -> None:
    if len(chosen) > 1 and prompts.can_ask():
        confirm_for_keys(
            out,
            [item.listed for item in chosen],
            len(chosen),
            f"Rotate {plural_keys(chosen)} in {chosen[0].server.location}? The old keys"
            " stop working immediately.",
            yes=yes,
        )


def _carry_out(
    out: Output,
    chosen: Sequence[ChosenKey],
    destination_of: Callable[[Sequence[ApiKey]], Destination | None],
    *,
    form: Form,
    as_array: bool,
    expires: Expires,
    keep_old: bool,
) -> None:
    replaced: dict[str, ChosenKey] = {}

    def old_expiry(key: NewKey) -> str | None:
        ends = replaced[key.row.id].listed.key.expires_at if keep_old else None
        return None if ends is None else iso(ends)

    def additions(key: NewKey) -> dict[str, Any]:
        return {
            "replaces": dashed(replaced[key.row.id].key_id),
            "replaces_expires_at": old_expiry(key),
        }

    def row(key: NewKey, delivered: str) -> Sequence[str]:
        old = replaced[key.row.id]
        until = _until(old, keep_old=keep_old, moment=now())
        return key.row.name or "", key.row.username or "", delivered, old.key_id[:8], until

    def table(keys: Iterable[NewKey]) -> Iterator[str]:
        yield from out.table_lines(rotation_heads(), (row(key, key.plaintext) for key in keys))

    delivery: Delivery | None = None
    destination: Destination | None = None

    def hand_over(made: Sequence[Replacement], arrived: set[str]) -> None:
        nonlocal delivery, destination
        replaced.update((item.new.row.id, item.old) for item in made)
        new = [item.new for item in made]
        destination = destination_of([key.row for key in new])
        delivery = Delivery(
            out,
            chosen[0].server,
            destination,
            form,
            as_array=as_array,
            additions=additions,
            table=table,
        )
        delivery.hand_over(new, arrived)

    done = rotation.rotate(chosen, hand_over, expires=expires, keeps_old=keep_old)
    assert delivery is not None
    delivery.report()
    has_table = len(done) > 1 and out.is_sentences
    if has_table and destination is not None and not out.quiet:
        paths = map(destination.shown_path_of, range(len(done)))
        out.table(rotation_heads("FILE"), map(row, (item.new for item in done), paths))
    if has_table:
        out.note(_rotated(done, keep_old=keep_old))
    for number, item in enumerate(() if has_table else done):
        where = "" if destination is None else f"; written to {destination.path_of(number)}"
        out.note(_replaced(item, where, keep_old=keep_old))
    delivery.warn()


def _until(old: ChosenKey, *, keep_old: bool, moment: datetime) -> str:
    ends = old.listed.key.expires_at
    if not keep_old:
        return "deleted"
    return "revoked" if ends is None else short_relative(ends, moment)


def _rotated(done: Sequence[Replacement], *, keep_old: bool) -> str:
    server = done[0].old.server
    said = f"rotated {plural_keys(done)} in {server.location}"
    if not keep_old:
        return said
    old = " ".join(dashed(item.old.key_id) for item in done)
    return f"{said}; to revoke the old ones: langkeys api-key revoke {old} {server.option}"


def _replaced(item: Replacement, where: str, *, keep_old: bool) -> str:
    key, old, server = item.new.row, dashed(item.old.key_id), item.old.server
    said = f"API key {dashed(key.id)} ({key.name}) replaces {old}"
    ends = item.old.listed.key.expires_at
    if not keep_old:
        fate = "which is deleted"
        if item.old.whole is not None:
            fate += " and refused"
    else:
        until = "keeps working" if ends is None else f"works until {iso(ends)}"
        fate = f"which {until}"
        where += f"; to revoke it: langkeys api-key revoke {old} {server.option}"
    return f"{said}, {fate}, in {server.location}{where}"


def _to_rotate(
    context: typer.Context,
    refs: Sequence[str] | None,
    *,
    user: str | None,
    age: timedelta | None,
    needed: Sequence[str],
) -> list[ChosenKey]:
    if refs:
        return chosen_keys(context, refs, destroys=False, working=True, needed=needed)
    server, moment = server_of(context, writes=True), now()
    for ability in needed:
        server.require(ability)
    require_self(server, user, "api-key list --all-users")
    found = api_keys.matching_keys(
        api_keys.list_keys(server),
        moment,
        status="active",
        created_before=None if age is None else moment - age,
    )
    return chosen_from(server, found)
