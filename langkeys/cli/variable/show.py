"""``langkeys variable show``."""

from typing import Annotated

import typer

from langkeys.cli.invocation import variable_session
from langkeys.cli.messages import warn_of_undecryptable
from langkeys.cli.options import JsonCommand, UserOption, VariableArgument, invocation, new_app
from langkeys.cli.present.columns import shows
from langkeys.cli.present.variables import VARIABLES, variable_object, variable_row
from langkeys.errors import SecretKeyError
from langkeys.sessions.session import Access
from langkeys.text import visible
from langkeys.times import now
from langkeys.variables import lifecycle as variables

app = new_app()


@app.command(cls=JsonCommand)
@shows(VARIABLES)
def show(
    context: typer.Context,
    name: VariableArgument,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print only the value.")] = False,
    user: UserOption = None,
) -> None:
    """Show one variable. With --reveal, print only its value and a newline.

    {columns}

    \b
    Examples:
      langkeys variable show OPENAI_API_KEY
      OPENAI_API_KEY=$(langkeys variable show OPENAI_API_KEY --reveal)
    """
    out = invocation(context).output
    out.require_stdout()
    with variable_session(context, access=Access.READ) as session:
        owner = session.owner(user)
        variable = variables.get_variable(session.store, owner, name)
        value = variables.find_value(variable, lambda: session.reading_cipher)
        if value is None and not reveal:
            warn_of_undecryptable(session, "variable")
        if reveal:
            if value is None:
                raise SecretKeyError(
                    f"the secret key from {session.cipher.source} cannot decrypt variable"
                    f" {variable.name} for {owner.username} in {session.store.location}",
                    hint="to see what else cannot be decrypted: langkeys doctor",
                )
            if out.as_json:
                out.document(variable_object(variable, value, can_decrypt=True))
            elif out.is_terminal:
                out.data("".join(f"{visible(line)}\n" for line in value.split("\n")))
            else:
                out.exact_lines([value])
        else:
            VARIABLES.show_card(out, variable_row(session, variable, value), now())
