"""Users as rows, cards and JSON: the same for every command."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer

from langkeys.authentication import superuser_at_risk
from langkeys.cli.key_rows import person_time
from langkeys.cli.output import Output
from langkeys.models import User, UserSummary, dashed
from langkeys.sessions.session import Session
from langkeys.times import iso, iso_or_none, relative

UserArgument = Annotated[
    str, typer.Argument(metavar="USER", help="The user, by user name or id.", show_default=False)
]


def user_object(user: User) -> dict[str, Any]:
    """Return a user as Langflow's ``GET /api/v1/users/whoami`` does: its fields in their order."""
    described: dict[str, Any] = {
        "id": dashed(user.id),
        "username": user.username,
        "profile_image": user.profile_image,
        "store_api_key": None,
        "is_active": user.is_active,
        "is_superuser": user.is_superuser,
        "create_at": iso(user.created_at),
        "updated_at": iso(user.updated_at),
        "last_login_at": iso_or_none(user.last_login_at),
    }
    if user.optins is not None:
        described["optins"] = user.optins
    return described


def summary_object(summary: UserSummary) -> dict[str, Any]:
    """Return a user as JSON: Langflow's REST fields, then the counts of what they have."""
    return {
        **user_object(summary.user),
        "api_keys": summary.api_keys,
        "variables": summary.variables,
    }


_COLUMNS = ("USER", "ROLE", "STATE", "KEYS", "VARIABLES", "CREATED", "LAST LOGIN")


def show_users(out: Output, summaries: Iterable[UserSummary], moment: datetime) -> None:
    """Show users, as every command does that shows them."""
    if out.as_json:
        out.array(map(summary_object, summaries))
    elif out.is_terminal:
        out.table(_COLUMNS, (_person_row(summary, moment) for summary in summaries))
    else:
        out.rows(map(_piped_row, summaries))


def show_user(
    out: Output, summary: UserSummary, moment: datetime, additions: dict[str, Any] | None = None
) -> None:
    """Show one user; ``additions`` are fields for the end of the JSON object."""
    if out.as_json:
        out.document({**summary_object(summary), **(additions or {})})
    else:
        show_users(out, [summary], moment)


_USER_TIMES = {
    "create_at": "created_at", "updated_at": "updated_at", "last_login_at": "last_login_at",
}  # fmt: skip


def show_user_card(out: Output, summary: UserSummary, moment: datetime) -> None:
    """Show everything that is known of one user."""
    if not out.is_sentences:
        show_user(out, summary, moment)
        return
    described = summary_object(summary)
    for hidden in ("store_api_key", "optins"):
        described.pop(hidden, None)
    out.card(
        {
            name: person_time(getattr(summary.user, _USER_TIMES[name]), moment)
            if name in _USER_TIMES
            else str("" if content is None else content)
            for name, content in described.items()
        }
    )


def _person_row(summary: UserSummary, moment: datetime) -> list[str]:
    user = summary.user
    return [
        user.username,
        "superuser" if user.is_superuser else "user",
        "active" if user.is_active else "INACTIVE",
        "-" if summary.api_keys is None else str(summary.api_keys),
        "-" if summary.variables is None else str(summary.variables),
        relative(user.created_at, moment),
        "-" if user.last_login_at is None else relative(user.last_login_at, moment),
    ]


def _piped_row(summary: UserSummary) -> tuple[object, ...]:
    user = summary.user
    return (
        dashed(user.id),
        user.username,
        str(user.is_active).lower(),
        str(user.is_superuser).lower(),
        summary.api_keys,
        summary.variables,
        iso(user.created_at),
        iso_or_none(user.last_login_at),
    )


def warn_of_fate(session: Session, user: User) -> None:
    """Say what servers do to an account like this one, if they do."""
    if superuser_at_risk(session.settings, session.generation, user) is not None:
        fate = "delete" if session.generation.deletes_default_superuser else "retire"
        session.warn(
            f"with LANGFLOW_AUTO_LOGIN=false Langflow {session.generation.release}"
            f" servers {fate} the superuser {user.username!r} as long as it has never"
            " logged in: choose another name"
        )
