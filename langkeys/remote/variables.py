"""Send, list and delete the acting user's variables over REST, one by one.

A server never returns the value of a Credential, so only name, type and fields can be checked, and
an old value cannot be restored. So a command may set only some of several variables, but it can
safely be repeated.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from langkeys.errors import (
    AmbiguousError,
    ConflictError,
    FailedError,
    LangkeysError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from langkeys.models import CREDENTIAL, FERNET_PREFIX, GENERIC, Variable, dashed, parsed_id
from langkeys.remote.client import Answer, LostAnswerError, RejectedError, UnreachableError
from langkeys.remote.fields import (
    StrangeFieldError,
    find_text_in,
    id_in,
    strange_field,
    text_in,
)
from langkeys.remote.polling import poll
from langkeys.remote.records import ServerChange
from langkeys.remote.server import RecordedChange, Server
from langkeys.text import counted, listed, unshowable_in

PATH = "/api/v1/variables/"

SLOW = 30.0
"""The time limit for a write: from 1.8 on, a server first tests a key for a model provider."""

_ATTEMPTS = 3
_EXISTS = "already exists"

Policy = Literal["keep", "overwrite", "fail"]
"""What to do with variables that already exist."""


@dataclass(frozen=True)
class VariableUpdate:
    """A variable to set. None keeps a field's current value, or the default in a new variable."""

    name: str
    value: str = field(repr=False)
    type: str | None = None
    default_fields: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """The result for one variable: ``action`` is added, changed or kept."""

    name: str
    action: str
    rows: tuple[Variable, ...] = ()


def list_variables(server: Server) -> list[tuple[Variable, str | None]]:
    """Return the acting user's variables in the server's order, with the values that it shows."""
    client, acting = server.client, server.acting
    answer = client.require_done(client.ask("GET", PATH))
    found = []
    try:
        if not isinstance(answer.document, list):
            raise StrangeFieldError("it is not a list")
        for item in answer.document:
            kind = find_text_in(item, "type")
            fields = item.get("default_fields")
            if not isinstance(fields, list | None):
                raise StrangeFieldError("default_fields is not a list")
            # Never show a Credential's value, even if a server returns it.
            value = find_text_in(item, "value") if kind == GENERIC else None
            row = Variable(
                id=id_in(item, "id"),
                name=text_in(item, "name"),
                user_id=acting.id,
                stored="",
                type=kind,
                default_fields=None if fields is None else tuple(map(str, fields)),
                created_at=None,
                updated_at=None,
                username=acting.username,
            )
            found.append((row, value))
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None
    return found


def set_variable(server: Server, wanted: VariableUpdate) -> Outcome:
    """Create or update a variable, and check the fields that the server shows.

    If servers have created several variables with the same name, all of them are updated. Raises
    UsageError for an invalid value before any request.
    """
    _check(server, wanted)
    server.client.hide(wanted.value)
    rows = _named(server, wanted.name)
    if wanted.type is not None and any(row.type != wanted.type for row in rows):
        server.version.require("variable set --type", is_new=False)
    try:
        if rows:
            action = "changed"
            for row in rows:
                _update(server, row, wanted)
        else:
            action = _create(server, wanted)
    except LostAnswerError as error:
        raise FailedError(
            f"{error.message}; {wanted.name} may have been set anyway",
            hint="run the command again: that is safe",
        ) from None
    return Outcome(wanted.name, action, _check_stored(server, wanted))


def _check(server: Server, wanted: VariableUpdate) -> None:
    if not wanted.value:
        raise UsageError(f"the value of {wanted.name} is empty, which servers treat as no value")
    try:
        wanted.value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the value of {wanted.name} is not UTF-8 text") from None
    for text in wanted.default_fields or ():
        if not text.strip() or unshowable_in(text) is not None:
            raise UsageError(f"{text!r} is not a valid field name")
    if (server.version.major, server.version.minor) < (1, 8):
        return
    if wanted.name.startswith("__") and wanted.name.endswith("__"):
        raise UnsupportedError(
            f"Langflow {server.version.text} reserves names like {wanted.name}: it"
            " would neither list the variable nor allow changes to it",
            hint="choose another name",
        )
    if wanted.type == GENERIC and wanted.value.startswith(FERNET_PREFIX):
        raise UsageError(
            f"the value of {wanted.name} starts with {FERNET_PREFIX}, like an"
            " encrypted value: servers refuse that for the type Generic",
            hint="set it with --type Credential",
        )


def _named(server: Server, name: str) -> list[Variable]:
    return [row for row, _ in list_variables(server) if row.name == name]


def _create(server: Server, wanted: VariableUpdate) -> str:
    client = server.client
    body = {
        "name": wanted.name,
        "value": wanted.value,
        "type": wanted.type or CREDENTIAL,
        "default_fields": list(wanted.default_fields or ()),
    }
    try:
        with server.changing(
            _change(server, "insert", None, wanted, str(body["type"]))
        ) as recorded:
            answer = recorded.ask("POST", PATH, body, timeout=max(client.timeout, SLOW))
            if answer.status == 400 and _EXISTS in str(answer.detail):
                raise _ThereAlreadyError(f"{wanted.name} already exists in {server.location}")
            recorded.complete(_require_id(client.require_done(answer)))
    except _ThereAlreadyError as error:  # another process has just created it
        rows = _named(server, wanted.name)
        if not rows:
            raise ConflictError(
                f"{error.message}, but {server.acting.username} cannot see it"
            ) from None
        for row in rows:
            _update(server, row, wanted)
        return "changed"
    return "added"


def _require_id(answer: Answer, row_id: str | None = None) -> str:
    """Return the id of the variable in an answer; LostAnswerError if it is missing or wrong."""
    try:
        found = id_in(answer.document, "id")
        if row_id not in (None, found):
            raise StrangeFieldError("the id differs")
    except StrangeFieldError as error:
        raise strange_field(answer, error) from None
    return found


class _ThereAlreadyError(ConflictError):
    """A variable with that name has been created since the list was read."""


def _change(
    server: Server, action: str, row_id: str | None, wanted: VariableUpdate, type_: str | None
) -> ServerChange:
    details = {"username": server.acting.username, "type": type_}
    return ServerChange(action, "variable", row_id, wanted.name, server.acting.id, details)


def _update(server: Server, row: Variable, wanted: VariableUpdate) -> None:
    # Always send the value: up to 1.7, a change without a value empties the variable.
    client = server.client
    fields = row.default_fields if wanted.default_fields is None else wanted.default_fields
    body = {
        "id": dashed(row.id),
        "name": wanted.name,
        "value": wanted.value,
        "type": wanted.type or row.type or CREDENTIAL,
        "default_fields": list(fields or ()),
    }
    timeout = max(client.timeout, SLOW)
    with server.changing(_change(server, "update", row.id, wanted, str(body["type"]))) as recorded:
        answer = client.require_done(
            recorded.ask("PATCH", f"{PATH}{dashed(row.id)}", body, timeout=timeout)
        )
        _require_id(answer, row.id)


def _check_stored(server: Server, wanted: VariableUpdate) -> tuple[Variable, ...]:
    def look() -> list[tuple[Variable, str | None]]:
        return [(row, value) for row, value in list_variables(server) if row.name == wanted.name]

    found = poll(look, lambda seen: _wrong(wanted, seen) is None)
    wrong = _wrong(wanted, found)
    if wrong is not None:
        raise FailedError(
            f"{wanted.name} was sent to {server.location}, but {wrong}",
            hint="run the command again; another user may have changed it at the same time",
        )
    return tuple(row for row, _ in found)


def _wrong(wanted: VariableUpdate, found: Sequence[tuple[Variable, str | None]]) -> str | None:
    if not found:
        return "is not in the list afterwards"
    for row, value in found:
        if wanted.type is not None and row.type != wanted.type:
            return f"is still of type {row.type}"
        if wanted.default_fields is not None and row.default_fields != wanted.default_fields:
            return "has different default fields"
        if row.type == GENERIC and value is not None and value != wanted.value:
            return "has a different value"
    return None


def import_variables(
    server: Server,
    wanted: Sequence[VariableUpdate],
    policy: Policy,
    *,
    dry_run: bool = False,
    done: Callable[[int], None] = lambda _: None,
) -> list[Outcome]:
    """Set variables one by one. ``policy`` keeps existing ones, or makes the whole import fail.

    If the server rejects a variable, the others are still set. At the end, FailedError says how
    many were set and which failed. Any other failure stops the import.
    """
    for update in wanted:
        _check(server, update)
    present = {row.name for row, _ in list_variables(server)}
    taken = [update.name for update in wanted if update.name in present]
    if taken and policy == "fail":
        raise ConflictError(
            f"{listed(taken)} already in {server.location}; nothing was done",
            hint="use --policy keep to keep them, or --policy overwrite to change them",
        )
    outcomes: list[Outcome] = []
    rejected: list[tuple[str, LangkeysError]] = []
    to_set = [u for u in wanted if policy == "overwrite" or u.name not in present]
    for number, update in enumerate(wanted, 1):
        if update not in to_set:
            outcomes.append(Outcome(update.name, "kept"))
        elif dry_run:
            action = "changed" if update.name in present else "added"
            outcomes.append(Outcome(update.name, action))
        else:
            try:
                outcomes.append(set_variable(server, update))
            except RejectedError as error:
                rejected.append((update.name, error))
            except LangkeysError as error:
                rejected.append((update.name, error))
                break
            except (KeyboardInterrupt, SystemExit):
                _say_interrupted(server, outcomes, to_set, update.name)
                raise
        done(number)
    if rejected:
        count = sum(outcome.action != "kept" for outcome in outcomes)
        raise _partly(count, len(to_set), "set", rejected)
    return outcomes


def _say_interrupted(
    server: Server, outcomes: Sequence[Outcome], to_set: Sequence[VariableUpdate], name: str
) -> None:
    count = sum(outcome.action != "kept" for outcome in outcomes)
    server.warn(
        f"{count} of {counted(len(to_set), 'variable')} set; {name} may be. It is safe to run the"
        " command again"
    )


def _partly(
    count: int, total: int, what: str, failed: Sequence[tuple[str, LangkeysError]]
) -> LangkeysError:
    names = ", ".join(name for name, _ in failed)
    first = failed[-1][1]
    message = f"{count} of {total} {what}, {names} failed: {first.message}"
    if first.exit_code == 4:
        first.args = (message,)
        first.message = message
        return first
    return FailedError(message, hint="run the command again: that is safe")


def get_variable(
    server: Server, present: Iterable[tuple[Variable, str | None]], name: str
) -> tuple[Variable, str | None]:
    """Return the one variable with this name, or else with this id."""
    present = list(present)
    matches = [pair for pair in present if pair[0].name == name]
    row_id = parsed_id(name)
    if not matches and row_id is not None:
        matches = [pair for pair in present if pair[0].id == row_id]
    if not matches:
        raise NotFoundError(
            f"{server.acting.username} has no variable {name!r} in {server.location}",
            hint=f"to see names: langkeys variable list {server.option}",
        )
    if len(matches) > 1:
        raise AmbiguousError(
            f"{server.acting.username} has {len(matches)} variables {name!r} in {server.location}",
            hint="use the id of one of them",
            candidates=tuple(
                f"{dashed(row.id)}  {row.name}  {row.type}" for row, _ in matches[:10]
            ),
        )
    return matches[0]


def delete_variables(server: Server, rows: Sequence[Variable]) -> None:
    """Delete variables one by one; FailedError says how many were deleted, and which failed."""
    for number, row in enumerate(rows):
        try:
            _delete(server, row)
        except LangkeysError as error:
            raise _partly(number, len(rows), "deleted", [(row.name, error)]) from None
        except (KeyboardInterrupt, SystemExit):
            server.warn(f"{number} of {counted(len(rows), 'variable')} deleted; {row.name} may be")
            raise
    ids = {row.id for row in rows}

    def left() -> list[str]:
        return [row.name for row, _ in list_variables(server) if row.id in ids]

    for name in poll(left, lambda found: not found):
        raise FailedError(f"variable {name} is still listed by {server.location}")


def _delete(server: Server, row: Variable) -> None:
    details = {"username": server.acting.username, "type": row.type}
    change = ServerChange("delete", "variable", row.id, row.name, server.acting.id, details)
    with server.changing(change) as recorded:
        _delete_by(server, recorded, row)


def _delete_by(server: Server, recorded: RecordedChange, row: Variable) -> None:
    client = server.client
    error: LangkeysError = FailedError("")
    for _ in range(_ATTEMPTS):
        try:
            answer = recorded.ask("DELETE", f"{PATH}{dashed(row.id)}")
        except (LostAnswerError, UnreachableError) as lost:
            error = lost
            continue
        if answer.is_done or answer.status == 404:
            return
        error = client.failure(answer)
        if not isinstance(error, LostAnswerError):
            raise error
        # Up to 1.9, servers answer 500 for a missing variable, so check the list.
        if row.id not in {found.id for found, _ in list_variables(server)}:
            return
    raise error
