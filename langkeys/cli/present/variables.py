"""Show variables as rows, cards and JSON: their columns, and the functions that print them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from langkeys.cli.output import Head, Output
from langkeys.cli.present.columns import Column, Kind, Listing
from langkeys.models import CREDENTIAL, Variable, dashed
from langkeys.sessions.session import Session
from langkeys.variables.lifecycle import find_value, shown_value


class VariableRow(NamedTuple):
    """A variable, its value if it may be shown, and whether the secret key decrypts it.

    ``can_decrypt`` is None over REST, because a server does not report it.
    """

    variable: Variable
    value: str | None
    can_decrypt: bool | None


def _person_value(row: VariableRow) -> str:
    if row.can_decrypt is False:
        return "(cannot decrypt)"
    if row.value is None:
        return "(hidden)" if row.variable.type == CREDENTIAL else "(encrypted)"
    return row.value or "(none)"


VARIABLES: Listing[VariableRow] = Listing(
    Column("id", lambda row: dashed(row.variable.id), "The variable's id", kind=Kind.ID, piped=1),
    Column(
        "name",
        lambda row: row.variable.name,
        "The variable's name",
        piped=2,
        head=Head("NAME", least=14, is_kept=True),
    ),
    Column(
        "type",
        lambda row: row.variable.type,
        "`Credential` or `Generic`",
        piped=3,
        head=Head("TYPE"),
    ),
    Column(
        "value",
        lambda row: row.value,
        "The value of a Generic variable; always empty for a Credential",
        piped=4,
        head=Head("VALUE", least=8),
        person=_person_value,
    ),
    Column(
        "default_fields",
        lambda row: row.variable.default_fields,
        "The fields that the variable fills in by default",
        kind=Kind.TEXTS,
        piped=5,
        head=Head("APPLIES TO", least=10, rank=3),
    ),
    Column("user_id", lambda row: dashed(row.variable.user_id), "The owner's id", kind=Kind.ID),
    Column(
        "username",
        lambda row: row.variable.username,
        "The owner's name; empty if the user does not exist",
        piped=6,
        head=Head("USER", least=6),
    ),
    Column(
        "created_at",
        lambda row: row.variable.created_at,
        "When the variable was created",
        kind=Kind.TIME,
        piped=7,
        head=Head("CREATED", rank=2),
    ),
    Column(
        "updated_at",
        lambda row: row.variable.updated_at,
        "When the variable last changed",
        kind=Kind.TIME,
        piped=8,
        head=Head("UPDATED", rank=1),
    ),
    Column(
        "opens",
        lambda row: row.can_decrypt,
        "Whether the value can be decrypted or is not encrypted; empty over REST",
        kind=Kind.FLAG,
        piped=9,
    ),
    nothing="no variables",
)


def variable_object(
    variable: Variable, value: str | None, *, can_decrypt: bool | None
) -> dict[str, Any]:
    """Return a variable as a JSON object: first Langflow's REST fields, then langkeys' fields."""
    return VARIABLES.document(VariableRow(variable, value, can_decrypt))


def variable_row(session: Session, variable: Variable, value: str | None) -> VariableRow:
    """Return the row of a variable in the session's database; ``value`` is its decrypted value."""
    return VariableRow(
        variable, shown_value(variable, session.generation, value), value is not None
    )


def with_values(
    session: Session, variables: Iterable[Variable]
) -> Iterator[tuple[Variable, str | None]]:
    """Yield variables with their values, or None if a value cannot be decrypted."""
    for variable in variables:
        yield variable, find_value(variable, lambda: session.reading_cipher)


def show_variables(
    out: Output,
    session: Session,
    pairs: Iterable[tuple[Variable, str | None]],
    moment: datetime,
    *,
    as_array: bool = True,
) -> None:
    """Show pairs of a variable and its value; the value of a Credential is hidden."""
    rows = (variable_row(session, variable, value) for variable, value in pairs)
    VARIABLES.show(out, rows, moment, as_array=as_array)


def show_variable_rows(
    out: Output,
    shown: Iterable[tuple[Variable, str | None, bool | None]],
    moment: datetime,
    *,
    as_array: bool = True,
) -> None:
    """Show variables, each with the fields of ``VariableRow``."""
    VARIABLES.show(out, (VariableRow(*item) for item in shown), moment, as_array=as_array)
