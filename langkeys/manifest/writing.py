"""Write a plan within a transaction, and check the result."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys.ending import WholeKey
from langkeys.api_keys.rotation import Superseded
from langkeys.batches import in_batches
from langkeys.errors import FailedError
from langkeys.manifest.context import Context
from langkeys.manifest.plans import (
    ADD,
    CHANGE,
    REMOVE,
    RENEW,
    KeyAction,
    Plan,
    UserAction,
    VariableAction,
)
from langkeys.manifest.stored import FEW_USERS
from langkeys.models import ApiKey, User, Variable
from langkeys.store.protocol import Store
from langkeys.store.read_back import require_deleted, require_stored
from langkeys.times import now
from langkeys.variables import lifecycle as variables
from langkeys.variables.lifecycle import VariableUpdate

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

ROWS_AT_ONCE = 500


class Writer:
    """Writes a plan within a transaction, and remembers what to check afterwards."""

    def __init__(
        self,
        context: Context,
        cipher: Callable[[], "Cipher"],
        hash_password: Callable[[str], str],
    ) -> None:
        self._context = context
        self._cipher = cipher
        self._hash_password = hash_password
        self._hashes: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        self.new: list[ApiKey] = []
        """The new API keys as they were stored."""
        self._users: list[User] = []
        self._variables: dict[str, Variable] = {}
        self._gone: set[str] = set()
        self._updated: list[ApiKey] = []
        self._inactive: list[WholeKey] = []
        self._deleted: list[WholeKey] = []

    # Before the transaction

    def prepare(self, plan: Plan) -> None:
        """Hash and encrypt the plan's values before the database is locked."""
        wanted = {
            action.password
            for action in plan.actions
            if isinstance(action, UserAction) and action.password is not None
        } - self._hashes.keys()
        if len(wanted) > 1:
            from concurrent.futures import ThreadPoolExecutor
            from os import cpu_count

            passwords = sorted(wanted)
            with ThreadPoolExecutor(cpu_count()) as pool:
                hashes = pool.map(self._hash_password, passwords)
                self._hashes.update(zip(passwords, hashes, strict=True))
        for action in plan.actions:
            if isinstance(action, VariableAction) and action.encrypts(self._context.generation):
                declared = action.declared
                if declared is not None and declared.value is not None:
                    self._token(declared.value)

    def _hash(self, password: str) -> str:
        if password not in self._hashes:
            self._hashes[password] = self._hash_password(password)
        return self._hashes[password]

    def _token(self, value: str) -> str:
        if value not in self._tokens:
            self._tokens[value] = self._cipher().encrypt(value)
        return self._tokens[value]

    # Within the transaction

    def write(self, plan: Plan) -> None:
        """Write all actions; superseded keys are not ended yet."""
        for action in plan.actions:
            if isinstance(action, UserAction):
                self._write_user(action)
        self._write_variables([a for a in plan.actions if isinstance(a, VariableAction)])
        self._write_keys([a for a in plan.actions if isinstance(a, KeyAction)])

    def _write_user(self, action: UserAction) -> None:
        user = action.owner._replace(updated_at=now())
        if action.password is not None:
            user = user._replace(password_hash=self._hash(action.password))
        if action.action == ADD:
            user = user._replace(created_at=user.updated_at)
            self._context.store.insert_user(user)
        else:
            self._context.store.update_user(user)
        self._users.append(user)

    def _write_variables(self, actions: Sequence[VariableAction]) -> None:
        store, generation = self._context.store, self._context.generation
        moment = now()
        gone = [row.id for action in actions if action.action == REMOVE for row in action.rows]
        for ids in in_batches(gone, ROWS_AT_ONCE):
            if store.delete_variables(ids) != len(ids):
                raise FailedError(f"variables have just been deleted from {store.location}")
        self._gone.update(gone)
        added = (
            variables.new_row(action.owner, self._update(action, None), generation, moment)
            for action in actions
            if action.action == ADD
        )
        for rows in in_batches(added, ROWS_AT_ONCE):
            store.insert_variables(rows)
            self._variables.update((row.id, row) for row in rows)
        changed = (
            self._changed_row(action, row)
            for action in actions
            if action.action == CHANGE
            for row in action.rows
        )
        for rows in in_batches(changed, ROWS_AT_ONCE):
            store.update_variables(rows)
            self._variables.update((row.id, row) for row in rows)

    def _changed_row(self, action: VariableAction, row: Variable) -> Variable:
        generation, moment = self._context.generation, now()
        assert action.declared is not None
        if not {"type", "value"}.intersection(action.fields):
            # Keep the stored value, and whether the environment manages it.
            fields = action.declared.default_fields
            row = row if fields is None else row._replace(default_fields=fields)
            if row.is_environment_managed and "is_environment_managed" not in action.fields:
                return row
            return variables.touched(row, generation, moment)
        return variables.changed_row(row, self._update(action, row), generation, moment)

    def _update(self, action: VariableAction, row: Variable | None) -> VariableUpdate:
        declared = action.declared
        assert declared is not None
        value = declared.value
        if value is None and row is not None:
            value = self._context.find_value(row)
        assert value is not None
        token = self._token(value) if action.encrypts(self._context.generation) else ""
        return VariableUpdate(declared.name, value, token, declared.type, declared.default_fields)

    def _write_keys(self, actions: Sequence[KeyAction]) -> None:
        endings = self._context.endings
        removed = [
            row
            for action in actions
            if action.action == REMOVE and action.current is None
            for row in action.rows
        ]
        self._deleted = endings.whole_keys(removed)
        endings.delete_rows(self._deleted)
        for action in actions:
            if action.action == CHANGE and action.new is not None:
                self._write_changed(action, action.new)
        self.new = [self._new_row(action) for action in actions if action.action in (ADD, RENEW)]
        for rows in in_batches(self.new, ROWS_AT_ONCE):
            self._context.store.insert_api_keys(rows)

    def _new_row(self, action: KeyAction) -> ApiKey:
        new = action.new
        assert new is not None
        (made,) = api_keys.new_api_keys(
            self._context.generation,
            self._cipher,
            owner=action.owner,
            name=new.name,
            expires_at=new.expires_at,
            value=action.value,
            created_at=new.created_at,
        )
        return made.row._replace(id=new.id)

    def _write_changed(self, action: KeyAction, new: ApiKey) -> None:
        endings = self._context.endings
        assert action.current is not None
        key = endings.reload(endings.whole_key(action.current))
        if "is_active" in action.fields and new.is_active:
            endings.activate_within(key.meant)
            key = endings.reload(key)
        rows = []
        for row in key.rows:
            if row.id == new.id:
                rows.append(row._replace(name=new.name))
            else:
                rows.append(row)
            if "expires_at" in action.fields:
                rows[-1] = rows[-1]._replace(expires_at=new.expires_at)
            if "is_active" in action.fields and not new.is_active:
                rows[-1] = rows[-1]._replace(is_active=False)
                self._inactive.append(key)
        endings.update_rows(rows)
        self._updated += rows

    # After the transaction

    def superseded(self, plan: Plan) -> list[Superseded]:
        """Return the superseded keys, which may end after their replacements were delivered."""
        endings = self._context.endings
        found = []
        for action in plan.actions:
            if not isinstance(action, KeyAction):
                continue
            newer = action.new if action.action == RENEW else action.current
            is_left = action.new is None and action.action in (REMOVE, CHANGE)
            if newer is not None and (action.action == RENEW or is_left):
                found += [
                    Superseded(endings.whole_key(row), newer.created_at, action.grace)
                    for row in action.rows
                ]
        return found

    def prove(self) -> None:
        """Check everything through a new connection; raise FailedError if something differs."""
        store, endings = self._context.store, self._context.endings
        with store.reopened() as fresh:
            for user in self._users:
                found = fresh.find_user(user.id)
                # Do not compare the whole row, because a login changes it.
                require_stored(
                    f"user {user.username!r}",
                    store.location,
                    is_stored=found is not None and _compared(found) == _compared(user),
                )
            self._prove_variables(fresh)
            if self._inactive:
                endings.prove_refused(fresh, self._inactive, "inactive")
        endings.check_written(self._updated)
        if self._deleted:
            endings.prove_revoked(self._deleted)

    def _prove_variables(self, fresh: Store) -> None:
        if self._variables or self._gone:
            found = self._remaining(self._fresh_variables(fresh), fresh.location)
            variables.require_rows(self._variables.values(), found, fresh.location)

    def _remaining(self, rows: Iterable[Variable], location: str) -> Iterator[Variable]:
        for row in rows:
            is_deleted = row.id not in self._gone
            require_deleted(f"variable {row.name}", location, is_deleted=is_deleted)
            yield row

    def _fresh_variables(self, fresh: Store) -> Iterable[Variable]:
        owners = {row.user_id for row in self._variables.values()}
        if self._gone or len(owners) > FEW_USERS:
            return fresh.variables()
        names = {row.name for row in self._variables.values()}
        return (row for owner in owners for row in fresh.variables_named(names, owner))


def _compared(user: User) -> tuple[str, bool, bool]:
    return user.password_hash, user.is_active, user.is_superuser
