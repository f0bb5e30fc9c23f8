"""The values that services and stores pass to each other, beside those of ``langkeys.models``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from langkeys.models import ApiKey, User, shown_without


class KeyFilter(NamedTuple):
    """Which API keys are meant; conditions combine with *and*, None is no condition.

    ``status`` is ``active``, ``expired`` or ``inactive`` at the time ``now``. ``unused_since``: not
    used since then, and not created since then either. ``never_used_since``: created since then,
    and not used yet. ``expires_before`` means between ``now``
    and then, ``is_expired`` before ``now``, active or not.
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
    """What ``doctor`` shows of an engine: ``level`` is ``ok``, ``note`` or ``problem``."""

    level: str
    message: str
    hint: str | None = None


class OwnedKey(NamedTuple):
    """An API key and its user, None where there is no such user."""

    key: ApiKey
    owner: User | None


class Change(NamedTuple):
    """What a transaction does to one thing, for the audit trail; ``details`` hold no secret.

    ``action`` is ``insert``, ``update`` or ``delete``, ``kind`` ``api_key``, ``user`` or
    ``variable``. ``ended`` is the row of an API key that is deleted. Of things that differ in
    nothing but their ids, ``id`` is the first, and ``more_ids`` are the others.
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
    """A text in the database that has something in it that a secret key may open.

    ``kind`` is ``value`` (a known column whose value is a token), ``json`` (a known column with
    tokens in it), ``envelope`` (one of ``langkeys.crypto.cipher``), or ``other``: a token in a
    column that none should be in. ``position`` finds the row again.
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
    """What can be told of a row that may make no API key, user or variable, to end it by.

    ``id`` and ``name`` are as they can be shown; ``problem`` is the column that is not as a server
    writes it, None where the row can be read. ``position`` finds the row again.
    """

    table: str
    id: str
    name: str | None
    user_id: str | None
    problem: str | None
    position: tuple[object, ...]

    def __repr__(self) -> str:
        return shown_without(self, "position")
