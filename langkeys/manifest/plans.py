"""Plans: what is to be done to get from what is stored to what is declared, and what is not."""

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
    """One thing that is to be done; ``detail`` is for people, without a secret in it."""

    action: str
    owner: User
    name: str
    fields: tuple[str, ...] = ()
    detail: str = ""
    removals: int = 0
    """How many deletions, deactivations and demotions it is."""
    ends_at_once: bool = False
    """It replaces a key without a grace."""

    kind = ""

    @property
    def id(self) -> str | None:
        """The id of the row that is touched, None where it is new."""
        return None

    def touched(self) -> Iterator[Any]:
        """Yield what the plan's id is made of, besides what anybody can see."""
        yield from ()


@dataclass(frozen=True)
class UserAction(Action):
    """A user is added, or gets another state or password."""

    declared: DeclaredUser | None = None
    stored: User | None = None
    password: str | None = field(default=None, repr=False)

    kind = USER

    @property
    def id(self) -> str | None:
        """The user's id."""
        return None if self.stored is None else self.stored.id

    def touched(self) -> Iterator[Any]:
        """Yield the row, and the new password unless it is made up."""
        if self.stored is not None:
            user = self.stored
            yield (user.id, user.password_hash, user.is_active, user.is_superuser)
        if self.declared is not None and self.declared.target is None:
            yield self.password


@dataclass(frozen=True)
class VariableAction(Action):
    """A variable is added, changed or removed, in all of its rows."""

    declared: DeclaredVariable | None = None
    rows: tuple[Variable, ...] = ()

    kind = VARIABLE

    @property
    def id(self) -> str | None:
        """The id of the first row."""
        return self.rows[0].id if self.rows else None

    def encrypts(self, generation: Generation) -> bool:
        """Tell whether a value is written encrypted; a Generic one needs no secret key."""
        if self.declared is None or self.action not in (ADD, CHANGE):
            return False
        kinds = {self.declared.type or row.type for row in self.rows} or {self.declared.type}
        return generation.encrypts_generic or kinds != {GENERIC}

    def touched(self) -> Iterator[Any]:
        """Yield the rows, and what is declared."""
        for row in self.rows:
            yield (row.id, row.stored, row.type, row.default_fields, row.is_environment_managed)
        if self.declared is not None:
            yield (self.declared.type, self.declared.value, self.declared.default_fields)


@dataclass(frozen=True)
class KeyAction(Action):
    """An API key is added, changed, replaced, delivered or removed.

    ``rows`` are those that end or are superseded, ``current`` the one that is, or stays.
    """

    declared: DeclaredKey | None = None
    current: ApiKey | None = None
    new: ApiKey | None = None
    """The row as it is to be; a new one without its stored form."""
    rows: tuple[ApiKey, ...] = ()
    grace: timedelta | None = None
    value: str | None = field(default=None, repr=False)
    """The key itself, where it is new or to be delivered."""

    kind = API_KEY

    @property
    def id(self) -> str | None:
        """The id of the key that is touched."""
        if self.current is not None:
            return self.current.id
        return self.rows[0].id if self.rows else None

    @property
    def is_delivered(self) -> bool:
        """Whether the key is written to a file."""
        has_target = self.declared is not None and self.declared.target is not None
        return has_target and self.action in (ADD, RENEW, DELIVER)

    def touched(self) -> Iterator[Any]:
        """Yield the rows, and what is declared of the key."""
        for row in (self.current, *self.rows):
            if row is not None:
                expires_at = iso_or_none(row.expires_at)
                yield (row.id, row.name, row.is_active, expires_at, row.created_at.isoformat())
        if self.declared is not None:
            declared = self.declared
            yield (
                str(declared.expires), str(declared.expires_at), str(declared.grace),
                declared.value, None if declared.target is None else str(declared.target.file),
            )  # fmt: skip


@dataclass(frozen=True)
class Unlisted:
    """Something that is there and that a complete list does not have, or another key of a name."""

    kind: str
    owner: User
    name: str
    id: str


@dataclass
class Plan:
    """What is to be done, in the order of users, variables and API keys."""

    moment: datetime
    actions: list[Action] = field(default_factory=list)
    not_listed: list[Unlisted] = field(default_factory=list)
    others: list[Unlisted] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    warnings: dict[str, None] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def sort(self) -> None:
        """Put everything in an order that does not depend on that of the files."""
        self.actions.sort(key=lambda a: (KINDS.index(a.kind), a.owner.username, a.name))
        for unlisted in (self.not_listed, self.others):
            unlisted.sort(key=lambda u: (KINDS.index(u.kind), u.owner.username, u.name, u.id))

    @property
    def removals(self) -> int:
        """How many deletions, deactivations and demotions it is."""
        return sum(action.removals for action in self.actions)

    @property
    def destructive(self) -> set[tuple[str, str, str]]:
        """What of it somebody has to agree to: kinds, owners and names."""
        return {
            (action.kind, action.owner.username, action.name)
            for action in self.actions
            if action.removals or action.ends_at_once
        }

    def count(self, action: str, kind: str | None = None) -> int:
        """Count the actions of a sort."""
        return sum(found.action == action and kind in (None, found.kind) for found in self.actions)

    def plan_id(self, secret_key: str) -> str:
        """Return what tells this plan from another: 12 hex digits over actions and rows.

        Keyed by the secret key, as the values go into it: nobody can try values with it.
        """
        digest = hmac.new(f"langkeys plan {secret_key}".encode(), digestmod=hashlib.sha256)
        for action in self.actions:
            seen = (action.action, action.kind, action.owner.username, action.name, action.fields)
            digest.update(json.dumps([seen, *action.touched()]).encode() + b"\n")
        return digest.hexdigest()[:12]


def named_ids(rows: Iterable[ApiKey]) -> str:
    """Name rows by their ids."""
    return ", ".join(dashed(row.id) for row in rows)
