"""Set, import, delete and decrypt variables.

Servers can create several rows with the same name and user, and use the first one. langkeys writes
a new value to all of them, so that it does not matter which one is used.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from langkeys.config.settings import Settings
from langkeys.crypto.stored_values import find_stored_value
from langkeys.errors import (
    MAX_CANDIDATES,
    AmbiguousError,
    ConfigError,
    ConflictError,
    NotFoundError,
    UsageError,
)
from langkeys.models import (
    CREDENTIAL,
    FERNET_PREFIX,
    GENERIC,
    User,
    Variable,
    dashed,
    new_id,
    parsed_id,
)
from langkeys.store.generations import Generation
from langkeys.store.owners import get_owner
from langkeys.store.protocol import Store
from langkeys.store.read_back import require_stored
from langkeys.text import checked_name, listed, unshowable_in
from langkeys.times import now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

Policy = Literal["keep", "overwrite", "fail"]
"""What to do with a variable that already exists."""

Owners = Callable[[Store], list[User]]
"""Returns the users whose variables are set; called within the transaction."""


@dataclass(frozen=True)
class VariableUpdate:
    """A variable to set. None keeps the current value of a field, or the default in a new variable.

    ``plaintext`` and ``ciphertext`` are the two forms of the value. The type of the stored row
    decides which of them is written.
    """

    name: str
    plaintext: str = field(repr=False)
    ciphertext: str = field(repr=False)
    type: str | None = None
    default_fields: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of one update for one user: ``action`` is added, changed or kept.

    ``rows`` are the current rows with that name: usually one, but servers may have created more.
    """

    action: str
    owner: User
    rows: tuple[Variable, ...]

    @property
    def name(self) -> str:
        """The variable's name."""
        return self.rows[0].name


def require_in_database(settings: Settings) -> None:
    """Raise ConfigError if servers do not keep variables in the database."""
    if settings.text("LANGFLOW_VARIABLE_STORE") == "kubernetes":
        raise ConfigError(
            "LANGFLOW_VARIABLE_STORE is kubernetes: the server keeps variables in"
            " Kubernetes Secrets, not in the database",
            hint="use kubectl or the server's web page; langkeys only works on the database",
        )


def new_update(
    generation: Generation,
    cipher: Callable[[], "Cipher"],
    name: str,
    value: str,
    *,
    type_: str | None = None,
    default_fields: Sequence[str] | None = None,
) -> VariableUpdate:
    """Return an update; its value is encrypted here, before a lock is taken.

    Raises UsageError for an invalid name or value.
    """
    check_name(name)
    if not value:
        raise UsageError(f"the value of {name} is empty, which servers treat as no value")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the value of {name} is not UTF-8 text") from None
    stays_plain = type_ == GENERIC and not generation.encrypts_generic
    return VariableUpdate(
        name=name,
        plaintext=value,
        ciphertext="" if stays_plain else cipher().encrypt(value),
        type=type_,
        default_fields=None if default_fields is None else _checked_fields(default_fields),
    )


def check_name(name: str) -> None:
    """Raise UsageError for a name that cannot be displayed, or that seems to contain a value."""
    if "=" in name:
        # The message does not repeat the name, because the rest may be the value.
        raise UsageError(
            "the variable's name contains '=', as if it included the value",
            hint="give the value at the prompt, or use --value-file or --from-env",
        )
    checked_name(name)


def _checked_fields(fields: Sequence[str]) -> tuple[str, ...]:
    for text in fields:
        if not text.strip() or unshowable_in(text) is not None:
            raise UsageError(f"{text!r} is not a valid field name")
    return tuple(dict.fromkeys(fields))


def one_owner(owner: User) -> Owners:
    """Return an ``Owners`` function that returns one user, or raises NotFoundError."""

    def users(store: Store) -> list[User]:
        return [get_owner(store, owner.id, owner.username)]

    return users


def all_owners(store: Store) -> list[User]:
    """Return all users."""
    return [summary.user for summary in store.users()]


def set_all(
    store: Store,
    owners: Owners,
    updates: Sequence[VariableUpdate],
    policy: Policy = "overwrite",
) -> list[Outcome]:
    """Set variables for users, all or none, in one transaction, and check the stored rows.

    Raises ConflictError for the policy ``fail`` if a variable exists, NotFoundError if an owner
    does not exist.
    """
    with store.transaction():
        outcomes = plan_all(store, owners, updates, policy)
        written = [row for outcome in outcomes if outcome.action != "kept" for row in outcome.rows]
        added = {id(row) for o in outcomes if o.action == "added" for row in o.rows}
        store.insert_variables(row for row in written if id(row) in added)
        store.update_variables(row for row in written if id(row) not in added)
        _require_written(store, updates, written)
    if written:
        with store.reopened() as fresh:
            _require_written(fresh, updates, written, may_be_newer=True)
    return outcomes


def plan_all(
    store: Store,
    owners: Owners,
    updates: Sequence[VariableUpdate],
    policy: Policy,
) -> list[Outcome]:
    """Return what ``set_all`` would do. Writes nothing."""
    users = owners(store)
    only_id = users[0].id if len(users) == 1 else None
    found: dict[tuple[str, str], list[Variable]] = {}
    for row in store.variables_named({update.name for update in updates}, only_id):
        found.setdefault((row.user_id, row.name), []).append(row)
    moment = now()
    outcomes = []
    taken = []
    for owner in users:
        for update in updates:
            rows = found.get((owner.id, update.name), [])
            if rows and policy != "overwrite":
                taken.append(f"{update.name} ({owner.username})")
                outcomes.append(Outcome("kept", owner, tuple(rows)))
            elif rows:
                changed = (changed_row(row, update, store.generation, moment) for row in rows)
                outcomes.append(Outcome("changed", owner, tuple(changed)))
            else:
                outcomes.append(
                    Outcome("added", owner, (new_row(owner, update, store.generation, moment),))
                )
    if taken and policy == "fail":
        raise ConflictError(
            f"{listed(taken)} already in {store.location}; nothing was done",
            hint="use --policy keep to keep them, or --policy overwrite to change them",
        )
    return outcomes


def new_row(
    owner: User, update: VariableUpdate, generation: Generation, moment: datetime
) -> Variable:
    """Return the row of a user's new variable."""
    blank = Variable(
        id=new_id(),
        name=update.name,
        user_id=owner.id,
        username=owner.username,
        stored="",
        type=CREDENTIAL,
        default_fields=(),
        created_at=moment,
        updated_at=None,
    )
    return changed_row(blank, update, generation, moment)


def changed_row(
    row: Variable, update: VariableUpdate, generation: Generation, moment: datetime
) -> Variable:
    """Return an updated row in a form that servers do not overwrite from their environment.

    Raises UsageError for a value that servers refuse.
    """
    kind = update.type or row.type or CREDENTIAL
    is_encrypted = kind == CREDENTIAL or generation.encrypts_generic
    if kind == GENERIC and update.plaintext.startswith(FERNET_PREFIX):
        raise UsageError(
            f"the value of {update.name} starts with {FERNET_PREFIX}, like an encrypted"
            " value: servers refuse that for the type Generic",
            hint="set it with --type Credential",
        )
    return touched(row, generation, moment)._replace(
        stored=update.ciphertext if is_encrypted else update.plaintext,
        type=kind,
        default_fields=row.default_fields
        if update.default_fields is None
        else update.default_fields,
    )


def touched(row: Variable, generation: Generation, moment: datetime) -> Variable:
    """Return a row that servers recognize as changed by a user."""
    created_at = row.created_at or moment
    return row._replace(
        created_at=created_at,
        # This makes a server keep the value instead of one from its environment. Up to 1.12.0 that
        # needs an update time later than the creation time, whatever the clock says; later releases
        # use a flag.
        updated_at=max(moment, created_at + timedelta(microseconds=1)),
        is_environment_managed=False if generation.has_environment_managed else None,
    )


def is_touched(row: Variable) -> bool:
    """Tell whether a row has been changed since its creation."""
    return (
        row.updated_at is not None
        and row.created_at is not None
        and row.updated_at > row.created_at
    )


def _require_written(
    store: Store,
    updates: Sequence[VariableUpdate],
    written: Sequence[Variable],
    *,
    may_be_newer: bool = False,
) -> None:
    owner_ids = {row.user_id for row in written}
    only_id = owner_ids.pop() if len(owner_ids) == 1 else None
    found = store.variables_named({update.name for update in updates}, only_id)
    require_rows(written, found, store.location, may_be_newer=may_be_newer)


def require_rows(
    written: Iterable[Variable],
    found: Iterable[Variable],
    location: str,
    *,
    may_be_newer: bool = False,
) -> None:
    """Raise FailedError unless each row was found as it was written.

    ``may_be_newer``: or as another program has updated it since.
    """
    left = {row.id: row for row in written}
    for row in found:
        mine = left.get(row.id)
        if mine is not None and (row == mine or (may_be_newer and _is_newer(row, mine))):
            del left[row.id]
    for row in left.values():
        what = f"variable {row.name} ({row.username})"
        require_stored(what, location, is_stored=False)


def _is_newer(row: Variable, than: Variable) -> bool:
    return (
        row.updated_at is not None
        and than.updated_at is not None
        and row.updated_at > than.updated_at
    )


def get_variable(store: Store, owner: User, name: str) -> Variable:
    """Return a user's variable by its name, or else by its id.

    Raises NotFoundError, or AmbiguousError if servers created several variables with that name.
    """
    matches = store.variables_named([name], owner.id)
    row_id = parsed_id(name)
    if not matches and row_id is not None:
        matches = [row for row in store.variables(owner.id) if row.id == row_id]
    if not matches:
        raise NotFoundError(
            f"{owner.username} has no variable {name!r} in {store.location}",
            hint="to see names and owners: langkeys variable list --all-users; use"
            " --user for another owner",
        )
    if len(matches) > 1:
        raise AmbiguousError(
            f"{owner.username} has {len(matches)} variables {name!r} in"
            f" {store.location}, as servers can create them",
            hint="use the id of one of them",
            candidates=tuple(
                f"{dashed(row.id)}  {row.name}  {row.type}" for row in matches[:MAX_CANDIDATES]
            ),
        )
    return matches[0]


def find_value(variable: Variable, cipher: Callable[[], "Cipher"]) -> str | None:
    """Return a variable's value, or None if the secret key cannot decrypt it."""
    return find_stored_value(variable.stored, cipher)


def shown_value(variable: Variable, generation: Generation, value: str | None) -> str | None:
    """Return the value that a list may show: only a Generic variable's, in its usual form.

    From 1.8 on, an encrypted Generic value is from an older release, or was set as a Credential.
    Servers do not show it either.
    """
    if variable.type != GENERIC:
        return None
    return value if generation.encrypts_generic or not variable.is_encrypted else None


def read_by_servers(variables: Iterable[Variable]) -> Iterator[Variable]:
    """Yield the variables of one user that a server uses: for each name, the oldest one."""
    seen: set[str] = set()
    for variable in variables:
        if variable.name not in seen:
            seen.add(variable.name)
            yield variable


def values_to_import(
    values: Mapping[str, str], wanted: Sequence[str] | None, imported: Iterable[str], source: str
) -> dict[str, str]:
    """Return the names and values to import from a file.

    With ``wanted``, these are exactly the wanted names; NotFoundError if one has no value. Without
    it, these are the names in ``imported`` that have a value.
    """
    if not wanted:
        return {name: values[name] for name in imported if values.get(name)}
    missing = [name for name in dict.fromkeys(wanted) if not values.get(name)]
    if missing:
        raise NotFoundError(
            f"{source} has no value for {', '.join(missing)}; nothing was done",
            hint="names are case-sensitive, and an empty value counts as missing",
        )
    return {name: values[name] for name in wanted}
