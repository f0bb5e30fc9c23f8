"""Rows of variables, written and read without langkeys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from langkeys.models import User
from langkeys.store.protocol import Store
from langkeys.variables import lifecycle as variables
from langkeys.variables.lifecycle import Outcome, VariableUpdate

from ..conftest import SUPERUSER
from .databases import Database, stored
from .samples import CREDENTIAL, OTHER_SECRET_KEY, decrypted, encrypted
from .stores import cipher

NAME = "MY_TOKEN"

FIELDS = [
    "id", "name", "type", "value", "default_fields", "user_id", "username", "created_at",
    "updated_at", "opens",
]  # fmt: skip
"""The fields of a variable in JSON, in their order: Langflow's, then langkeys' own."""


@dataclass(frozen=True)
class Row:
    """A row of the ``variable`` table, as it is stored."""

    id: str
    name: str
    value: str
    type: str | None
    user_id: str
    created_at: str | None
    updated_at: str | None
    default_fields: str | None
    managed: int | None

    @property
    def plaintext(self) -> str:
        """The value, decrypted without langkeys if it is encrypted."""
        return decrypted(self.value) if self.value.startswith("gAAAAA") else self.value


def add(
    database: Database,
    owner: str,
    name: str,
    value: str,
    kind: str | None = "Credential",
    *,
    is_encrypted: bool | None = None,
    fields: str | None = "[]",
    created_at: datetime | str | None = "2026-01-01 00:00:00.000000",
    updated_at: datetime | str | None = None,
    managed: bool | None = None,
) -> str:
    """Add a variable as a server stores it, and return its id as 32 hex digits."""
    if is_encrypted is None:
        is_encrypted = kind == "Credential" or not database.shape.encrypts_keys
    row_id = database.new_id()
    values: dict[str, Any] = {
        "id": row_id,
        "name": name,
        "value": encrypted(value) if is_encrypted else value,
        "type": kind,
        "user_id": owner,
        "default_fields": fields,
        "created_at": stored(created_at) if isinstance(created_at, datetime) else created_at,
        "updated_at": stored(updated_at) if isinstance(updated_at, datetime) else updated_at,
    }
    if database.shape.environment_managed:
        values["is_environment_managed"] = managed
    marks = ", ".join("?" * len(values))
    database.rows(
        f"INSERT INTO variable ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
    )
    return row_id


def rows(database: Database, name: str | None = None) -> list[Row]:
    """Return the rows with a name, or all rows, in the order of their creation."""
    managed = "is_environment_managed" if database.shape.environment_managed else "NULL"
    found = database.rows(
        "SELECT id, name, value, type, user_id, created_at, updated_at, default_fields,"
        f" {managed} FROM variable WHERE ? IN (name, '') ORDER BY rowid",
        (name or "",),
    )
    return [Row(*row) for row in found]


def get_row(database: Database, name: str) -> Row:
    """Return the only row with a name."""
    (row,) = rows(database, name)
    return row


def fields_of(row: Row) -> Any:
    return None if row.default_fields is None else json.loads(row.default_fields)


def add_one_of_each(database: Database, owner: str) -> None:
    """Add a Credential, a Generic variable, and a Credential that cannot be decrypted."""
    add(database, owner, "TOKEN", CREDENTIAL, fields='["Password", "API Key"]')
    add(database, owner, "URL", "http://localhost", "Generic", managed=False)
    closed = encrypted("x", OTHER_SECRET_KEY)
    add(database, owner, "CLOSED", closed, is_encrypted=False, created_at=None)


def owner(store: Store, name: str = SUPERUSER) -> User:
    user = store.find_user_named(name)
    assert user is not None
    return user


def update(store: Store, value: str = CREDENTIAL, name: str = NAME, **more: Any) -> VariableUpdate:
    """Return an update that sets a variable, with the samples' secret key."""
    return variables.new_update(store.generation, cipher, name, value, **more)


def set_variables(store: Store, *updates: VariableUpdate, user: str = SUPERUSER) -> list[Outcome]:
    """Set variables of one user through langkeys."""
    return variables.set_all(store, variables.one_owner(owner(store, user)), updates)
