"""Plan the users of a manifest."""

from dataclasses import dataclass

from langkeys import users
from langkeys.crypto import password_rules
from langkeys.errors import LangkeysError
from langkeys.manifest.context import Context
from langkeys.manifest.declared import DeclaredUser, Manifest, OutputFile
from langkeys.manifest.plans import ADD, CHANGE, USER, Plan, Unlisted, UserAction
from langkeys.manifest.problems import CONFLICT, USAGE, problem_code, subpath
from langkeys.manifest.stored import Stored
from langkeys.models import User
from langkeys.users import new_user


@dataclass(frozen=True)
class PlannedUser:
    """A user as they will be after the run, and whether they are new."""

    user: User
    is_new: bool


class UserPlanner:
    """Plans the declared users and, if the manifest declares all users, the others."""

    def __init__(
        self, manifest: Manifest, stored: Stored, context: Context, plan: Plan, *, prune: bool
    ) -> None:
        self._manifest = manifest
        self._stored = stored
        self._context = context
        self._plan = plan
        self._prune = prune
        self._first_alike: dict[str, DeclaredUser] = {}

    def plan(self) -> dict[str, PlannedUser]:
        """Add actions to the plan; return all users by name, as they will be after the run."""
        found: dict[str, PlannedUser] = {}
        for name, declared in self._manifest.users.items():
            other = self._first_alike.setdefault(name.lower(), declared)
            user = self._stored.users.get(name)
            # Names that differ only in case may be declared if both users exist.
            planned = (
                self._plan_new(declared, other)
                if user is None
                else self._plan_existing(declared, user)
            )
            if planned is not None:
                found[name] = planned
        for name, user in self._stored.users.items():
            if name not in self._manifest.users:
                found[name] = PlannedUser(self._plan_unlisted(user), is_new=False)
        return found

    def _add(self, declared: DeclaredUser, what: str, *, code: str = USAGE) -> None:
        self._plan.problems.add(declared.position, declared.path, what, code=code)

    def _plan_new(self, declared: DeclaredUser, other: DeclaredUser) -> PlannedUser | None:
        context, settings = self._context, self._context.settings
        password = self._new_password(declared)
        alike = self._stored.alike.get(declared.name.lower(), ())
        if alike:
            self._add(
                declared,
                f"there is no user of this name; did you mean {subpath('', alike[0])}? User names"
                " are unique regardless of case",
                code=USAGE if password is None else CONFLICT,
            )
            return None
        if other is not declared:
            self._add(
                declared,
                f"differs only in case from {subpath('', other.name)} in {other.position}; user"
                " names are unique regardless of case",
            )
            return None
        if password is None:
            self._add(declared, "a new user needs password_from or password_to")
            return None
        is_superuser = bool(declared.is_superuser)
        try:
            users.checked_username(declared.name)
        except LangkeysError as error:
            self._add(declared, error.message)
            return None
        if not is_superuser and declared.name.lower() == settings.superuser.lower():
            what = "LANGFLOW_SUPERUSER names this user, who must have is_superuser: true"
            self._add(declared, what, code=CONFLICT)
            return None
        user = new_user(declared.name, "", is_superuser=is_superuser)
        user = user._replace(
            id=context.minted.user_id(declared.name), is_active=declared.is_active is not False
        )
        states = [word for word, holds in (
            ("superuser", user.is_superuser), ("inactive", not user.is_active)
        ) if holds]  # fmt: skip
        if declared.output is not None:
            states.append(f"password in {declared.output.file}")
        action = UserAction(
            ADD, user, user.username, detail=", ".join(states), declared=declared, password=password
        )
        self._plan.actions.append(action)
        return PlannedUser(user, is_new=True)

    def _new_password(self, declared: DeclaredUser) -> str | None:
        if declared.output is None:
            return declared.password
        # An interrupted run may have left a password in the file; use it.
        text = self._password_in(declared.output)
        return text or self._context.minted.password(declared.output.file)

    def _password_in(self, output: OutputFile) -> str | None:
        try:
            text = self._context.find_password(output.file)
        except LangkeysError as error:
            code = problem_code(error)
            self._plan.problems.add(output.position, output.path, error.message, code=code)
            return None
        refusal = None if text is None else password_rules.refusal(text)
        if refusal is not None:
            what = f"the password in the file {refusal}; it is not replaced"
            self._plan.problems.add(output.position, output.path, what, code=CONFLICT)
        return text

    def _plan_existing(self, declared: DeclaredUser, user: User) -> PlannedUser:
        fields = []
        new = user
        details = []
        removals = 0
        if declared.is_active is not None and declared.is_active != user.is_active:
            fields.append("is_active")
            new = new._replace(is_active=declared.is_active)
            details.append("activate" if declared.is_active else "deactivate")
        if declared.is_superuser is not None and declared.is_superuser != user.is_superuser:
            fields.append("is_superuser")
            new = new._replace(is_superuser=declared.is_superuser)
            details.append("promote" if declared.is_superuser else "demote")
        for verb in ("deactivate", "demote"):
            if verb in details:
                # This allows the change for a user who is not an active superuser.
                refusal = self._context.check_dispensable(user, verb)
                if refusal is not None:
                    self._add(declared, refusal, code=CONFLICT)
                removals += 1
        password = self._changed_password(declared, user)
        if password is not None:
            fields.append("password")
        if fields:
            self._plan.actions.append(
                UserAction(
                    CHANGE,
                    new,
                    user.username,
                    tuple(fields),
                    ", ".join(details),
                    removals,
                    declared=declared,
                    stored=user,
                    password=password,
                )
            )
        else:
            self._plan.kept[USER] += 1
        return PlannedUser(new, is_new=False)

    def _changed_password(self, declared: DeclaredUser, user: User) -> str | None:
        if not declared.sets_password:
            return None
        wanted = declared.password
        if declared.output is not None:
            wanted = self._password_in(declared.output)
            if wanted is None:
                return self._context.minted.password(declared.output.file)
        if wanted is None or self._context.has_password(user, wanted):
            return None
        return wanted

    def _plan_unlisted(self, user: User) -> User:
        if not self._manifest.is_complete or not user.is_active:
            return user
        refusal = self._context.check_dispensable(user, "deactivate")
        if refusal is not None:
            self._plan.warnings[f"not listed, and kept: {refusal}"] = None
            return user
        if not self._prune:
            self._plan.not_listed.append(Unlisted(USER, user, user.username, user.id))
            return user
        new = user._replace(is_active=False)
        self._plan.actions.append(
            UserAction(
                CHANGE,
                new,
                user.username,
                ("is_active",),
                "deactivate, as it is not listed",
                1,
                stored=user,
            )
        )
        return new
