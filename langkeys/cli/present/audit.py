"""Show entries of the audit trail as rows and JSON, and describe their changes in words."""

from typing import Any

from langkeys.audit.reading import time_of
from langkeys.cli.output import Head
from langkeys.cli.present.columns import NOTHING, Column, Kind, Listing

Record = dict[str, Any]

MAX_LISTED = 20
"""The maximum number of changes of an entry that are described; the others are only counted."""

_VERBS = {"insert": "created", "update": "changed", "delete": "deleted", "settle": "completed"}
_NOUNS = {"api_key": "key", "secret_key": "secret key"}


def _text(name: str) -> Any:
    return lambda record: None if record.get(name) is None else str(record[name])


def _changes(record: Record) -> list[Record]:
    changes = record.get("changes")
    return [change for change in changes or () if isinstance(change, dict)]


def plain_changes(record: Record) -> str:
    """Describe the changes for a pipe: ``delete api_key 3f2a... (ci)``, joined by semicolons."""
    return _joined(record, _plain_change)


def _plain_change(change: Record) -> str:
    ids = change.get("ids") or [change.get("id")]
    words = (change.get("action"), change.get("kind"), ids[0])
    named = f" ({change['name']})" if change.get("name") else ""
    more = f" and {len(ids) - 1} more of that name" if len(ids) > 1 else ""
    return " ".join(str(word) for word in words if word) + named + more


def _person_changes(record: Record) -> str:
    return _joined(record, _person_change) or NOTHING


def _person_change(change: Record) -> str:
    """Describe a change for a person: ``deleted key ci (3f2a9c41)``."""
    action, kind = str(change.get("action")), str(change.get("kind"))
    words = [_VERBS.get(action, action), _NOUNS.get(kind, kind)]
    ids = change.get("ids") or [change.get("id")]
    if change.get("name"):
        words.append(str(change["name"]))
    if ids[0]:
        words.append(f"({str(ids[0])[:8]}{f' and {len(ids) - 1} more' if len(ids) > 1 else ''})")
    return " ".join(words)


def _joined(record: Record, said: Any) -> str:
    changes = _changes(record)
    words = [said(change) for change in changes[:MAX_LISTED]]
    if len(changes) > MAX_LISTED:
        words.append(f"and {len(changes) - MAX_LISTED} more")
    return "; ".join(words)


AUDIT: Listing[Record] = Listing(
    Column("id", _text("id"), "The entry's id; a long entry has several lines with one id"),
    Column(
        "time",
        time_of,
        "When it happened",
        kind=Kind.TIME,
        piped=1,
        head=Head("WHEN", is_kept=True),
    ),
    Column(
        "outcome",
        _text("outcome"),
        "`done`, `refused` (nothing was written) or `failed` (the write failed)",
        piped=2,
        head=Head("OUTCOME"),
    ),
    Column("command", _text("command"), "The command", piped=3, head=Head("COMMAND", least=12)),
    Column(
        "user",
        _text("user"),
        "The acting user's name; empty if nobody was authenticated",
        piped=4,
        head=Head("USER", least=8, rank=2),
    ),
    Column("user_id", _text("user_id"), "The acting user's id", kind=Kind.ID),
    Column(
        "authenticated_by", _text("authenticated_by"), "How the user was authenticated", piped=5
    ),
    Column("api_key_id", _text("api_key_id"), "The API key that the user acted with, if any"),
    Column(
        "system_user",
        _text("system_user"),
        "The user of the machine, and the user who called sudo, if any",
        piped=6,
        head=Head("BY", least=6, rank=3),
    ),
    Column("pid", lambda record: record.get("pid"), "The process", kind=Kind.NUMBER),
    Column("database", _text("database"), "The database, or the server over REST"),
    Column(
        "reason",
        _text("reason"),
        "The text of `--reason`",
        piped=8,
        head=Head("REASON", least=16, rank=4),
    ),
    Column(
        "changes",
        lambda record: record.get("changes"),
        "The changes: action, kind, id and name of each",
        piped=9,
        head=Head("CHANGES", least=16, is_kept=True),
        plain=plain_changes,
        person=_person_changes,
    ),
    Column(
        "error",
        _text("error"),
        "The code of the error, if it was refused or failed",
        piped=7,
        head=Head("ERROR", least=9, rank=1),
    ),
    Column("of", _text("of"), "The id of the entry whose write failed"),
    Column(
        "part", lambda record: record.get("part"), "The number of an entry's second or later line"
    ),
    nothing="no entries",
    document=lambda record: record,
)
