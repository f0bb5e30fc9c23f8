"""Plans: the actions that change the stored state to the declared state."""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from langkeys.manifest.declared import DeclaredKey, DeclaredUser, DeclaredVariable
from langkeys.manifest.problems import Problems
from langkeys.models import GENERIC, ApiKey, User, Variable, dashed
from langkeys.store.generations import Generation
from langkeys.times import iso_or_none

ADD, CHANGE, RENEW, DELIVER, REMOVE = "add", "change", "renew", "deliver", "remove"
ACTIONS = (ADD, CHANGE, RENEW, DELIVER, REMOVE)
USER, VARIABLE, API_KEY = "user", "variable", "api_key"
KINDS = (USER, VARIABLE, API_KEY)


@dataclass(frozen=True)
class Action:
    """One action of a plan; ``detail`` is a text for the user, without secrets."""

    action: str
    owner: User
    name: str
    fields: tuple[str, ...] = ()
    detail: str = ""
    removals: int = 0
    """The number of deletions, deactivations and demotions."""
    ends_at_once: bool = False
    """Whether the action ends a replaced key without a grace period."""

    kind = ""

    @property
    def id(self) -> str | None:
        """The id of the changed row; None for a new row."""
        return None

    def fingerprint(self) -> Iterator[Any]:
        """Yield the data for the plan's id that the plan does not show."""
        yield from ()


@dataclass(frozen=True)
class UserAction(Action):
    """Adds a user, or changes a user's state or password."""

    declared: DeclaredUser | None = None
    stored: User | None = None
    password: str | None = field(default=None, repr=False)

    kind = USER

    @property
    def id(self) -> str | None:
        """The user's id."""
        return None if self.stored is None else self.stored.id

    def fingerprint(self) -> Iterator[Any]:
        """Yield the row, and the new password if it is not generated."""
        if self.stored is not None:
            user = self.stored
            yield (user.id, user.password_hash, user.is_active, user.is_superuser)
        if self.declared is not None and self.declared.output is None:
            yield self.password


@dataclass(frozen=True)
class VariableAction(Action):
    """Adds, changes or removes a variable, with all of its rows."""

    declared: DeclaredVariable | None = None
    rows: tuple[Variable, ...] = ()

    kind = VARIABLE

    @property
    def id(self) -> str | None:
        """The id of the first row."""
        return self.rows[0].id if self.rows else None

    def encrypts(self, generation: Generation) -> bool:
        """Tell whether the action writes an encrypted value, which needs the secret key."""
        if self.declared is None or self.action not in (ADD, CHANGE):
            return False
        kinds = {self.declared.type or row.type for row in self.rows} or {self.declared.type}
        return generation.encrypts_generic or kinds != {GENERIC}

    def fingerprint(self) -> Iterator[Any]:
        """Yield the rows and the declared fields."""
        for row in self.rows:
            yield (row.id, row.stored, row.type, row.default_fields, row.is_environment_managed)
        if self.declared is not None:
            yield (self.declared.type, self.declared.value, self.declared.default_fields)


@dataclass(frozen=True)
class KeyAction(Action):
    """Adds, changes, replaces, delivers or removes an API key.

    ``rows`` end or are superseded; ``current`` stays.
    """

    declared: DeclaredKey | None = None
    current: ApiKey | None = None
    new: ApiKey | None = None
    """The row as it will be; in a new row, ``stored`` and ``hash`` are not set yet."""
    rows: tuple[ApiKey, ...] = ()
    grace: timedelta | None = None
    value: str | None = field(default=None, repr=False)
    """The key itself, if it is new or will be delivered."""

    kind = API_KEY

    @property
    def id(self) -> str | None:
        """The id of the row that stays, or else of the first row that ends."""
        if self.current is not None:
            return self.current.id
        return self.rows[0].id if self.rows else None

    @property
    def is_delivered(self) -> bool:
        """Whether the key is written to a file."""
        has_output = self.declared is not None and self.declared.output is not None
        return has_output and self.action in (ADD, RENEW, DELIVER)

    def fingerprint(self) -> Iterator[Any]:
        """Yield the rows and the declared fields."""
        for row in (self.current, *self.rows):
            if row is not None:
                expires_at = iso_or_none(row.expires_at)
                yield (row.id, row.name, row.is_active, expires_at, row.created_at.isoformat())
        if self.declared is not None:
            declared = self.declared
            yield (
                str(declared.expires), str(declared.expires_at), str(declared.grace),
                declared.value, None if declared.output is None else str(declared.output.file),
            )  # fmt: skip


@dataclass(frozen=True)
class Unlisted:
    """An entry that a complete list does not contain, or another API key with a declared name."""

    kind: str
    owner: User
    name: str
    id: str


@dataclass
class Plan:
    """The actions of a run: first users, then variables, then API keys."""

    moment: datetime
    actions: list[Action] = field(default_factory=list)
    not_listed: list[Unlisted] = field(default_factory=list)
    others: list[Unlisted] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    warnings: dict[str, None] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def warn(self, path: str, what: str) -> None:
        """Warn of the entry with this path."""
        self.warnings[f"{path}: {what}"] = None

    def warn_of_missing(self, path: str) -> None:
        """Warn of an entry whose optional source has no value."""
        self.warn(path, "left out, as its value is missing (optional)")

    def sort(self) -> None:
        """Sort all lists, so that the order of files and entries does not matter."""
        self.actions.sort(key=lambda a: (KINDS.index(a.kind), a.owner.username, a.name))
        for unlisted in (self.not_listed, self.others):
            unlisted.sort(key=lambda u: (KINDS.index(u.kind), u.owner.username, u.name, u.id))

    @property
    def removals(self) -> int:
        """The number of deletions, deactivations and demotions."""
        return sum(action.removals for action in self.actions)

    @property
    def destructive(self) -> set[tuple[str, str, str]]:
        """The kind, owner and name of each action that needs a confirmation."""
        return {
            (action.kind, action.owner.username, action.name)
            for action in self.actions
            if action.removals or action.ends_at_once
        }

    def count(self, action: str, kind: str | None = None) -> int:
        """Count the actions with this name; if ``kind`` is given, only those of that kind."""
        return sum(found.action == action and kind in (None, found.kind) for found in self.actions)

    def plan_id(self, secret_key: str) -> str:
        """Return the plan's id: 12 hex digits of an HMAC over the actions and their rows.

        The data include secret values. The HMAC is keyed with the secret key, because otherwise the
        values could be guessed.
        """
        digest = hmac.new(f"langkeys plan {secret_key}".encode(), digestmod=hashlib.sha256)
        for action in self.actions:
            seen = (action.action, action.kind, action.owner.username, action.name, action.fields)
            digest.update(json.dumps([seen, *action.fingerprint()]).encode() + b"\n")
        return digest.hexdigest()[:12]


def joined_ids(rows: Iterable[ApiKey]) -> str:
    """Return the ids of rows for a message."""
    return ", ".join(dashed(row.id) for row in rows)
