"""``langkeys variable``: one file for each verb, imported when the verb is called."""

from typing import ClassVar

from langkeys.cli.groups import Group
from langkeys.cli.options import new_app


class VariableGroup(Group):
    """The verbs of ``langkeys variable``."""

    members: ClassVar = {
        "set": ("langkeys.cli.variable.set", "Create or update a variable."),
        "list": ("langkeys.cli.variable.list", "List variables."),
        "show": ("langkeys.cli.variable.show", "Show one variable."),
        "delete": ("langkeys.cli.variable.delete", "Delete variables."),
        "import": ("langkeys.cli.variable.import_", "Import variables from a .env file."),
        "export": ("langkeys.cli.variable.export", "Export variables with their values."),
        "explain": ("langkeys.cli.variable.explain", "Explain which value a server uses."),
    }


app = new_app(cls=VariableGroup)


@app.callback()
def variable() -> None:
    """Set, list, import and export the variables that flows use.

    \b
    Examples:
      langkeys variable set OPENAI_API_KEY
      langkeys variable list
      langkeys variable import prod.env --dry-run

    Langflow's Settings call these variables Global Variables. A variable belongs to a user. Its
    type is Credential (the value is only shown with --reveal) or Generic. NAME is its name or,
    except in set, its id.
    """
