"""Apply a manifest: plan without a lock, plan again under the lock, commit once, deliver.

If a run dies before it has finished, the next run completes it: it delivers API keys from the
database again, and ``langkeys.manifest.succession`` finds superseded keys.
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
from langkeys.manifest.stored import read_stored
from langkeys.manifest.writing import Writer
from langkeys.models import ApiKey
from langkeys.store.generations import require_writable
from langkeys.store.protocol import Change
from langkeys.times import now

if TYPE_CHECKING:
    from langkeys.crypto.cipher import Cipher

ATTEMPTS = 3
"""The maximum number of attempts after a conflict or a lock: another run may be active."""


@dataclass(frozen=True)
class Limits:
    """Limits of a run: see ``check_limits``. ``prune`` removes entries that are not listed."""

    prune: bool = False
    max_removals: int | None = None
    expected_id: str | None = None


@dataclass(frozen=True)
class Services:
    """The functions and options that ``apply`` needs in addition to the plan's context."""

    cipher: Callable[[], "Cipher"]
    hash_password: Callable[[str], str]
    check_secret_key: Callable[[], None]
    """Raises an error if the current secret key must not encrypt anything."""
    confirm: Callable[[Plan], None]
    """Asks for confirmation if the plan removes something; raises an error if the user declines."""
    warn: Callable[[str], None]
    is_confirmed: bool = False
    """Whether all removals are confirmed in advance, including those found only under the lock."""
    secret_key: str = ""
    """The HMAC key for the plan's id; see ``Plan.plan_id``."""

    def __repr__(self) -> str:
        return "Services()"


def plan_now(manifest: Manifest, context: Context, limits: Limits) -> Plan:
    """Plan without a lock; raise an error that lists all problems.

    A conflict is planned again: another run may publish a file just before its commit.
    """
    for attempt in range(ATTEMPTS):
        found = _make_plan(manifest, context, limits)
        if attempt + 1 == ATTEMPTS or all(p.code != CONFLICT for p in found.problems.found):
            break
    found.problems.require_none()
    return found


def _make_plan(manifest: Manifest, context: Context, limits: Limits) -> Plan:
    stored = read_stored(context.store, manifest, now())
    return plan(manifest, stored, context, prune=limits.prune)


def check_limits(found: Plan, limits: Limits, secret_key: str) -> None:
    """Raise ConflictError if a plan removes too much, or does not have the expected id."""
    if limits.expected_id is not None and found.plan_id(secret_key) != limits.expected_id:
        raise ConflictError(
            f"the plan is {found.plan_id(secret_key)} by now, not the one expected; nothing was"
            " done",
            hint="look at it again: langkeys plan",
        )
    if limits.max_removals is not None and found.removals > limits.max_removals:
        raise ConflictError(
            f"{found.removals} things would be deleted, deactivated or demoted, more than"
            f" {limits.max_removals}; nothing was done",
            hint="if they are meant, use --max-removals N",
        )


def apply(manifest: Manifest, context: Context, limits: Limits, services: Services) -> Plan:
    """Change the database to the state that the manifest declares; return the executed plan.

    If the database is locked for too long, this plans again: another run of the same manifest may
    hold the lock, and then nothing is left to do.
    """
    confirmed: set[tuple[str, str, str]] = set()
    for attempt in range(ATTEMPTS):
        first = plan_now(manifest, context, limits)
        check_limits(first, limits, services.secret_key)
        if not first.actions:
            return first
        if any(action.action != REMOVE for action in first.actions):
            require_writable(context.generation, context.store.location)
        if not first.destructive <= confirmed:
            services.confirm(first)
            confirmed |= first.destructive
        try:
            return _carry_out(first, manifest, context, limits, services)
        except LockedError:
            if attempt + 1 == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _carry_out(
    first: Plan, manifest: Manifest, context: Context, limits: Limits, services: Services
) -> Plan:
    if _encrypts(first, context):
        services.check_secret_key()
    writer = Writer(context, services.cipher, services.hash_password)
    with Deliveries() as deliveries:
        deliveries.stage(_delivered(first))
        failpoints.reach("apply-staged")
        publish_passwords(
            context, [a for a in first.actions if isinstance(a, UserAction)], services.warn
        )
        writer.prepare(first)
        with context.store.transaction():
            found = _make_plan(manifest, context, limits)
            found.problems.require_none()
            check_limits(found, limits, services.secret_key)
            if not services.is_confirmed and not found.destructive <= first.destructive:
                raise ConflictError(
                    f"{context.store.location} has just been changed by another process, and more"
                    " would be removed than before; nothing was done",
                    hint="run the command again",
                )
            deliveries.stage(_delivered(found))
            if found.actions:
                plan_id = found.plan_id(services.secret_key)
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
        services.warn(warning)
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
    """Check that a server would accept the new keys; otherwise delete them again."""
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
        # Another run at the same time may already have ended them.
        end_superseded(context.store, context.endings, superseded, may_be_gone=True)
    except LangkeysError as error:
        if not context.endings.has_ended:
            error.hint = (
                "the new keys are delivered and work; the next run ends the keys they replace"
            )
        raise
