"""Deliver the new keys of a rotation, and say what becomes of the old ones."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import repeat
from typing import Any

from langkeys.api_keys import rotation
from langkeys.api_keys.lifecycle import NewApiKey
from langkeys.api_keys.rotation import Replacement
from langkeys.cli.delivery import store_and_deliver
from langkeys.cli.key_files import Destination, Form
from langkeys.cli.messages import plural_keys, say_other_rows, warn_of_unreadable
from langkeys.cli.output import Output
from langkeys.cli.present.api_keys import rotation_heads
from langkeys.models import ApiKey, dashed
from langkeys.sessions.session import Session
from langkeys.times import ago, iso_or_none, now, person_iso, short_relative


def warn_of_leftovers(session: Session, keys: Sequence[ApiKey]) -> None:
    """Warn of unused keys that an interrupted rotation of these keys may have left."""
    chosen = {key.id for key in keys}
    oldest: dict[tuple[str, str | None], ApiKey] = {}
    for key in keys:
        first = oldest.setdefault((key.user_id, key.name), key)
        if key.created_at < first.created_at:
            oldest[key.user_id, key.name] = key
    # Thousands of keys may have the same name and owner: report only once for all of them.
    for key in oldest.values():
        for other in rotation.leftovers(session.store, key):
            if other.id not in chosen:
                session.warn(
                    f"API key {dashed(other.id)} ({other.name}), newer than {dashed(key.id)}, was"
                    f" created {ago(other.created_at)} and never used. It may be left over from an"
                    " interrupted rotation. Revoke it only if nobody uses it"
                )


_SAME_END = timedelta(minutes=1)
"""The ends of grace periods that begin within this time are shown as one: the first of them."""


def _grace_ends(replacements: Sequence[Replacement]) -> list[datetime]:
    return sorted(item.old_expires_at for item in replacements if item.old_expires_at is not None)


def _have_one_end(replacements: Sequence[Replacement]) -> bool:
    ends = _grace_ends(replacements)
    return not ends or ends[-1] - ends[0] < _SAME_END


def deliver_replacements(
    session: Session,
    out: Output,
    replacements: Sequence[Replacement],
    destination: Destination | None,
    form: Form,
    *,
    as_array: bool,
) -> None:
    """Store and deliver the new keys; revoke them if that fails."""
    by_new = {item.new.row.id: item for item in replacements}

    def additions(key: NewApiKey) -> dict[str, Any]:
        item = by_new[key.row.id]
        return {
            "replaces": dashed(item.old.id),
            "replaces_expires_at": iso_or_none(item.old_expires_at),
        }

    def table(keys: Iterable[NewApiKey]) -> Iterator[str]:
        moment = now() if _have_one_end(replacements) else None
        yield from out.table_lines(
            rotation_heads(),
            (_person_row(by_new[key.row.id], key.plaintext, moment) for key in keys),
        )

    store_and_deliver(
        session,
        out,
        [item.new for item in replacements],
        as_array=as_array,
        destination=destination,
        form=form,
        additions=additions,
        table=table,
    )


def _person_row(item: Replacement, delivered: str, moment: datetime | None) -> list[str]:
    """Return a row for a terminal; without ``moment``, the end of the old key is a whole time."""
    ends = item.old_expires_at
    if ends is None:
        until = "deleted"
    else:
        until = person_iso(ends) if moment is None else short_relative(ends, moment)
    return [
        item.old.name or "",
        item.old.username or "",
        delivered,
        item.old.id[:8],
        until,
    ]


def say_rotated(
    session: Session,
    out: Output,
    replacements: Sequence[Replacement],
    destination: Destination | None,
) -> None:
    """Say which keys were replaced, where the new ones are, and how long the old ones work."""
    location = session.store.location
    has_table = len(replacements) > 1 and out.is_sentences
    if has_table and destination is not None and not out.quiet:
        paths = map(destination.shown_path_of, range(len(replacements)))
        moment = now() if _have_one_end(replacements) else None
        rows = map(_person_row, replacements, paths, repeat(moment))
        out.table(rotation_heads("FILE"), rows)
    for number, item in enumerate(() if has_table else replacements):
        ends = item.old_expires_at
        old = "is deleted" if ends is None else f"works until {person_iso(ends)}"
        where = "" if destination is None else f"; written to {destination.path_of(number)}"
        session.note(
            f"API key {dashed(item.new.row.id)} ({item.old.name}) of {item.old.username} replaces"
            f" {dashed(item.old.id)}, which {old}, in {location}{where}"
        )
    if len(replacements) > 1:
        session.note(f"rotated {plural_keys(replacements)} in {location}")
    if has_table and (ends_at := _grace_ends(replacements)):
        first = person_iso(ends_at[0])
        session.note(
            f"the old keys work until {first}"
            if _have_one_end(replacements)
            else f"the first of the old keys works until {first}, the last until"
            f" {person_iso(ends_at[-1])}"
        )
    keys = [item.key for item in replacements if item.key is not None]
    is_deleted = replacements[0].old_expires_at is None
    say_other_rows(session, keys, "ended", deleted=is_deleted)
    warn_of_unreadable(session)
