"""``langkeys variable show``."""

from typing import Annotated

import typer

from langkeys.cli.key_rows import UserOption, person_time, warn_of_closed
from langkeys.cli.options import JsonCommand, invocation, new_app
from langkeys.cli.output import Output
from langkeys.cli.variable_rows import (
    VariableArgument,
    person_value,
    show_variables,
    variable_object,
    variable_session,
)
from langkeys.errors import SecretKeyError
from langkeys.models import Variable, dashed
from langkeys.sessions.session import Access
from langkeys.times import now
from langkeys.variables import lifecycle as variables

app = new_app()


@app.command(cls=JsonCommand)
def show(
    context: typer.Context,
    name: VariableArgument,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print only the value.")] = False,
    user: UserOption = None,
) -> None:
    """Show one variable. With --reveal, print only its value and a newline.

    Piped columns: those of list.

    \b
    Examples:
      langkeys variable show OPENAI_API_KEY
      OPENAI_API_KEY=$(langkeys variable show OPENAI_API_KEY --reveal)
    """
    out = invocation(context).output
    out.require_stdout()
    with variable_session(context, access=Access.READ) as session:
        owner = session.owner(user)
        variable = variables.resolved(session.store, owner, name)
        value = variables.find_value(variable, lambda: session.reading_cipher)
        if value is None and not reveal:
            warn_of_closed(session, "this variable")
        if reveal:
            if value is None:
                raise SecretKeyError(
                    f"the secret key from {session.cipher.source} cannot decrypt variable"
                    f" {variable.name} of {owner.username} in {session.store.location}",
                    hint="to see what else cannot be decrypted: langkeys doctor",
                )
            if out.as_json:
                out.document(variable_object(variable, value, opens=True))
            elif out.is_terminal:
                out.sentence(*value.split("\n"))
            else:
                out.exact_lines([value])
        elif out.is_sentences:
            shown = variables.shown_value(variable, session.generation, value)
            _show_card(out, variable, shown, opens=value is not None)
        else:
            show_variables(out, session, [(variable, value)], now(), as_array=False)


def _show_card(out: Output, variable: Variable, shown: str | None, *, opens: bool) -> None:
    moment = now()
    out.card(
        {
            "id": dashed(variable.id),
            "name": variable.name,
            "type": variable.type or "",
            "value": person_value(variable, shown, opens=opens),
            "default_fields": ", ".join(variable.default_fields or ()),
            "username": variable.username or "",
            "created_at": person_time(variable.created_at, moment),
            "updated_at": person_time(variable.updated_at, moment),
        }
    )
