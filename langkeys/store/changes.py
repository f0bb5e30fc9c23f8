"""What a transaction does to a row, in the words of the audit trail."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from langkeys.models import ApiKey, User, Variable
from langkeys.store.records import Change


def key_change(action: str, key: ApiKey, **details: object) -> Change:
    """Describe what is done to an API key."""
    ended = key if action == "delete" else None
    return Change(action, "api_key", key.id, key.name, key.user_id, details, ended)


def key_insertion(key: ApiKey) -> Change:
    """Describe that an API key is added."""
    return key_change("insert", key, username=key.username, expires_at=noted_time(key.expires_at))


def key_insertions(
    ids: Sequence[str],
    *,
    name: str | None,
    user_id: str,
    username: str | None,
    expires_at: str | None,
) -> Change:
    """Describe that API keys are added that differ in nothing but their ids."""
    details = {"username": username, "expires_at": expires_at}
    return Change("insert", "api_key", ids[0], name, user_id, details, None, ids[1:])


def key_update(key: ApiKey) -> Change:
    """Describe that an API key has another name, expiry or activity."""
    expires_at = noted_time(key.expires_at)
    return key_change("update", key, is_active=key.is_active, expires_at=expires_at)


def key_deletion(key: ApiKey) -> Change:
    """Describe that an API key is deleted."""
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
    """Describe that a row is deleted that makes no API key because of ``column``."""
    details: dict[str, object] = {"username": username, "unreadable": column}
    if sha256 is not None:
        details["sha256"] = sha256
    return Change("delete", "api_key", key_id, name, user_id, details)


def user_change(action: str, user: User, **details: object) -> Change:
    """Describe what is done to a user."""
    state = {"is_active": user.is_active, "is_superuser": user.is_superuser}
    return Change(action, "user", user.id, user.username, details={**state, **details})


def user_update(old: User, new: User) -> Change:
    """Describe that a user has another password or state."""
    fields = ("password_hash", "is_active", "is_superuser")
    changed = [name for name in fields if getattr(old, name) != getattr(new, name)]
    return user_change("update", new, changed=changed)


def variable_change(action: str, variable: Variable) -> Change:
    """Describe what is done to a variable."""
    details: Mapping[str, object] = {"username": variable.username, "type": variable.type}
    return Change(action, "variable", variable.id, variable.name, variable.user_id, details)


def unreadable_variable_deletion(
    variable_id: str, *, name: str | None, user_id: str | None, username: str | None, column: str
) -> Change:
    """Describe that a row is deleted that makes no variable because of ``column``."""
    details = {"username": username, "unreadable": column}
    return Change("delete", "variable", variable_id, name, user_id, details)


def noted_time(moment: datetime | None) -> str | None:
    """Write a time as the trail has it: naive UTC with six digits of fraction."""
    if moment is None:
        return None
    naive = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="microseconds")
