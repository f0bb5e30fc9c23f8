"""``langkeys audit``."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from langkeys.audit import log as trail
from langkeys.audit import reading
from langkeys.cli.invocation import settings_of
from langkeys.cli.options import JsonCommand, invocation, new_app
from langkeys.errors import UsageError
from langkeys.times import now, parsed_span, parsed_when, relative

app = new_app()

MAX_NAMED = 5


@app.command(cls=JsonCommand)
def audit(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="Only entries since a time (ISO 8601) or a span ago (7d)."
        ),
    ] = None,
) -> None:
    """Show the audit trail: what langkeys has changed and refused, oldest first.

    Needs no authentication: anyone who can read the file can read the trail. Piped columns: time,
    outcome (done, refused, failed), command, user, authenticated_by, system_user, error, reason,
    changes.

    \b
    Examples:
      langkeys audit --since 7d
      langkeys audit --json | jq '.[] | select(.outcome == "refused")'
    """
    out = invocation(context).output
    out.require_stdout()
    start = None if since is None else _start(since)
    settings = settings_of(context)
    path = trail.log_path(settings)
    if path is None:
        raise UsageError(
            f"the audit trail is turned off: {trail.SETTING} is {trail.OFF}",
            hint=f"set {trail.SETTING} to a file, or unset it to use the file in the config folder",
        )
    if not path.exists():
        out.note(f"{path} does not exist yet: nothing has been recorded")
    malformed: list[int] = []

    def records() -> Iterator[dict[str, Any]]:
        for record in reading.read(path, malformed.append):
            if start is None or reading.time_of(record) >= start:
                yield record

    if out.as_json:
        out.array(records())
    elif out.is_terminal:
        out.table(("WHEN", "OUTCOME", "COMMAND", "USER", "CHANGE"), map(_person_row, records()))
    else:
        out.rows(map(_piped_row, records()))
    if malformed:
        named = ", ".join(map(str, malformed[:MAX_NAMED]))
        more = "" if len(malformed) <= MAX_NAMED else ", ..."
        out.warn(
            f"skipped {len(malformed)} lines of {path} that langkeys did not write: {named}{more}"
        )


def _start(since: str) -> datetime:
    # Here a span means "so long ago", not "from now on".
    if since.strip()[-1:].isalpha() and since.strip()[:-1].isdigit():
        return now() - parsed_span(since, "--since")
    return parsed_when(since, "--since")


def _person_row(record: dict[str, Any]) -> list[str]:
    how = record.get("authenticated_by")
    outcome = str(record.get("outcome"))
    return [
        relative(reading.time_of(record), now()),
        f"{outcome} ({record['error']})" if record.get("error") else outcome,
        str(record.get("command")),
        f"{record.get('user') or '-'}{f', by {how}' if how else ''}",
        _changes(record) + (f" [{record['reason']}]" if record.get("reason") else ""),
    ]


def _piped_row(record: dict[str, Any]) -> tuple[object, ...]:
    fields = ("outcome", "command", "user", "authenticated_by", "system_user", "error", "reason")
    return (record["time"], *(record.get(name) for name in fields), _changes(record))


def _changes(record: dict[str, Any]) -> str:
    """Return what was changed: ``delete api_key 3f2a... (ci)``, joined by semicolons."""
    changes = record.get("changes") or []
    said = [_change(change) for change in changes[:20] if isinstance(change, dict)]
    if len(changes) > len(said):
        said.append(f"and {len(changes) - len(said)} more")
    return "; ".join(said)


def _change(change: dict[str, Any]) -> str:
    ids = change.get("ids") or [change.get("id")]
    words = (change.get("action"), change.get("kind"), ids[0])
    named = f" ({change['name']})" if change.get("name") else ""
    more = f" and {len(ids) - 1} more of that name" if len(ids) > 1 else ""
    return " ".join(str(word) for word in words if word) + named + more
