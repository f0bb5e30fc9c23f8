"""Variables of a session, and variables as rows, cards and JSON: the same for every command."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from langkeys.cli.invocation import session_of
from langkeys.cli.key_rows import person_time
from langkeys.cli.output import Output
from langkeys.models import CREDENTIAL, Variable, dashed
from langkeys.sessions.session import Access, Session
from langkeys.times import iso_or_none
from langkeys.variables.lifecycle import find_value, require_in_database, shown_value

VariableArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The variable's name, or its id.", show_default=False),
]


def variable_session(context: typer.Context, *, access: Access) -> Session:
    """Make a session whose variables are in the database; raise ConfigError where they are not."""
    session = session_of(context, access=access)
    require_in_database(session.settings)
    return session


def variable_object(variable: Variable, value: str | None, *, opens: bool | None) -> dict[str, Any]:
    """Return a variable as JSON: Langflow's REST fields in their order, then ours."""
    return {
        "id": dashed(variable.id),
        "name": variable.name,
        "type": variable.type,
        "value": value,
        "default_fields": variable.default_fields,
        "user_id": dashed(variable.user_id),
        "username": variable.username,
        "created_at": iso_or_none(variable.created_at),
        "updated_at": iso_or_none(variable.updated_at),
        "opens": opens,
    }


def opened(
    session: Session, variables: Iterable[Variable]
) -> Iterator[tuple[Variable, str | None]]:
    """Yield variables with their values, None where the secret key does not open one."""
    for variable in variables:
        yield variable, find_value(variable, lambda: session.reading_cipher)


def warn_of_overwriting(session: Session, names: Sequence[str]) -> None:
    """Say of variables that have just been set what a server of 1.5 to 1.7 does to them."""
    if (
        names
        and not session.generation.keeps_set_variables
        and session.settings.flag("LANGFLOW_STORE_ENVIRONMENT_VARIABLES")
    ):
        session.warn(
            f"a Langflow {session.generation.release} server overwrites"
            f" {', '.join(names)} when it starts or the user logs in, if its"
            " environment has another value and it imports the name;"
            " LANGFLOW_STORE_ENVIRONMENT_VARIABLES=false prevents that"
        )


_COLUMNS = ("NAME", "TYPE", "VALUE", "APPLIES TO", "USER", "CREATED", "UPDATED")


def show_variables(
    out: Output,
    session: Session,
    pairs: Iterable[tuple[Variable, str | None]],
    moment: datetime,
    *,
    as_array: bool = True,
) -> None:
    """Show pairs of a variable and its value, as every command does; no Credential's value."""
    generation = session.generation
    shown = (
        (variable, shown_value(variable, generation, value), value is not None)
        for variable, value in pairs
    )
    show_shown(out, shown, moment, as_array=as_array)


def show_shown(
    out: Output,
    shown: Iterable[tuple[Variable, str | None, bool | None]],
    moment: datetime,
    *,
    as_array: bool = True,
) -> None:
    """Show variables, each with what may be seen of its value and whether it opens.

    A server that is asked over REST does not tell whether it does: None.
    """
    if out.as_json:
        objects = (variable_object(v, value, opens=opens) for v, value, opens in shown)
        if as_array:
            out.array(objects)
        else:
            out.document(next(objects))
    elif out.is_terminal:
        if not out.table(_COLUMNS, (_person_row(*item, moment) for item in shown)):
            out.note("no variables")
    else:
        out.rows(_piped_row(variable, value, opens) for variable, value, opens in shown)


def person_value(variable: Variable, value: str | None, *, opens: bool | None) -> str:
    """Say for a person what a variable's value is, or why it does not show."""
    if opens is False:
        return "(cannot decrypt)"
    if value is None:
        return "(hidden)" if variable.type == CREDENTIAL else "(encrypted)"
    return value or "(none)"


def _person_row(
    variable: Variable, value: str | None, opens: bool | None, moment: datetime
) -> list[str]:
    return [
        variable.name,
        variable.type or "",
        person_value(variable, value, opens=opens),
        ", ".join(variable.default_fields or ()),
        variable.username or "",
        person_time(variable.created_at, moment),
        person_time(variable.updated_at, moment),
    ]


def _piped_row(variable: Variable, value: str | None, opens: bool | None) -> tuple[object, ...]:
    return (
        dashed(variable.id),
        variable.name,
        variable.type,
        value,
        ",".join(variable.default_fields or ()),
        variable.username,
        iso_or_none(variable.created_at),
        iso_or_none(variable.updated_at),
        None if opens is None else str(opens).lower(),
    )
