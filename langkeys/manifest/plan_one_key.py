"""Plan one API key of a manifest: a generated key, a key from a source, or an existing key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys.lifetimes import Replacements, is_working, lasting, new_expiry
from langkeys.api_keys.verification import representative, verify_rows
from langkeys.crypto.hashes import api_key_hash
from langkeys.errors import ConflictError, InvalidKeyError, LangkeysError
from langkeys.manifest.context import Context
from langkeys.manifest.declared import DeclaredKey, DeclaredUser, OutputFile
from langkeys.manifest.key_expiry import declared_expiry, declares_expiry, is_due, is_near
from langkeys.manifest.key_file import KeyFile
from langkeys.manifest.plan_users import PlannedUser
from langkeys.manifest.plans import (
    ADD,
    API_KEY,
    CHANGE,
    DELIVER,
    REMOVE,
    RENEW,
    KeyAction,
    Plan,
    Unlisted,
    joined_ids,
)
from langkeys.manifest.problems import CONFLICT, SECRET_KEY, USAGE
from langkeys.manifest.succession import creation_after, superseded_by
from langkeys.models import ApiKey, dashed, new_id
from langkeys.text import checked_name
from langkeys.times import iso


@dataclass
class OneKeyPlanner:
    """Plans one declared API key; ``rows`` are all with its name and owner, oldest first."""

    context: Context
    plan: Plan
    planned: PlannedUser
    user: DeclaredUser
    declared: DeclaredKey
    rows: Sequence[ApiKey]

    @cached_property
    def _moment(self) -> datetime:
        return self.plan.moment

    @cached_property
    def _lasting(self) -> list[ApiKey]:
        """The rows that no rotation has replaced."""
        return lasting(self.rows)

    def _works(self, row: ApiKey) -> bool:
        return is_working(row, self.context.generation, self._moment)

    @cached_property
    def _working(self) -> list[ApiKey]:
        return [row for row in self._lasting if self._works(row)]

    def _add(self, what: str, *, field: str = "", code: str = USAGE) -> None:
        position = self.declared.field_positions.get(field, self.declared.position)
        path = f"{self.declared.path}.{field}" if field else self.declared.path
        self.plan.problems.add(position, path, what, code=code)

    def add_actions(self) -> None:
        """Add actions for the key to the plan."""
        if self.declared.is_absent:
            self._plan_absent()
        elif self.declared.value is not None:
            self._plan_given(self.declared.value)
        elif self.declared.output is not None:
            self._plan_generated(self.declared.output)
        else:
            self._plan_kept()

    def _plan_absent(self) -> None:
        if self.context.includes_acting_key(self.rows):
            self._add("is the API key that langkeys acts by, and cannot be removed", code=CONFLICT)
        for row in self.rows:
            self._append(REMOVE, detail=dashed(row.id), removals=1, rows=[row])
        if not self.rows:
            self.plan.kept[API_KEY] += 1

    def _plan_kept(self) -> None:
        """Plan a key for which only expiry and state are declared."""
        pool = self._lasting if self.declared.is_active is False else self._working
        current = next(reversed(pool or self._lasting or self.rows), None)
        if current is not None:
            self._plan_existing(current, is_delivered=False)
        elif self.declared.source is not None:
            self.plan.warn_of_missing(self.declared.path)
        else:
            self._add("there is no such API key: a new one needs write_to or value_from")

    # A generated key, which is written to a file

    def _plan_generated(self, output: OutputFile) -> None:
        if self.declared.is_active is False:
            alive = [row for row in self._lasting if not self._is_expired(row)]
            if not alive:
                self._add("there is no such API key that could be inactive", field="is_active")
                return
            self._plan_existing(alive[-1], is_delivered=False)
            return
        usable = self._working
        if not usable and self.declared.is_active:
            usable = [row for row in self._lasting if not self._is_expired(row)]
        file = KeyFile(self.context, self.plan.problems, output)
        file.check(self.planned.user, self.declared.name)
        value = self.context.minted.api_key(self.declared.path, self.declared.name)
        if not usable:
            self._plan_new(ADD, value, [])
        elif is_due(self.declared, usable[-1], self._moment):
            self._plan_new(RENEW, value, [usable[-1]])
        else:
            self._plan_existing(usable[-1], is_delivered=not file.holds(usable[-1]))

    def _is_expired(self, row: ApiKey) -> bool:
        return row.expires_at is not None and row.expires_at < self._moment

    # A key that comes from a source

    def _plan_given(self, value: str) -> None:
        found = self.context.endings.finder.find_all(value)
        owner = self.planned.user
        others = [row for row in found if row.key.user_id != owner.id]
        if others:
            whose = others[0].owner.username if others[0].owner else "a user that does not exist"
            self._add(f"this API key belongs to {whose}", field="value_from", code=CONFLICT)
            return
        if found:
            row = representative(self.context.store, api_key_hash(value), found)
            same = frozenset(owned.key.id for owned in found)
            if row.name != self.declared.name and row.name in self.user.api_keys:
                what = f"this API key is {dashed(row.id)}, which is declared by its own name"
                self._add(what, field="value_from", code=CONFLICT)
                return
            self._warn_of_end(row)
            self._plan_existing(row, is_delivered=False, same=same)
        elif self.declared.is_active is False:
            self._add("there is no such API key that could be inactive", field="is_active")
        elif self.context.was_revoked(value):
            what = "according to the audit trail, this API key was revoked; it is not restored"
            self._add(what, field="value_from", code=CONFLICT)
        else:
            self._plan_new(RENEW if self._working else ADD, value, self._working[-1:])

    def _warn_of_end(self, row: ApiKey) -> None:
        """Warn if the source names a replaced key again: it ends with its grace period."""
        newer = Replacements(self.rows).find_newer(row)
        is_kept = not declares_expiry(self.declared)
        if newer is not None and row.expires_at is not None and is_kept:
            self.plan.warn(
                self.declared.path,
                f"this API key was replaced by {dashed(newer.id)} and works until"
                f" {iso(row.expires_at)} only; with expires or expires_at it is kept",
            )

    # Used by all of the above

    def _plan_new(self, action: str, value: str, old: Sequence[ApiKey]) -> None:
        owner = self.planned.user
        try:
            checked_name(self.declared.name)
            api_keys.require_working_owner(self.context.generation, owner)
        except ConflictError as error:
            self._add(error.message, code=CONFLICT)
            return
        except LangkeysError as error:
            self._add(error.message)
            return
        made_at = creation_after(old[0], self._moment) if old else self._moment
        expires_at = self._new_expiry(made_at, old)
        if expires_at is not None and expires_at <= self._moment:
            self._add("has already passed: a new key would not work", field="expires_at")
            return
        ends_at_once = bool(old) and self.declared.grace is None
        if ends_at_once and any(map(self._is_environment_key, old)):
            what = "is the server's LANGFLOW_API_KEY, which works whatever is in the database"
            self._add(what, code=CONFLICT)
            return
        new = ApiKey(
            id=new_id(),
            name=self.declared.name,
            user_id=owner.id,
            username=owner.username,
            stored="",
            hash=None,
            created_at=made_at,
            last_used_at=None,
            total_uses=0,
            is_active=True,
            expires_at=expires_at,
        )
        self._append(
            action,
            detail=self._detail_of(new, old),
            new=new,
            rows=old,
            value=value,
            ends_at_once=ends_at_once,
        )
        self._report_others({row.id for row in old})

    def _is_environment_key(self, row: ApiKey) -> bool:
        endings = self.context.endings
        return endings.is_in_environment(endings.single_row_key(row))

    def _new_expiry(self, made_at: datetime, old: Sequence[ApiKey]) -> datetime | None:
        if declares_expiry(self.declared):
            return declared_expiry(self.declared, made_at)
        if old:
            try:
                return new_expiry(old[0], made_at)
            except LangkeysError as error:
                self._add(error.message)
        return None

    def _detail_of(self, new: ApiKey, old: Sequence[ApiKey]) -> str:
        parts = [] if new.expires_at is None else [f"expires {iso(new.expires_at)[:10]}"]
        if old:
            after = "at once" if self.declared.grace is None else "after its grace"
            parts.append(f"{dashed(old[0].id)} ends {after}")
        if self.declared.output is not None:
            parts.append(f"to {self.declared.output.file}")
        return ", ".join(parts)

    def _plan_existing(
        self, current: ApiKey, *, is_delivered: bool, same: frozenset[str] = frozenset()
    ) -> None:
        """Plan an existing key: its fields, its file, and the keys that it has superseded."""
        acted = self._plan_change(current)
        if is_delivered:
            acted = self._plan_delivery(current) or acted
        left = superseded_by(current, self._working)
        for old in left:
            acted = True
            self._plan_superseded_end(old, current)
        if not acted:
            self.plan.kept[API_KEY] += 1
        self._report_others({current.id, *same, *(row.id for row in left)})

    def _plan_change(self, current: ApiKey) -> bool:
        declared = self.declared
        fields, details, new, removals = [], [], current, 0
        if current.name != declared.name:
            fields.append("name")
            details.append("rename")
            new = new._replace(name=declared.name)
        if declared.is_active is not None and declared.is_active != current.is_active:
            fields.append("is_active")
            details.append("activate" if declared.is_active else "deactivate")
            new = new._replace(is_active=declared.is_active)
            if not declared.is_active:
                removals = 1
                if self.context.includes_acting_key([current]):
                    what = "is the API key that langkeys acts by, and cannot be deactivated"
                    self._add(what, code=CONFLICT)
        expires_at = current.expires_at
        if declares_expiry(declared):
            expires_at = declared_expiry(declared, current.created_at)
        if not is_near(expires_at, current.expires_at):
            if expires_at is not None and expires_at <= self._moment:
                field = "expires" if declared.expires is not None else "expires_at"
                self._add("has already passed: the key would end at once", field=field)
                return True
            fields.append("expires_at")
            said = "never expires" if expires_at is None else f"expires {iso(expires_at)[:10]}"
            details.append(said)
            new = new._replace(expires_at=expires_at)
        if declared.is_active is not False and declared.value is not None and not self._works(new):
            status = new.status(self._moment)
            self._add(f"a server refuses this API key: it is {status}", code=CONFLICT)
        if not fields:
            return False
        detail = ", ".join(details)
        self._append(
            CHANGE, fields=tuple(fields), detail=detail, removals=removals, current=current, new=new
        )
        return True

    def _plan_delivery(self, current: ApiKey) -> bool:
        output = self.declared.output
        assert output is not None
        value = self.context.find_key(current)
        if value is None:
            what = f"API key {dashed(current.id)} cannot be decrypted, so it cannot be delivered"
            self._add(what, field="write_to", code=SECRET_KEY)
            return False
        if (refusal := self._refusal(value)) is not None:
            what = f"a server refuses API key {dashed(current.id)}: {refusal}"
            self._add(what, field="write_to", code=CONFLICT)
            return False
        self._append(DELIVER, detail=f"to {output.file}", current=current, value=value)
        return True

    def _refusal(self, value: str) -> str | None:
        """Return why a server would refuse a key when the owner is as planned, or None."""
        generation = self.context.generation
        hashed = api_key_hash(value)
        try:
            api_keys.require_working_owner(generation, self.planned.user)
            verify_rows(self.context.store, hashed, self.context.endings.finder.find_all(value))
        except InvalidKeyError as error:
            return None if error.reason in ("owner inactive", "inactive") else error.message
        except ConflictError as error:
            return error.message
        return None

    def _plan_superseded_end(self, old: ApiKey, current: ApiKey) -> None:
        """Plan the end of a key that an interrupted run has replaced."""
        ends_at_once = self.declared.grace is None
        how = "ends" if ends_at_once else "is in its grace"
        self._append(
            REMOVE if ends_at_once else CHANGE,
            fields=() if ends_at_once else ("expires_at",),
            detail=f"{dashed(old.id)} was replaced by {dashed(current.id)} and {how}",
            rows=[old],
            current=current,
            ends_at_once=ends_at_once,
        )

    def _report_others(self, own: set[str]) -> None:
        owner = self.planned.user
        others = [row for row in self._working if row.id not in own]
        for row in others:
            self.plan.others.append(Unlisted(API_KEY, owner, row.name or "", row.id))
        if others:
            what = f"other working keys of that name stay: {joined_ids(others)}"
            self.plan.warn(self.declared.path, what)

    def _append(
        self,
        action: str,
        *,
        fields: tuple[str, ...] = (),
        detail: str = "",
        removals: int = 0,
        ends_at_once: bool = False,
        current: ApiKey | None = None,
        new: ApiKey | None = None,
        rows: Sequence[ApiKey] = (),
        value: str | None = None,
    ) -> None:
        self.plan.actions.append(
            KeyAction(
                action,
                self.planned.user,
                self.declared.name,
                fields,
                detail,
                removals,
                ends_at_once,
                declared=self.declared,
                current=current,
                new=new,
                rows=tuple(rows),
                grace=self.declared.grace,
                value=value,
            )
        )
