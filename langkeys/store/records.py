"""Values that services and stores exchange, in addition to ``langkeys.models``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from langkeys.models import ApiKey, User, shown_without


class KeyFilter(NamedTuple):
    """A selection of API keys: all conditions must hold; None means no condition.

    ``status`` is ``active``, ``expired`` or ``inactive`` at the time ``now``. ``unused_since``
    selects keys that were neither used nor created since that time. ``never_used_since`` selects
    keys that were created since that time and never used. ``expires_before`` selects keys that
    expire between ``now`` and that time. ``is_expired`` selects keys that expired before ``now``,
    active or not.
    """

    now: datetime
    user_id: str | None = None
    name: str | None = None
    status: str | None = None
    unused_since: datetime | None = None
    expires_before: datetime | None = None
    created_before: datetime | None = None
    never_used_since: datetime | None = None
    is_expired: bool = False


class Observation(NamedTuple):
    """A finding about an engine for ``doctor``; ``level`` is ``ok``, ``note`` or ``problem``."""

    level: str
    message: str
    hint: str | None = None


class OwnedKey(NamedTuple):
    """An API key and its owner; ``owner`` is None if the user does not exist."""

    key: ApiKey
    owner: User | None


class Change(NamedTuple):
    """One change of a transaction, for the audit trail; ``details`` contain no secret.

    ``action`` is ``insert``, ``update`` or ``delete``; ``kind`` is ``api_key``, ``user`` or
    ``variable``. Services add other kinds with ``Store.note``. ``ended`` is the row of a deleted
    API key. One change can describe several rows that differ only in their ids: ``id`` is the
    first, ``more_ids`` are the others.
    """

    action: str
    kind: str
    id: str
    name: str | None
    user_id: str | None = None
    details: Mapping[str, Any] = MappingProxyType({})
    ended: ApiKey | None = None
    more_ids: Sequence[str] = ()


class Cell(NamedTuple):
    """A text in the database that may contain encrypted values.

    ``kind`` is ``value`` (a known column whose value is a token), ``json`` (a known column that
    contains tokens), ``envelope`` (see ``langkeys.crypto.cipher``), or ``other`` (a token in a
    column that should not contain one). ``position`` identifies the row to the engine.
    """

    table: str
    column: str
    row: str
    name: str | None
    kind: str
    position: tuple[object, ...]
    text: bytes

    def __repr__(self) -> str:
        return shown_without(self, "position", "text")


class RowStub(NamedTuple):
    """What is known about a row of an API key, user or variable, even if the row is unreadable.

    ``id`` and ``name`` are for display. ``problem`` names the column whose value no server would
    write; None if the row can be read. ``position`` identifies the row to the engine.
    """

    table: str
    id: str
    name: str | None
    user_id: str | None
    problem: str | None
    position: tuple[object, ...]

    def __repr__(self) -> str:
        return shown_without(self, "position")
