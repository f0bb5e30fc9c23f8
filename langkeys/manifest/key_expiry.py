"""When a declared API key expires, and when it is due to be renewed."""

from datetime import datetime

from langkeys.manifest.declared import DeclaredKey
from langkeys.models import ApiKey
from langkeys.times import later

EXPIRY_TOLERANCE = 60.0
"""By how many seconds a stored expiry may differ from the declared one."""


def declares_expiry(declared: DeclaredKey) -> bool:
    """Tell whether an expiry is declared; else a key keeps the one that it has."""
    return declared.expires is not None or declared.expires_at is not None


def declared_expiry(declared: DeclaredKey, created_at: datetime) -> datetime | None:
    """Return the declared expiry of a key created at ``created_at``; None for never."""
    if declared.expires is not None:
        return later(created_at, declared.expires)
    return None if declared.expires_at == "never" else declared.expires_at


def is_near(one: datetime | None, other: datetime | None) -> bool:
    """Tell whether two expiries count as the same."""
    if one is None or other is None:
        return one is other
    return abs((one - other).total_seconds()) <= EXPIRY_TOLERANCE


def is_due(declared: DeclaredKey, row: ApiKey, moment: datetime) -> bool:
    """Tell whether a key is to be renewed, by its age or before its declared end."""
    if declared.renew_after is not None and moment - row.created_at >= declared.renew_after:
        return True
    if declared.expires is None:
        return False
    before = moment if declared.renew_before is None else later(moment, declared.renew_before)
    return later(row.created_at, declared.expires) <= before
