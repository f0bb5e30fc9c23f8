"""Plan the variables of a manifest."""

from collections.abc import Mapping

from langkeys.errors import LangkeysError
from langkeys.manifest.context import Context
from langkeys.manifest.declared import DeclaredVariable, Manifest
from langkeys.manifest.plan_users import PlannedUser
from langkeys.manifest.plans import ADD, CHANGE, REMOVE, VARIABLE, Plan, Unlisted, VariableAction
from langkeys.manifest.problems import SECRET_KEY
from langkeys.manifest.stored import Stored
from langkeys.models import CREDENTIAL, FERNET_PREFIX, GENERIC, User, Variable
from langkeys.variables import lifecycle as variables


class VariablePlanner:
    """Plans the variables of declared users, and ``every_user`` for all active users."""

    def __init__(
        self, manifest: Manifest, stored: Stored, context: Context, plan: Plan, *, prune: bool
    ) -> None:
        self._manifest = manifest
        self._stored = stored
        self._context = context
        self._plan = plan
        self._prune = prune
        self._refused: set[str] = set()

    def plan(self, users: Mapping[str, PlannedUser]) -> None:
        """Add actions to the plan; ``users`` are the users as they will be after the run."""
        for name, planned in users.items():
            user = planned.user
            declared = self._manifest.users.get(name)
            own = {} if declared is None else declared.variables
            wanted = {**self._manifest.every_user, **own} if user.is_active else own
            stored = {} if planned.is_new else self._stored.variables.get(user.id, {})
            for variable in wanted.values():
                self._plan_one(user, variable, stored.get(variable.name, []))
            if declared is not None and "variables" in declared.complete:
                self._plan_unlisted(user, stored, {*wanted, *self._manifest.every_user})

    def _add(self, declared: DeclaredVariable, what: str, *, code: str = "usage") -> None:
        self._refused.add(declared.path)
        self._plan.problems.add(declared.position, declared.path, what, code=code)

    def _plan_one(self, user: User, declared: DeclaredVariable, rows: list[Variable]) -> None:
        if declared.is_absent:
            if rows:
                self._append(REMOVE, user, declared, rows, removals=1)
            else:
                self._plan.kept[VARIABLE] += 1
        elif rows:
            self._plan_existing(user, declared, rows)
        elif declared.value is not None:
            self._plan_new(user, declared)
        elif declared.source is not None:
            self._plan.warn_of_missing(declared.path)
        else:
            whose = "" if declared.path.startswith("users.") else f"{user.username} has "
            self._add(declared, f"{whose}no such variable: a new one needs value_from or value")

    def _plan_new(self, user: User, declared: DeclaredVariable) -> None:
        try:
            variables.check_name(declared.name)
        except LangkeysError as error:
            self._add(declared, error.message)
            return
        if self._check_value(declared, declared.type or CREDENTIAL, declared.value or ""):
            kind = declared.type or CREDENTIAL
            self._append(ADD, user, declared, [], detail=kind)

    def _check_value(self, declared: DeclaredVariable, kind: str, value: str) -> bool:
        """Add a problem if a value is invalid; return False if the variable has any problem."""
        if kind == GENERIC and value.startswith(FERNET_PREFIX):
            self._add(
                declared,
                "looks like an encrypted value, which servers refuse for type Generic",
            )
        return declared.path not in self._refused

    def _plan_existing(self, user: User, declared: DeclaredVariable, rows: list[Variable]) -> None:
        fields: dict[str, None] = {}
        for row in rows:
            if declared.type is not None and row.type != declared.type:
                fields["type"] = None
                if declared.value is None and self._context.find_value(row) is None:
                    what = "its type cannot be changed, as its value cannot be decrypted"
                    self._add(declared, what, code=SECRET_KEY)
                    return
            if declared.value is not None:
                if self._context.find_value(row) != declared.value:
                    fields["value"] = None
                elif self._is_from_environment(row):
                    fields["is_environment_managed"] = None
            names = declared.default_fields
            if names is not None and (row.default_fields or ()) != names:
                fields["default_fields"] = None
        for row in rows if fields else ():
            value = declared.value or self._context.find_value(row) or ""
            if not self._check_value(declared, declared.type or row.type or CREDENTIAL, value):
                return
        if fields:
            order = ("type", "value", "default_fields", "is_environment_managed")
            ordered = tuple(name for name in order if name in fields)
            detail = "" if len(rows) == 1 else f"in {len(rows)} rows"
            self._append(CHANGE, user, declared, rows, fields=ordered, detail=detail)
        else:
            self._plan.kept[VARIABLE] += 1

    def _is_from_environment(self, row: Variable) -> bool:
        """Tell whether a server's next start will overwrite the row from its environment."""
        generation = self._context.generation
        if not generation.keeps_set_variables or row.name not in self._context.imported:
            return False
        if generation.has_environment_managed:
            return bool(row.is_environment_managed) and not variables.is_touched(row)
        return not variables.is_touched(row)

    def _append(
        self,
        action: str,
        user: User,
        declared: DeclaredVariable | None,
        rows: list[Variable],
        *,
        fields: tuple[str, ...] = (),
        detail: str = "",
        removals: int = 0,
    ) -> None:
        name = rows[0].name if declared is None else declared.name
        self._plan.actions.append(
            VariableAction(
                action, user, name, fields, detail, removals, declared=declared, rows=tuple(rows)
            )
        )

    def _plan_unlisted(
        self, user: User, stored: Mapping[str, list[Variable]], listed: set[str]
    ) -> None:
        for name, rows in stored.items():
            if name in listed:
                continue
            if any(row.is_environment_managed or self._is_from_environment(row) for row in rows):
                continue  # a server would create it again from its environment
            if self._prune:
                self._append(REMOVE, user, None, rows, detail="not listed", removals=1)
            else:
                self._plan.not_listed.append(Unlisted(VARIABLE, user, name, rows[0].id))
