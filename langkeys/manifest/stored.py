"""Load the stored state of the entries that a manifest declares, and nothing else."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from langkeys.manifest.declared import DeclaredUser, Manifest
from langkeys.models import ApiKey, User, Variable
from langkeys.store.protocol import KeyFilter, Store

FEW_USERS = 8
"""Up to this many users are looked up one by one; for more, each table is scanned once."""


@dataclass
class Stored:
    """Users by name, API keys by owner, and variables by owner and name."""

    users: dict[str, User] = field(default_factory=dict)
    alike: dict[str, list[str]] = field(default_factory=dict)
    """For each declared name in lower case, the stored user names that equal it in lower case."""
    api_keys: dict[str, list[ApiKey]] = field(default_factory=dict)
    variables: dict[str, dict[str, list[Variable]]] = field(default_factory=dict)


def read_stored(store: Store, manifest: Manifest, moment: datetime) -> Stored:
    """Read the stored state of the entries that a manifest declares."""
    found = Stored()
    needs_all = manifest.is_complete or bool(manifest.every_user)
    _read_users(store, manifest, found, needs_all=needs_all)
    declared = {
        user.id: manifest.users[name]
        for name, user in found.users.items()
        if name in manifest.users
    }
    _read_keys(store, declared, found, moment)
    _read_variables(store, manifest, declared, found)
    return found


def _read_users(store: Store, manifest: Manifest, found: Stored, *, needs_all: bool) -> None:
    if not needs_all and len(manifest.users) <= FEW_USERS:
        for name in manifest.users:
            user = store.find_user_named(name)
            if user is None:
                found.alike[name.lower()] = list(store.usernames_like(name))
            else:
                found.users[name] = user
        return
    wanted = {name.lower() for name in manifest.users}
    for summary in store.users():
        user = summary.user
        if needs_all or user.username in manifest.users:
            found.users[user.username] = user
        if user.username.lower() in wanted:
            found.alike.setdefault(user.username.lower(), []).append(user.username)


def _read_keys(
    store: Store, declared: dict[str, DeclaredUser], found: Stored, moment: datetime
) -> None:
    with_keys = {
        user_id: user
        for user_id, user in declared.items()
        if user.api_keys or user.revoke_keys or "api_keys" in user.complete
    }
    for row in _keys_of(store, with_keys, moment):
        user = with_keys.get(row.user_id)
        if user is not None and (
            row.name in user.api_keys or user.revoke_keys or "api_keys" in user.complete
        ):
            found.api_keys.setdefault(row.user_id, []).append(row)
    for rows in found.api_keys.values():
        rows.sort(key=lambda row: (row.created_at, row.id))


def _keys_of(
    store: Store, user_ids: Collection[str], moment: datetime
) -> Iterator[ApiKey] | Iterable[ApiKey]:
    if len(user_ids) > FEW_USERS:
        return store.api_keys(KeyFilter(now=moment))
    return (
        row
        for user_id in user_ids
        for row in store.api_keys(KeyFilter(now=moment, user_id=user_id))
    )


def _read_variables(
    store: Store, manifest: Manifest, declared: dict[str, DeclaredUser], found: Stored
) -> None:
    with_variables = [
        user_id
        for user_id, user in declared.items()
        if user.variables or "variables" in user.complete
    ]
    rows: Iterable[Variable]
    if manifest.every_user or len(with_variables) > FEW_USERS:
        rows = store.variables()
    else:
        rows = (
            row
            for user_id in with_variables
            for row in _variables_of(store, user_id, declared[user_id])
        )
    nobody = frozenset[str]()
    for row in rows:
        user = declared.get(row.user_id)
        names: Collection[str] = nobody if user is None else user.variables
        is_complete = user is not None and "variables" in user.complete
        if row.name in names or row.name in manifest.every_user or is_complete:
            of_user = found.variables.setdefault(row.user_id, {})
            of_user.setdefault(row.name, []).append(row)


def _variables_of(store: Store, user_id: str, user: DeclaredUser) -> Iterable[Variable]:
    if "variables" in user.complete:
        return store.variables(user_id)
    return store.variables_named(set(user.variables), user_id)
