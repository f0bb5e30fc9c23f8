"""Applying a manifest: planned without a lock, planned again under it, committed once, delivered.

What dies in between is completed by the next run: API keys are delivered again from the database,
and those that a new one has superseded are known by ``langkeys.manifest.succession``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langkeys import failpoints
from langkeys.api_keys import lifecycle as api_keys
from langkeys.api_keys.rotation import end_superseded
from langkeys.errors import ConflictError, LangkeysError, LockedError
from langkeys.manifest.context import Context
from langkeys.manifest.declared import Manifest
from langkeys.manifest.delivery import Deliveries, publish_passwords
from langkeys.manifest.planner import plan
from langkeys.manifest.plans import (
    ADD,
    API_KEY,
    DELIVER,
    REMOVE,
    RENEW,
    KeyAction,
    Plan,
    UserAction,
    VariableAction,
)
from langkeys.manifest.problems import CONFLICT
from langkeys.manifest.stored import stored_for
from langkeys.manifest.writing import Writer
from langkeys.models import ApiKey
from langkeys.store.generations import require_writable
from langkeys.store.protocol import Change
from langkeys.times import now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

ATTEMPTS = 3
"""How often a plan is made that finds a conflict or a lock, as another run may be at work."""


@dataclass(frozen=True)
class Limits:
    """What a run must keep to."""

    prune: bool = False
    most_removals: int | None = None
    expected_id: str | None = None


@dataclass(frozen=True)
class Means:
    """What a run needs beside the context of its plan."""

    cipher: Callable[[], "Cipher"]
    hash_password: Callable[[str], str]
    check_secret_key: Callable[[], None]
    """Raises where the secret key in force must not encrypt anything."""
    agree: Callable[[Plan], None]
    """Asks for leave where something is removed; raises without it."""
    warn: Callable[[str], None]
    is_agreed: bool = False
    """Whatever is removed by the time of the transaction was agreed to beforehand."""
    secret_key: str = ""
    """What keys the id of the plan."""

    def __repr__(self) -> str:
        return "Means()"


def plan_now(manifest: Manifest, context: Context, limits: Limits) -> Plan:
    """Plan by what is stored now, without a lock; raises the error of all problems.

    Another run may be at work, with a key in a file that is in the database in the next moment.
    """
    for attempt in range(ATTEMPTS):
        found = _planned(manifest, context, limits)
        if attempt + 1 == ATTEMPTS or all(p.code != CONFLICT for p in found.problems.found):
            break
    found.problems.require_none()
    return found


def _planned(manifest: Manifest, context: Context, limits: Limits) -> Plan:
    stored = stored_for(context.store, manifest, now())
    return plan(manifest, stored, context, prune=limits.prune)


def check_limits(found: Plan, limits: Limits, secret_key: str) -> None:
    """Raise ConflictError where a plan removes too much, or is another than was expected."""
    if limits.expected_id is not None and found.plan_id(secret_key) != limits.expected_id:
        raise ConflictError(
            f"the plan is {found.plan_id(secret_key)} by now, not the one expected; nothing was"
            " done",
            hint="look at it again: langkeys plan",
        )
    if limits.most_removals is not None and found.removals > limits.most_removals:
        raise ConflictError(
            f"{found.removals} things would be deleted, deactivated or demoted, more than"
            f" {limits.most_removals}; nothing was done",
            hint="if they are meant, use --max-removals N",
        )


def apply(manifest: Manifest, context: Context, limits: Limits, means: Means) -> Plan:
    """Bring what is stored to what is declared; return the plan that was carried out.

    Where others hold the lock for too long, they may be runs of the same manifest: then it is
    planned again, and there may be nothing left to do.
    """
    agreed: set[tuple[str, str, str]] = set()
    for attempt in range(ATTEMPTS):
        first = plan_now(manifest, context, limits)
        check_limits(first, limits, means.secret_key)
        if not first.actions:
            return first
        if any(action.action != REMOVE for action in first.actions):
            require_writable(context.generation, context.store.location)
        if not first.destructive <= agreed:
            means.agree(first)
            agreed |= first.destructive
        try:
            return _carry_out(first, manifest, context, limits, means)
        except LockedError:
            if attempt + 1 == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _carry_out(
    first: Plan, manifest: Manifest, context: Context, limits: Limits, means: Means
) -> Plan:
    if _encrypts(first, context):
        means.check_secret_key()
    writer = Writer(context, means.cipher, means.hash_password)
    with Deliveries() as deliveries:
        deliveries.stage(_delivered(first))
        failpoints.reach("apply-staged")
        publish_passwords(
            context, [a for a in first.actions if isinstance(a, UserAction)], means.warn
        )
        writer.prepare(first)
        with context.store.transaction():
            found = _planned(manifest, context, limits)
            found.problems.require_none()
            check_limits(found, limits, means.secret_key)
            if not means.is_agreed and not found.destructive <= first.destructive:
                raise ConflictError(
                    f"{context.store.location} has just been changed by another process, and more"
                    " would be removed than before; nothing was done",
                    hint="run the command again",
                )
            deliveries.stage(_delivered(found))
            if found.actions:
                plan_id = found.plan_id(means.secret_key)
                context.store.note(Change("apply", "manifest", plan_id, manifest.name))
            for action in found.actions:
                if isinstance(action, KeyAction) and action.action == DELIVER:
                    row = action.current
                    assert row is not None
                    context.store.note(Change("deliver", API_KEY, row.id, row.name, row.user_id))
            writer.write(found)
        failpoints.reach("apply-committed")
        _prove_new(context, writer.new)
        writer.prove()
        failpoints.reach("apply-proved")
        deliveries.publish(_delivered(found))
        failpoints.reach("apply-delivered")
        _end(context, writer, found)
        failpoints.reach("apply-ended")
    for warning in deliveries.warnings:
        means.warn(warning)
    return found


def _delivered(found: Plan) -> list[KeyAction]:
    return [a for a in found.actions if isinstance(a, KeyAction) and a.is_delivered]


def _encrypts(found: Plan, context: Context) -> bool:
    return any(
        (isinstance(action, VariableAction) and action.encrypts(context.generation))
        or (
            isinstance(action, KeyAction)
            and action.action in (ADD, RENEW)
            and context.generation.encrypts_keys
        )
        for action in found.actions
    )


def _prove_new(context: Context, rows: Sequence[ApiKey]) -> None:
    """Hold new keys against what a server would say; those that it would refuse are taken back."""
    if not rows:
        return
    with context.store.key_batch() as batch:
        batch.add(rows)
        with api_keys.revoke_on_failure(context.store, batch):
            context.endings.check_written(rows)
            with context.store.reopened() as fresh:
                api_keys.check_accepted(fresh, rows)


def _end(context: Context, writer: Writer, found: Plan) -> None:
    superseded = writer.superseded(found)
    if not superseded:
        return
    try:
        # Another run at the same time may have ended them already.
        end_superseded(context.store, context.endings, superseded, may_be_gone=True)
    except LangkeysError as error:
        if not context.endings.has_ended:
            error.hint = (
                "the new keys are delivered and work; the next run ends the keys they replace"
            )
        raise
