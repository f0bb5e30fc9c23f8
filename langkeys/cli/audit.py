"""``langkeys audit``."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import typer

from langkeys.audit import log as trail
from langkeys.audit import reading
from langkeys.cli import prompts
from langkeys.cli.completion import complete_api_keys, complete_users
from langkeys.cli.invocation import settings_of
from langkeys.cli.options import MAX_ROWS, JsonCommand, invocation, new_app
from langkeys.cli.output import Output
from langkeys.cli.present.audit import AUDIT, Record
from langkeys.cli.present.columns import shows
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import UsageError
from langkeys.models import parsed_id
from langkeys.text import counted
from langkeys.times import now, parsed_when

app = new_app()

MAX_NAMED = 5
MIN_ID_DIGITS = 4
"""The minimum number of digits with which a REF counts as the start of an id."""

Condition = Callable[[Record], bool]


@app.command(cls=JsonCommand)
@shows(AUDIT)
def audit(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="Only entries since a time (ISO 8601) or a span ago (7d)."
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="USER",
            help="Only what this user did, by user name or id.",
            autocompletion=complete_users,
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this command: 'api-key revoke', api-key, revoke."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Only what was done to an API key, or with it: its name, its id or a prefix of"
            " that, or - to read the whole key from stdin.",
            autocompletion=complete_api_keys,
        ),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only what was refused or failed.")
    ] = False,
    all_databases: Annotated[
        bool, typer.Option("--all-databases", help="Entries of all databases and servers.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=MAX_ROWS, help="Only the last N entries."),
    ] = None,
) -> None:
    """Show the audit trail: what langkeys has changed and refused, oldest first.

    Only entries of this database are shown, unless --all-databases is given. Needs no
    authentication: anyone who can read the file can read the trail. user is the Langflow user who
    acted, system_user who that was on this machine. outcome is done, refused or failed. {columns}

    \b
    Examples:
      langkeys audit --since 7d
      langkeys audit --key ci --since 30d
      langkeys audit --failed --json | jq '.[].error'
      langkeys audit --key - < leaked.txt
    """
    out = invocation(context).output
    out.require_stdout()
    conditions = _conditions(since, user, command, key, failed=failed)
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
    records: Iterable[Record] = (
        record
        for record in reading.read(path, malformed.append)
        if all(condition(record) for condition in conditions)
    )
    elsewhere = _OtherDatabases(None if all_databases else settings)
    records = elsewhere.without(records)
    if limit is not None:
        records = deque(records, maxlen=limit)
    AUDIT.show(out, records, now())
    elsewhere.say(out)
    if malformed:
        named = ", ".join(map(str, malformed[:MAX_NAMED]))
        more = "" if len(malformed) <= MAX_NAMED else ", ..."
        out.warn(
            f"skipped {counted(len(malformed), 'line')} of {path} that langkeys did not write:"
            f" {named}{more}"
        )


class _OtherDatabases:
    """Omits and counts the entries of databases other than the one in the settings."""

    def __init__(self, settings: Settings | None) -> None:
        self._location = None
        if settings is not None:
            target = locations.database(settings).target
            self._location = target.location
            self._is_file = target.file is not None
        self._count = 0

    def without(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the entries of the database in the settings."""
        for record in records:
            if self._location is None or self._is_here(record.get("database")):
                yield record
            else:
                self._count += 1

    def _is_here(self, database: Any) -> bool:
        assert self._location is not None
        if not isinstance(database, str):
            return False
        if not self._is_file:
            from langkeys.config.server_urls import place_of

            return "://" in database and place_of(database) == place_of(self._location)
        if "://" in database:
            return False
        return os.path.realpath(database) == os.path.realpath(self._location)

    def say(self, out: Output) -> None:
        """Print how many entries were omitted."""
        if self._count:
            out.note(
                f"{counted(self._count, 'entry', plural='entries')} of other databases or servers"
                " left out; use --all-databases to see them"
            )


def _conditions(
    since: str | None, user: str | None, command: str | None, key: str | None, *, failed: bool
) -> list[Condition]:
    conditions: list[Condition] = []
    if since is not None:
        start = parsed_when(since, "--since", is_past=True)
        conditions.append(lambda record: reading.time_of(record) >= start)
    if user is not None:
        user_id = parsed_id(user)
        conditions.append(
            lambda record: (
                record.get("user") == user
                or (user_id is not None and _id(record.get("user_id")) == user_id)
            )
        )
    if command is not None:
        words = command.split()
        if not words:
            raise UsageError("--command is empty")
        conditions.append(lambda record: _is_command(str(record.get("command")).split(), words))
    if key is not None:
        conditions.append(_key_condition(key))
    if failed:
        conditions.append(lambda record: record.get("outcome") != trail.DONE)
    return conditions


def _is_command(path: list[str], words: list[str]) -> bool:
    return words in (path[: len(words)], path[-len(words) :])


def _key_condition(ref: str) -> Condition:
    """Return a condition for entries about an API key, or by a user who acted with it."""
    if ref == "-":
        from langkeys.crypto.hashes import api_key_hash

        (api_key, *more) = prompts.secret_lines("API key")
        if more:
            raise UsageError(f"stdin has {len(more) + 1} lines, but audit takes one API key")
        digest = api_key_hash(api_key)
        return lambda record: any(change.get("sha256") == digest for change in _key_changes(record))
    digits = ref.lower().replace("-", "")
    is_id = len(digits) >= MIN_ID_DIGITS and all(digit in "0123456789abcdef" for digit in digits)

    def is_meant(record: Record) -> bool:
        if any(change.get("name") == ref for change in _key_changes(record)):
            return True
        return is_id and any(row_id.startswith(digits) for row_id in _key_ids(record))

    return is_meant


def _key_changes(record: Record) -> Iterator[Record]:
    for change in record.get("changes") or ():
        if isinstance(change, dict) and change.get("kind") == "api_key":
            yield change


def _key_ids(record: Record) -> Iterator[str]:
    yield _id(record.get("api_key_id"))
    for change in _key_changes(record):
        yield from map(_id, change.get("ids") or [change.get("id")])


def _id(value: Any) -> str:
    return str(value or "").replace("-", "").lower()
