"""What is done to a server, told to whoever keeps a record of it before it is done."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from langkeys.models import dashed

Complete = Callable[[str], None]
"""Takes the id of what a server has made."""


class Deed(NamedTuple):
    """What one thing of a server is to become: ``insert``, ``update`` or ``delete``.

    ``kind`` is ``api_key``, ``user`` or ``variable``; ``id`` is None as long as the server has not
    made it; ``details`` hold no secret.
    """

    action: str
    kind: str
    id: str | None
    name: str | None
    user_id: str | None = None
    details: Mapping[str, Any] = MappingProxyType({})

    def described(self) -> dict[str, Any]:
        """Return it as the audit trail has it."""
        described: dict[str, Any] = {"action": self.action, "kind": self.kind}
        described["id"] = None if self.id is None else dashed(self.id)
        described["name"] = self.name
        if self.user_id is not None:
            described["user_id"] = dashed(self.user_id)
        return {**described, **self.details}


class ActingUser(NamedTuple):
    """What has to be known of the user whose API key is sent."""

    id: str
    username: str
    is_active: bool
    is_superuser: bool


class Record:
    """Gets to know who acts, and each deed before it is done; this one keeps nothing."""

    def acts(self, user: ActingUser, key_id: str | None) -> None:
        """Take note of who acts from now on, by which API key if its id is known."""

    @contextmanager
    def doing(self, deed: Deed) -> Iterator[Complete]:  # noqa: ARG002 - others keep it
        """Take note of a deed that is done in the block, and of its failure."""
        yield lambda _: None


class NoDeeds(Record):
    """For what only looks: a change that comes all the same is a bug."""

    @contextmanager
    def doing(self, deed: Deed) -> Iterator[Complete]:
        """Refuse it."""
        raise AssertionError(f"a command that only looks does: {deed.action} {deed.kind}")
        yield


def sha256_of(api_key: str) -> str:
    """Return what the audit trail knows a whole API key by."""
    return hashlib.sha256(api_key.encode()).hexdigest()
