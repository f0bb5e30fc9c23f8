"""What can be done with variables: set, import, delete and open them.

A server makes several rows of one name and user itself and reads the one created first; what is
set here is written to all of them, so that it does not matter which is read.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from langkeys.config.settings import Settings
from langkeys.errors import (
    MOST_CANDIDATES,
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
from langkeys.store.read_back import require_deleted, require_stored
from langkeys.text import checked_name, counted, unshowable_in
from langkeys.times import now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

Policy = Literal["keep", "overwrite", "fail"]
"""What becomes of a variable that is there already."""

Owners = Callable[[Store], list[User]]
"""Whose variables are meant; called within the transaction, for the users who are there then."""


@dataclass(frozen=True)
class Wish:
    """A variable as it shall be; what is None stays as it is, or is a new one's default.

    ``plaintext`` and ``ciphertext`` are the value in the two forms that it may be stored in: which
    of them it will be depends on the type of the row that is found.
    """

    name: str
    plaintext: str = field(repr=False)
    ciphertext: str = field(repr=False)
    type: str | None = None
    default_fields: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one wish for one user: ``action`` is added, changed or kept.

    ``rows`` are the rows of that name as they are now: one, or several where a server made them.
    """

    action: str
    owner: User
    rows: tuple[Variable, ...]

    @property
    def name(self) -> str:
        """The variable's name."""
        return self.rows[0].name


def require_in_database(settings: Settings) -> None:
    """Raise ConfigError where the server keeps variables elsewhere than in the database."""
    if settings.text("LANGFLOW_VARIABLE_STORE") == "kubernetes":
        raise ConfigError(
            "LANGFLOW_VARIABLE_STORE is kubernetes: the server keeps variables in"
            " Kubernetes Secrets, not in the database",
            hint="use kubectl or the server's web page; langkeys only works on the database",
        )


def wished(
    generation: Generation,
    cipher: Callable[[], "Cipher"],
    name: str,
    value: str,
    *,
    type_: str | None = None,
    default_fields: Sequence[str] | None = None,
) -> Wish:
    """Prepare a variable to be set, encrypted before any lock is taken.

    Raises UsageError for a name or value that is refused.
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
    return Wish(
        name=name,
        plaintext=value,
        ciphertext="" if stays_plain else cipher().encrypt(value),
        type=type_,
        default_fields=None if default_fields is None else _checked_fields(default_fields),
    )


def check_name(name: str) -> None:
    """Raise UsageError for a name that no list could show, or that holds a value, too."""
    if "=" in name:
        # Without repeating it: what follows may be the value.
        raise UsageError(
            "the variable's name has a =, as if it included the value",
            hint="give the value at the prompt, or use --value-file or --from-env",
        )
    checked_name(name)


def _checked_fields(fields: Sequence[str]) -> tuple[str, ...]:
    for text in fields:
        if not text.strip() or unshowable_in(text) is not None:
            raise UsageError(f"{text!r} is not a valid field name")
    return tuple(dict.fromkeys(fields))


def only(owner: User) -> Owners:
    """Name one user; raise NotFoundError where they are gone by the time of the transaction."""

    def users(store: Store) -> list[User]:
        return [get_owner(store, owner.id, owner.username)]

    return users


def everybody(store: Store) -> list[User]:
    """Name all users."""
    return [summary.user for summary in store.users()]


def set_all(
    store: Store,
    owners: Owners,
    wishes: Sequence[Wish],
    policy: Policy = "overwrite",
) -> list[Outcome]:
    """Set variables for users, all or none, in one transaction, and read them back.

    Raises ConflictError for the policy ``fail`` where one exists already, NotFoundError where an
    owner is gone.
    """
    with store.transaction():
        outcomes = planned(store, owners, wishes, policy)
        written = [row for outcome in outcomes if outcome.action != "kept" for row in outcome.rows]
        added = {id(row) for o in outcomes if o.action == "added" for row in o.rows}
        store.insert_variables(row for row in written if id(row) in added)
        store.update_variables(row for row in written if id(row) not in added)
    _read_back(store, wishes, written)
    return outcomes


def planned(
    store: Store,
    owners: Owners,
    wishes: Sequence[Wish],
    policy: Policy,
) -> list[Outcome]:
    """Return what ``set_all`` would do; writes nothing."""
    users = owners(store)
    only_id = users[0].id if len(users) == 1 else None
    found: dict[tuple[str, str], list[Variable]] = {}
    for row in store.variables_named({wish.name for wish in wishes}, only_id):
        found.setdefault((row.user_id, row.name), []).append(row)
    moment = now()
    outcomes = []
    taken = []
    for owner in users:
        for wish in wishes:
            rows = found.get((owner.id, wish.name), [])
            if rows and policy != "overwrite":
                taken.append(f"{wish.name} ({owner.username})")
                outcomes.append(Outcome("kept", owner, tuple(rows)))
            elif rows:
                changed = (changed_row(row, wish, store.generation, moment) for row in rows)
                outcomes.append(Outcome("changed", owner, tuple(changed)))
            else:
                outcomes.append(
                    Outcome("added", owner, (new_row(owner, wish, store.generation, moment),))
                )
    if taken and policy == "fail":
        more = f" and {len(taken) - MOST_CANDIDATES} more" if len(taken) > MOST_CANDIDATES else ""
        raise ConflictError(
            f"{', '.join(taken[:MOST_CANDIDATES])}{more} already in {store.location};"
            " nothing was done",
            hint="use --policy keep to keep them, or --policy overwrite to change them",
        )
    return outcomes


def new_row(owner: User, wish: Wish, generation: Generation, moment: datetime) -> Variable:
    """Return the row of a user's new variable."""
    blank = Variable(
        id=new_id(),
        name=wish.name,
        user_id=owner.id,
        username=owner.username,
        stored="",
        type=CREDENTIAL,
        default_fields=(),
        created_at=moment,
        updated_at=None,
    )
    return changed_row(blank, wish, generation, moment)


def changed_row(row: Variable, wish: Wish, generation: Generation, moment: datetime) -> Variable:
    """Return a row as it is with a wish, so that servers keep it over their environment.

    Raises UsageError for a value that servers refuse.
    """
    kind = wish.type or row.type or CREDENTIAL
    is_encrypted = kind == CREDENTIAL or generation.encrypts_generic
    if kind == GENERIC and wish.plaintext.startswith(FERNET_PREFIX):
        raise UsageError(
            f"the value of {wish.name} starts with {FERNET_PREFIX}, like an encrypted"
            " value: servers refuse that for the type Generic",
            hint="set it with --type Credential",
        )
    return touched(row, generation, moment)._replace(
        stored=wish.ciphertext if is_encrypted else wish.plaintext,
        type=kind,
        default_fields=row.default_fields if wish.default_fields is None else wish.default_fields,
    )


def touched(row: Variable, generation: Generation, moment: datetime) -> Variable:
    """Return a row that servers take for one that a person has changed."""
    created_at = row.created_at or moment
    return row._replace(
        created_at=created_at,
        # What keeps a value that a person has set from the environment's: up to 1.12.0 that it has
        # changed since it was created, whatever the clock says; later that it is marked so.
        updated_at=max(moment, created_at + timedelta(microseconds=1)),
        is_environment_managed=False if generation.has_environment_managed else None,
    )


def is_touched(row: Variable) -> bool:
    """Tell whether a row has been changed since it was created."""
    return (
        row.updated_at is not None
        and row.created_at is not None
        and row.updated_at > row.created_at
    )


def _read_back(store: Store, wishes: Sequence[Wish], written: Sequence[Variable]) -> None:
    if not written:
        return
    owner_ids = {row.user_id for row in written}
    only_id = owner_ids.pop() if len(owner_ids) == 1 else None
    with store.reopened() as fresh:
        found = {row.id: row for row in fresh.variables_named({w.name for w in wishes}, only_id)}
    for row in written:
        require_stored(
            f"variable {row.name} ({row.username})",
            store.location,
            is_stored=found.get(row.id) == row,
        )


def resolved(store: Store, owner: User, name: str) -> Variable:
    """Return a user's variable by its name, or else by its id.

    Raises NotFoundError, or AmbiguousError where a server made several of that name.
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
                f"{dashed(row.id)}  {row.name}  {row.type}" for row in matches[:MOST_CANDIDATES]
            ),
        )
    return matches[0]


def delete(store: Store, variables: Sequence[Variable]) -> None:
    """Delete variables, all or none, and look for them through a fresh connection."""
    with store.transaction():
        deleted = store.delete_variables([row.id for row in variables])
        if deleted != len(variables):
            raise NotFoundError(
                f"{len(variables) - deleted} of {counted(len(variables), 'variable', 'have')}"
                f" just been deleted from {store.location} by another process; nothing"
                " was done",
                hint="run the command again",
            )
    with store.reopened() as fresh:
        gone = {row.id for row in variables}
        for row in fresh.variables_named({row.name for row in variables}):
            require_deleted(f"variable {row.name}", store.location, is_deleted=row.id not in gone)


def find_value(variable: Variable, cipher: Callable[[], "Cipher"]) -> str | None:
    """Return a variable's value, or None where the secret key does not open it."""
    if not variable.is_encrypted:
        return variable.stored
    return cipher().find_plaintext(variable.stored)


def shown_value(variable: Variable, generation: Generation, value: str | None) -> str | None:
    """Return the value as a list may show it: a Generic one's, if at rest as servers have them.

    From 1.8 on an encrypted Generic value is a Credential that somebody has relabelled, or left
    from before: servers do not show it either.
    """
    if variable.type != GENERIC:
        return None
    return value if generation.encrypts_generic or not variable.is_encrypted else None


def read_by_servers(variables: Iterable[Variable]) -> Iterator[Variable]:
    """Yield the variables of one user that a server reads: of each name the one created first."""
    seen: set[str] = set()
    for variable in variables:
        if variable.name not in seen:
            seen.add(variable.name)
            yield variable


def chosen(
    values: Mapping[str, str], wanted: Sequence[str] | None, imported: Iterable[str], source: str
) -> dict[str, str]:
    """Return what of a file's names and values is to be imported.

    ``wanted`` names them, each of which must be there with a value; else they are those of
    ``imported`` that are there. Raises NotFoundError.
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
