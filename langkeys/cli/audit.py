"""``langkeys audit``."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from langkeys.audit import log as trail
from langkeys.audit import reading
from langkeys.cli import prompts
from langkeys.cli.completion import complete_api_keys, complete_users
from langkeys.cli.help.suggestions import command_paths, paths_like
from langkeys.cli.invocation import settings_of
from langkeys.cli.options import MAX_ROWS, JsonCommand, invocation, new_app
from langkeys.cli.output import Output
from langkeys.cli.present.audit import AUDIT, Record
from langkeys.cli.present.columns import shows
from langkeys.config import locations
from langkeys.config.settings import Settings
from langkeys.errors import UsageError
from langkeys.models import parsed_id
from langkeys.text import counted, joined
from langkeys.times import now, parsed_when

app = new_app()

MAX_NAMED = 5
MAX_USERS = 1000
"""How many names of users are remembered, to suggest one."""
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
        typer.Option(
            metavar="NAME", help="Only this command, such as 'api-key revoke', api-key or revoke."
        ),
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
    acted, system_user the account on this machine. outcome is done, refused or failed. {columns}

    \b
    Examples:
      langkeys audit --since 7d
      langkeys audit --key ci --since 30d
      langkeys audit --failed --json | jq '.[].error'
      langkeys audit --key - < leaked.txt
    """
    out = invocation(context).output
    out.require_stdout()
    users = None if user is None else _Users(user)
    words = None if command is None else _command_words(context, command)
    conditions = _conditions(since, users, words, key, failed=failed)
    settings = settings_of(context)
    path = trail.log_path(settings)
    if path is None:
        raise UsageError(
            f"the audit trail is turned off: {trail.SETTING} is {trail.OFF}",
            hint=f"set {trail.SETTING} to a file, or unset it to use the file in the config folder",
        )
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
    shown = _Counted(records)

    def nothing() -> str:
        if not path.exists():
            return f"{path} does not exist yet: nothing has been recorded"
        if users is not None and not users.is_found:
            return users.unknown(path)
        return "no entries"

    AUDIT.show(out, shown, now(), nothing=nothing)
    elsewhere.say(out)
    if not shown.count and limit != 0:
        _say_why_nothing(out, settings, key, elsewhere.location)
    if malformed:
        named = ", ".join(map(str, malformed[:MAX_NAMED]))
        more = "" if len(malformed) <= MAX_NAMED else ", ..."
        out.warn(
            f"skipped {counted(len(malformed), 'line')} in {path} that langkeys did not write:"
            f" {named}{more}"
        )


class _Counted:
    """Counts the entries that are shown."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self.count = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.count += 1
            yield record


def _say_why_nothing(
    out: Output, settings: Settings, key: str | None, location: str | None
) -> None:
    """Print likely reasons why no entry is shown."""
    if key is not None and key.startswith("sk-"):
        out.note(
            "the trail does not have the start of a key: use its name, its id, or --key - to read"
            " the whole key from stdin"
        )
    is_default = not locations.is_database_given(settings)
    if location is not None and settings.env_file is None and is_default:
        out.note(
            f"there is no .env in {Path.cwd()}, and no other setting names a database: only"
            f" entries for {location} are shown; use --env-file, --database or --all-databases"
        )


class _Users:
    """Selects the entries of one user, and remembers whose entries there are."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._id = parsed_id(user)
        self._names = set[str]()
        self.is_found = False

    def is_meant(self, record: Record) -> bool:
        """Tell whether this user acted."""
        name = record.get("user")
        is_meant = name == self._user or (
            self._id is not None and _id(record.get("user_id")) == self._id
        )
        self.is_found |= is_meant
        if isinstance(name, str) and len(self._names) < MAX_USERS:
            self._names.add(name)
        return is_meant

    def unknown(self, path: Path) -> str:
        """Return the note that no entry is by this user, with similar names."""
        like = get_close_matches(self._user, sorted(self._names), n=3)
        meant = f"; did you mean {joined(map(repr, like), 'or')}?" if like else ""
        return f"no entry in {path} is by user {self._user!r}{meant}"


class _OtherDatabases:
    """Omits and counts the entries of databases other than the one in the settings."""

    def __init__(self, settings: Settings | None) -> None:
        self.location: str | None = None
        if settings is not None:
            target = locations.database(settings).target
            self.location = target.location
            self._is_file = target.file is not None
        self._count = 0

    def without(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the entries of the database in the settings."""
        for record in records:
            if self.location is None or self._is_here(record.get("database")):
                yield record
            else:
                self._count += 1

    def _is_here(self, database: Any) -> bool:
        assert self.location is not None
        if not isinstance(database, str):
            return False
        if not self._is_file:
            from langkeys.config.server_urls import place_of

            return "://" in database and place_of(database) == place_of(self.location)
        if "://" in database:
            return False
        return os.path.realpath(database) == os.path.realpath(self.location)

    def say(self, out: Output) -> None:
        """Print how many entries were omitted."""
        if self._count:
            out.note(
                f"{counted(self._count, 'entry', plural='entries')} for other databases or servers"
                " left out; use --all-databases to see them"
            )


def _conditions(
    since: str | None,
    users: _Users | None,
    words: list[str] | None,
    key: str | None,
    *,
    failed: bool,
) -> list[Condition]:
    """Return the conditions of the options; that of the user first, which must see all entries."""
    conditions: list[Condition] = []
    if users is not None:
        conditions.append(users.is_meant)
    if since is not None:
        start = parsed_when(since, "--since", is_past=True)
        conditions.append(lambda record: reading.time_of(record) >= start)
    if words is not None:
        conditions.append(lambda record: _is_command(str(record.get("command")).split(), words))
    if key is not None:
        conditions.append(_key_condition(key))
    if failed:
        conditions.append(lambda record: record.get("outcome") != trail.DONE)
    return conditions


def _command_words(context: typer.Context, command: str) -> list[str]:
    """Return the words of ``--command``; raise UsageError if they name no command."""
    words = command.removeprefix("langkeys ").split()
    if not words:
        raise UsageError("--command is empty")
    # A library writes "library" before the name of the command that does the same.
    own = words[1:] if words[0] == "library" else words
    if own and not any(_is_command(path.split(), own) for path in command_paths(context)):
        shown = command if len(command) <= 40 else f"{command[:39]}…"
        like = [f"--command '{path}'" for path in paths_like(context, own)]
        raise UsageError(
            f"--command: there is no command {shown!r}",
            hint=f"did you mean {joined(like, 'or')}?" if like else "see langkeys --help",
        )
    return words


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
