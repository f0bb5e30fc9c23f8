"""What a manifest declares, as values: what is None is not named, and stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from langkeys.manifest.problems import Position
from langkeys.manifest.schema import BARE


@dataclass(frozen=True)
class Source:
    """Where a secret comes from: a file, or a variable of the process's environment."""

    position: Position
    path: str
    file: Path | None = None
    env: str | None = None
    optional: bool = False


@dataclass(frozen=True)
class Target:
    """A file that a new password or an API key is written to, and in which form."""

    position: Position
    path: str
    file: Path
    format: str = BARE
    variable: str = "LANGFLOW_API_KEY"
    secret_name: str | None = None
    secret_namespace: str | None = None
    secret_key: str | None = None


@dataclass(frozen=True)
class Entry:
    """What every part of a manifest has: a name, and where it stands."""

    name: str
    position: Position
    path: str


@dataclass(frozen=True)
class DeclaredVariable(Entry):
    """A variable; ``value`` is what its source or the file itself gives."""

    is_absent: bool = False
    type: str | None = None
    source: Source | None = None
    value: str | None = field(default=None, repr=False)
    default_fields: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DeclaredKey(Entry):
    """An API key; ``value`` is the key itself where a source gives it."""

    is_absent: bool = False
    is_active: bool | None = None
    expires: timedelta | None = None
    expires_at: datetime | Literal["never"] | None = None
    renew_before: timedelta | None = None
    renew_after: timedelta | None = None
    grace: timedelta | None = None
    source: Source | None = None
    value: str | None = field(default=None, repr=False)
    target: Target | None = None
    field_positions: Mapping[str, Position] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class DeclaredUser(Entry):
    """A user, and what they have."""

    is_active: bool | None = None
    is_superuser: bool | None = None
    source: Source | None = None
    password: str | None = field(default=None, repr=False)
    target: Target | None = None
    sets_password: bool = False
    """The user has this password; else only a new one gets it."""
    revoke_keys: bool = False
    api_keys: Mapping[str, DeclaredKey] = field(default_factory=dict)
    variables: Mapping[str, DeclaredVariable] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Manifest:
    """All files together."""

    name: str | None
    every_user: Mapping[str, DeclaredVariable]
    users: Mapping[str, DeclaredUser]
    is_complete: bool
    files: tuple[str, ...]
