"""Plan the API keys of a manifest."""

from collections.abc import Mapping, Sequence

from langkeys.api_keys.lifetimes import Replacements
from langkeys.manifest.context import Context
from langkeys.manifest.declared import DeclaredKey, DeclaredUser, Manifest
from langkeys.manifest.plan_one_key import OneKeyPlanner
from langkeys.manifest.plan_users import PlannedUser
from langkeys.manifest.plans import API_KEY, REMOVE, KeyAction, Plan, Unlisted
from langkeys.manifest.problems import CONFLICT, UNSUPPORTED
from langkeys.manifest.stored import Stored
from langkeys.models import ApiKey, User, dashed

_NEEDS_EXPIRY = ("expires", "expires_at", "renew_before", "grace")


def is_servers_own(name: str | None) -> bool:
    """Tell whether servers, or Langflow's own command line, create keys with this name."""
    return name == "CLI" or (name or "").startswith(("MCP Server ", "MCP Project "))


class KeyPlanner:
    """Plans the API keys of all declared users."""

    def __init__(
        self, manifest: Manifest, stored: Stored, context: Context, plan: Plan, *, prune: bool
    ) -> None:
        self._manifest = manifest
        self._stored = stored
        self._context = context
        self._plan = plan
        self._prune = prune

    def plan(self, users: Mapping[str, PlannedUser]) -> None:
        """Add actions to the plan; ``users`` are the users as they will be after the run."""
        for declared in self._manifest.users.values():
            for key in declared.api_keys.values():
                self._check_generation(key)
            if declared.name not in users:
                continue  # the user has a problem, which is reported
            planned = users[declared.name]
            rows = [] if planned.is_new else self._stored.api_keys.get(planned.user.id, [])
            if declared.revoke_keys:
                self._revoke_all(declared, planned.user, rows)
            for key in declared.api_keys.values():
                named = [row for row in rows if row.name == key.name]
                one = OneKeyPlanner(self._context, self._plan, planned, declared, key, named)
                one.add_actions()
            if "api_keys" in declared.complete and not declared.revoke_keys:
                self._plan_unlisted(declared, planned.user, rows)

    def _check_generation(self, key: DeclaredKey) -> None:
        generation = self._context.generation
        for field, position in key.field_positions.items():
            if field in _NEEDS_EXPIRY and not generation.has_key_expiry:
                what = f"Langflow {generation.release} does not support the expiry of API keys"
            elif field == "is_active" and not generation.honours_key_state:
                what = f"Langflow {generation.release} ignores whether an API key is active"
            else:
                continue
            self._plan.problems.add(position, f"{key.path}.{field}", what, code=UNSUPPORTED)

    def _revoke_all(self, declared: DeclaredUser, user: User, rows: Sequence[ApiKey]) -> None:
        if self._context.includes_acting_key(rows):
            what = "would revoke the API key that langkeys acts by"
            self._plan.problems.add(declared.position, declared.path, what, code=CONFLICT)
        for row in rows:
            self._remove(user, row, "revoke_keys")

    def _remove(self, user: User, row: ApiKey, why: str) -> None:
        self._plan.actions.append(
            KeyAction(REMOVE, user, row.name or "", (), f"{why}, {dashed(row.id)}", 1, rows=(row,))
        )

    def _plan_unlisted(self, declared: DeclaredUser, user: User, rows: Sequence[ApiKey]) -> None:
        replaced = Replacements(rows)
        for row in rows:
            if (
                row.name in declared.api_keys
                or is_servers_own(row.name)
                or self._context.includes_acting_key([row])
                or replaced.find_newer(row) is not None
            ):
                continue
            if self._prune:
                self._remove(user, row, "not listed")
            else:
                self._plan.not_listed.append(Unlisted(API_KEY, user, row.name or "", row.id))
