"""Compare a manifest with the stored state, for ``plan``, ``apply --dry-run`` and ``apply``.

Planning writes nothing.
"""

from langkeys.manifest.context import Context
from langkeys.manifest.declared import Manifest
from langkeys.manifest.plan_keys import KeyPlanner
from langkeys.manifest.plan_users import UserPlanner
from langkeys.manifest.plan_variables import VariablePlanner
from langkeys.manifest.plans import Plan
from langkeys.manifest.stored import Stored
from langkeys.times import now


def plan(manifest: Manifest, stored: Stored, context: Context, *, prune: bool) -> Plan:
    """Return a plan; whatever is impossible becomes one of its problems.

    With ``prune``, entries that a complete list does not contain are removed.
    """
    found = Plan(now())
    users = UserPlanner(manifest, stored, context, found, prune=prune).plan()
    VariablePlanner(manifest, stored, context, found, prune=prune).plan(users)
    KeyPlanner(manifest, stored, context, found, prune=prune).plan(users)
    found.sort()
    return found
