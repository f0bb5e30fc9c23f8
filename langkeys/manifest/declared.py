"""The content of a manifest as Python values; a None field is not declared, and not changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from langkeys.manifest.problems import Position
from langkeys.manifest.schema import BARE


@dataclass(frozen=True)
class Source:
    """The source of a secret: a file or an environment variable of this process."""

    position: Position
    path: str
    file: Path | None = None
    env: str | None = None
    optional: bool = False


@dataclass(frozen=True)
class OutputFile:
    """A file that a new password or an API key is written to, and its format."""

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
    """The common fields of all entries of a manifest."""

    name: str
    position: Position
    path: str


@dataclass(frozen=True)
class DeclaredVariable(Entry):
    """A variable; ``value`` is from its source or directly from the manifest."""

    is_absent: bool = False
    type: str | None = None
    source: Source | None = None
    value: str | None = field(default=None, repr=False)
    default_fields: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DeclaredKey(Entry):
    """An API key; ``value`` is the key itself if the entry has a source."""

    is_absent: bool = False
    is_active: bool | None = None
    expires: timedelta | None = None
    expires_at: datetime | Literal["never"] | None = None
    renew_before: timedelta | None = None
    renew_after: timedelta | None = None
    grace: timedelta | None = None
    source: Source | None = None
    value: str | None = field(default=None, repr=False)
    output: OutputFile | None = None
    field_positions: Mapping[str, Position] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class DeclaredUser(Entry):
    """A user with their API keys and variables."""

    is_active: bool | None = None
    is_superuser: bool | None = None
    source: Source | None = None
    password: str | None = field(default=None, repr=False)
    output: OutputFile | None = None
    sets_password: bool = False
    """Whether an existing user gets this password too, and not only a new user."""
    revoke_keys: bool = False
    api_keys: Mapping[str, DeclaredKey] = field(default_factory=dict)
    variables: Mapping[str, DeclaredVariable] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Manifest:
    """The merged content of all files of a manifest."""

    name: str | None
    every_user: Mapping[str, DeclaredVariable]
    users: Mapping[str, DeclaredUser]
    is_complete: bool
    files: tuple[str, ...]
