"""Show users as rows, cards and JSON: their columns, and the functions that print them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from langkeys.cli.output import Head, Output
from langkeys.cli.present.columns import Column, Kind, Listing
from langkeys.models import User, UserSummary, dashed
from langkeys.times import now

USERS: Listing[UserSummary] = Listing(
    Column("id", lambda row: dashed(row.user.id), "The user's id", kind=Kind.ID, piped=1),
    Column(
        "username",
        lambda row: row.user.username,
        "The user name",
        piped=2,
        head=Head("USER", least=8, is_kept=True),
    ),
    Column("profile_image", lambda row: row.user.profile_image, "The picture's file name"),
    Column("store_api_key", lambda _: None, "Always empty: langkeys never shows it"),
    Column(
        "is_active",
        lambda row: row.user.is_active,
        "Whether the user can log in",
        kind=Kind.FLAG,
        piped=3,
        head=Head("STATUS"),
        cell=lambda row: "active" if row.user.is_active else "inactive",
        person=lambda row: "yes" if row.user.is_active else "no",
    ),
    Column(
        "is_superuser",
        lambda row: row.user.is_superuser,
        "Whether the user is a superuser",
        kind=Kind.FLAG,
        piped=4,
        head=Head("ROLE"),
        cell=lambda row: "superuser" if row.user.is_superuser else "user",
        person=lambda row: "yes" if row.user.is_superuser else "no",
    ),
    Column(
        "create_at",
        lambda row: row.user.created_at,
        "When the user was created (Langflow's spelling)",
        kind=Kind.TIME,
        piped=7,
        head=Head("CREATED", rank=2),
    ),
    Column(
        "updated_at", lambda row: row.user.updated_at, "When the user last changed", kind=Kind.TIME
    ),
    Column(
        "last_login_at",
        lambda row: row.user.last_login_at,
        "When the user last logged in; empty if never",
        kind=Kind.TIME,
        piped=8,
        head=Head("LAST LOGIN", rank=1),
    ),
    Column(
        "optins",
        lambda row: row.user.optins,
        "What the user has opted in to; missing if not stored",
        plain=lambda row: None if row.user.optins is None else _compact(row.user.optins),
        person=lambda row: "-" if row.user.optins is None else _compact(row.user.optins),
        is_optional=True,
    ),
    Column(
        "api_keys",
        lambda row: row.api_keys,
        "How many API keys the user has; empty over REST",
        kind=Kind.NUMBER,
        piped=5,
        head=Head("KEYS", rank=3),
        unit="API key",
    ),
    Column(
        "variables",
        lambda row: row.variables,
        "How many variables the user has; empty over REST",
        kind=Kind.NUMBER,
        piped=6,
        head=Head("VARIABLES", rank=4),
        unit="variable",
    ),
    nothing="no users",
)

REST_FIELDS = tuple(
    column.name for column in USERS.columns if column.name not in ("api_keys", "variables")
)
"""The fields of Langflow's ``GET /api/v1/users/whoami``, in its order."""


def _compact(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def user_object(user: User) -> dict[str, Any]:
    """Return a user as a JSON object, as in Langflow's ``GET /api/v1/users/whoami``."""
    described = USERS.document(UserSummary(user, None, None))
    return {name: content for name, content in described.items() if name in REST_FIELDS}


def show_users(out: Output, summaries: Iterable[UserSummary], moment: datetime) -> None:
    """Show users."""
    USERS.show(out, summaries, moment)


def show_user(
    out: Output, summary: UserSummary, moment: datetime, additions: dict[str, Any] | None = None
) -> None:
    """Show one user as a row; ``additions`` are appended to the JSON object."""
    if out.as_json:
        out.document({**USERS.document(summary, out.fields), **(additions or {})})
    else:
        show_users(out, [summary], moment)


def show_existing(
    out: Output, summary: UserSummary, location: str, *, superuser: bool, option: str = ""
) -> None:
    """Show a user that exists already, and warn of differences from the request.

    ``option`` is what a command needs in addition to find the same server.
    """
    user = summary.user
    out.note(f"{user.username} already exists in {location}; nothing was changed")
    if superuser and not user.is_superuser:
        command = f"langkeys user promote {user.username} {option}".rstrip()
        out.warn(f"{user.username} is not a superuser; to make them one: {command}")
    warn_of_inactive(out, user)
    show_user(out, summary, now(), {"changed": False})


def warn_of_inactive(out: Output, user: User) -> None:
    """Warn if a user cannot log in, because they are inactive."""
    if not user.is_active:
        out.warn(f"{user.username} is inactive, and cannot log in until they are activated")


def show_user_card(out: Output, summary: UserSummary, moment: datetime | None = None) -> None:
    """Show all fields of one user."""
    USERS.show_card(out, summary, moment or now())
