"""The planner: from what is declared and what is stored to what is to be done.

One function for ``plan``, ``apply --dry-run`` and ``apply``, which writes nothing.
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
    """Return what is to be done; what cannot be is among the plan's problems.

    With ``prune`` what a complete list does not have is removed.
    """
    found = Plan(now())
    users = UserPlanner(manifest, stored, context, found, prune=prune).planned()
    VariablePlanner(manifest, stored, context, found, prune=prune).plan(users)
    KeyPlanner(manifest, stored, context, found, prune=prune).plan(users)
    found.sort()
    return found
