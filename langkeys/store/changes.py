"""Descriptions of the changes in a transaction, for the audit trail."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from langkeys.models import ApiKey, User, Variable
from langkeys.store.records import Change


def key_change(action: str, key: ApiKey, **details: object) -> Change:
    """Describe a change to an API key; ``action`` is one of ``Change``."""
    ended = key if action == "delete" else None
    return Change(action, "api_key", key.id, key.name, key.user_id, details, ended)


def key_insertion(key: ApiKey) -> Change:
    """Describe the insertion of an API key."""
    return key_change("insert", key, username=key.username, expires_at=audit_time(key.expires_at))


def key_insertions(
    ids: Sequence[str],
    *,
    name: str | None,
    user_id: str,
    username: str | None,
    expires_at: str | None,
) -> Change:
    """Describe the insertion of API keys that differ only in their ids."""
    details = {"username": username, "expires_at": expires_at}
    return Change("insert", "api_key", ids[0], name, user_id, details, None, ids[1:])


def key_update(key: ApiKey) -> Change:
    """Describe a change of an API key's name, expiry or activity."""
    expires_at = audit_time(key.expires_at)
    return key_change("update", key, is_active=key.is_active, expires_at=expires_at)


def key_deletion(key: ApiKey) -> Change:
    """Describe the deletion of an API key."""
    return key_change("delete", key, username=key.username)


def unreadable_key_deletion(
    key_id: str,
    *,
    name: str | None,
    user_id: str | None,
    username: str | None,
    sha256: str | None,
    column: str,
) -> Change:
    """Describe the deletion of a row that cannot be read as an API key because of ``column``."""
    details: dict[str, object] = {"username": username, "unreadable": column}
    if sha256 is not None:
        details["sha256"] = sha256
    return Change("delete", "api_key", key_id, name, user_id, details)


def user_change(action: str, user: User, **details: object) -> Change:
    """Describe a change to a user; ``action`` is one of ``Change``."""
    state = {"is_active": user.is_active, "is_superuser": user.is_superuser}
    return Change(action, "user", user.id, user.username, details={**state, **details})


def user_update(old: User, new: User) -> Change:
    """Describe a change of a user's password or state."""
    fields = ("password_hash", "is_active", "is_superuser")
    changed = [name for name in fields if getattr(old, name) != getattr(new, name)]
    return user_change("update", new, changed=changed)


def variable_change(action: str, variable: Variable) -> Change:
    """Describe a change to a variable; ``action`` is one of ``Change``."""
    details: Mapping[str, object] = {"username": variable.username, "type": variable.type}
    return Change(action, "variable", variable.id, variable.name, variable.user_id, details)


def unreadable_variable_deletion(
    variable_id: str, *, name: str | None, user_id: str | None, username: str | None, column: str
) -> Change:
    """Describe the deletion of a row that cannot be read as a variable because of ``column``."""
    details = {"username": username, "unreadable": column}
    return Change("delete", "variable", variable_id, name, user_id, details)


def audit_time(moment: datetime | None) -> str | None:
    """Format a time for the audit trail: naive UTC with six fractional digits."""
    if moment is None:
        return None
    naive = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="microseconds")
