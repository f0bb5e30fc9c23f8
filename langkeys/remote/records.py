"""Changes on a server, and the interface that records each one before it is made."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from langkeys.models import dashed

Complete = Callable[[str], None]
"""Takes the id of the object that the server has created."""


class ServerChange(NamedTuple):
    """A change on a server.

    ``action`` is ``insert``, ``update`` or ``delete``; ``kind`` is ``api_key``, ``user`` or
    ``variable``. ``id`` is None until the server has created the object. ``details`` contain no
    secret.
    """

    action: str
    kind: str
    id: str | None
    name: str | None
    user_id: str | None = None
    details: Mapping[str, Any] = MappingProxyType({})

    def as_audit_change(self) -> dict[str, Any]:
        """Return the change in the form of the audit trail."""
        described: dict[str, Any] = {"action": self.action, "kind": self.kind}
        described["id"] = None if self.id is None else dashed(self.id)
        described["name"] = self.name
        if self.user_id is not None:
            described["user_id"] = dashed(self.user_id)
        return {**described, **self.details}


class ActingUser(NamedTuple):
    """The user whose API key is sent, as far as langkeys needs to know."""

    id: str
    username: str
    is_active: bool
    is_superuser: bool


class Record:
    """Receives the acting user, and each change before it is made. This class keeps nothing."""

    def set_acting(self, user: ActingUser, key_id: str | None) -> None:
        """Set the acting user, and the id of their API key if it is known."""

    @contextmanager
    def changing(self, change: ServerChange) -> Iterator[Complete]:  # noqa: ARG002 - for subclasses
        """Context manager around a change; records the change, and its failure."""
        yield lambda _: None


class NoChanges(Record):
    """For commands that only read, where any change is a bug."""

    @contextmanager
    def changing(self, change: ServerChange) -> Iterator[Complete]:
        """Refuse the change."""
        raise AssertionError(f"a read-only command tried to {change.action} {change.kind}")
        yield


def sha256_of(api_key: str) -> str:
    """Return the SHA-256 that identifies an API key in the audit trail."""
    return hashlib.sha256(api_key.encode()).hexdigest()
