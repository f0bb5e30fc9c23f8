"""Read manifests for a command, prepare to plan them, and show plans."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from langkeys.cli.invocation import settings_of
from langkeys.cli.output import Output
from langkeys.cli.prompts import stdin_bytes
from langkeys.config import locations
from langkeys.errors import LangkeysError, UsageError
from langkeys.manifest.apply import Limits
from langkeys.manifest.context import Context
from langkeys.manifest.declared import Manifest
from langkeys.manifest.plans import (
    ACTIONS,
    ADD,
    API_KEY,
    KINDS,
    REMOVE,
    USER,
    VARIABLE,
    Action,
    Plan,
    Unlisted,
)
from langkeys.manifest.reader import STDIN, read_manifests
from langkeys.models import dashed
from langkeys.sessions.session import Session
from langkeys.text import counted
from langkeys.variables.lifecycle import require_in_database

Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="A manifest, a folder of them, or - for stdin; repeatable.",
        show_default=False,
    ),
]
Prune = Annotated[
    bool,
    typer.Option("--prune", help="Remove what is not in a list that the file marks as complete."),
]
ExitCode = Annotated[
    bool,
    typer.Option(
        "--exit-code", help="Exit {changes} if there are changes, and exit {done} if not."
    ),
]

_SIGNS = {ADD: "+", REMOVE: "-"}
_TITLES = {USER: "Users", VARIABLE: "Variables", API_KEY: "API keys"}
_NOUNS = {USER: "user", VARIABLE: "variable", API_KEY: "API key"}


def read_manifest(context: typer.Context, files: Sequence[str] | None) -> Manifest:
    """Read the manifests that the options name; raise one error that lists all problems."""
    if not files:
        raise UsageError("no manifest given", hint="use -f FILE, -f FOLDER or -f - for stdin")
    if STDIN in files and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("-f - reads a manifest from stdin, but stdin is a terminal")
    environ = settings_of(context).environ
    return read_manifests(files, environ=environ, read_stdin=lambda: stdin_bytes("a manifest"))


def context_of(session: Session, manifest: Manifest, files: Sequence[str]) -> Context:
    """Return the context of a planner; ConfigError if variables are not in the database."""
    if manifest.every_user or any(
        user.variables or "variables" in user.complete for user in manifest.users.values()
    ):
        require_in_database(session.settings)
    return Context(
        store=session.store,
        settings=session.settings,
        acting=session.acting,
        cipher=lambda: session.reading_cipher,
        endings=session.endings,
        matches_password=session.verify_password,
        was_revoked=session.was_revoked,
        read_files=frozenset(Path(file).resolve() for file in files if file != STDIN),
    )


def plan_id_key(session: Session) -> str:
    """Return the HMAC key for plan ids: the secret key, or the hash of the acting user's password.

    An id depends on declared values: somebody who knew the HMAC key could guess the values from it.
    """
    with suppress(LangkeysError):
        found = locations.find_secret_key(session.settings)
        if found is not None:
            return found.text
    return session.acting.user.password_hash


def limits_of(*, prune: bool) -> Limits:
    """Return the limits of a command that only shows its plan."""
    return Limits(prune=prune)


def show_plan(
    out: Output, session: Session, plan: Plan, *, dry_run: bool, is_done: bool = False
) -> None:
    """Show a plan, before or after its execution: as JSON, as lines, or as text."""
    plan_id = plan.plan_id(plan_id_key(session))
    if out.as_json:
        out.document(_document(plan, plan_id, dry_run=dry_run))
        return
    for warning in plan.warnings:
        out.warn(warning)
    for unlisted in plan.not_listed:
        does = "deactivates" if unlisted.kind == USER else "removes"
        out.note(f"not listed: {_unlisted_named(unlisted)}; --prune {does} it")
    if out.is_terminal:
        out.sentence(*_lines(plan))
    else:
        out.rows(map(_row, plan.actions))
    said = "applied" if is_done else "plan"
    where = session.store.location
    out.note(f"{said} {plan_id}: {_summary_said(plan, is_done=is_done)}, in {where}")


def _summary_said(plan: Plan, *, is_done: bool) -> str:
    words = ("added", "changed", "renewed", "delivered", "removed")
    counts = [
        f"{plan.count(action)} {'' if is_done else 'to be '}{word}"
        for action, word in zip(ACTIONS, words, strict=True)
        if plan.count(action)
    ]
    kept = ", ".join(counted(plan.kept[kind], _NOUNS[kind]) for kind in KINDS if plan.kept[kind])
    return f"{', '.join(counts) or 'no changes'}" + (f"; {kept} unchanged" if kept else "")


def _row(action: Action) -> tuple[str, ...]:
    return (
        action.action,
        action.kind,
        action.owner.username,
        action.name,
        ",".join(action.fields),
        action.detail,
    )


def _lines(plan: Plan) -> Iterator[str]:
    for kind in KINDS:
        actions = [action for action in plan.actions if action.kind == kind]
        kept = plan.kept[kind]
        if not actions and not kept:
            continue
        yield f"{_TITLES[kind]} ({kept} unchanged)" if kept else _TITLES[kind]
        for action in actions:
            named = action.name if kind == USER else f"{action.name} of {action.owner.username}"
            does = action.action if action.action not in (*_SIGNS, "change") else ""
            parts = (", ".join(action.fields), action.detail)
            said = "; ".join(filter(None, (does, *parts)))
            yield f"  {_SIGNS.get(action.action, '~')} {named}" + (f"  ({said})" if said else "")
    if not plan.actions:
        yield "No changes."


def _unlisted_named(unlisted: Unlisted) -> str:
    named = f"{_NOUNS[unlisted.kind]} {unlisted.name}"
    if unlisted.kind != USER:
        named += f" of {unlisted.owner.username}"
    return f"{named} ({dashed(unlisted.id)})"


def _document(plan: Plan, plan_id: str, *, dry_run: bool) -> dict[str, Any]:
    return {
        "changed": bool(plan.actions),
        "dry_run": dry_run,
        "plan_id": plan_id,
        "summary": {
            **{action: plan.count(action) for action in ACTIONS},
            "kept": sum(plan.kept.values()),
        },
        "changes": [
            {
                "action": action.action,
                "kind": action.kind,
                "id": None if action.id is None else dashed(action.id),
                "username": action.owner.username,
                "name": action.name,
                "fields": list(action.fields),
                "detail": action.detail,
            }
            for action in plan.actions
        ],
        "not_listed": [_unlisted_object(unlisted) for unlisted in plan.not_listed],
        "others": [_unlisted_object(unlisted) for unlisted in plan.others],
        "warnings": list(plan.warnings),
    }


def _unlisted_object(unlisted: Unlisted) -> dict[str, Any]:
    return {
        "kind": unlisted.kind,
        "id": dashed(unlisted.id),
        "username": unlisted.owner.username,
        "name": unlisted.name,
    }
