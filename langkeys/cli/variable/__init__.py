"""``langkeys variable``: a file a verb, imported when it is called."""

from typing import ClassVar

from langkeys.cli.options import Group, new_app


class VariableGroup(Group):
    """The verbs of ``langkeys variable``."""

    members: ClassVar = {
        "set": ("langkeys.cli.variable.set", "Create or update a variable."),
        "list": ("langkeys.cli.variable.list", "List variables."),
        "show": ("langkeys.cli.variable.show", "Show one variable."),
        "delete": ("langkeys.cli.variable.delete", "Delete variables."),
        "import": ("langkeys.cli.variable.import_", "Store what a .env file gives."),
        "export": ("langkeys.cli.variable.export", "Write all values out."),
        "explain": ("langkeys.cli.variable.explain", "Say which value wins, and why."),
    }


app = new_app(cls=VariableGroup)


@app.callback()
def variable() -> None:
    """Set, list and move the variables that flows use: Global Variables in Langflow's Settings.

    A variable belongs to a user and is of type Credential (its value never shows without --reveal)
    or Generic. NAME is its name; its id will do, too, except in set.
    """
