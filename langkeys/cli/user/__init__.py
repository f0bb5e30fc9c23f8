"""``langkeys user``: a file a verb, imported when it is called."""

from typing import ClassVar

from langkeys.cli.groups import Group
from langkeys.cli.options import new_app


class UserGroup(Group):
    """The verbs of ``langkeys user``."""

    members: ClassVar = {
        "list": ("langkeys.cli.user.list", "List users."),
        "show": ("langkeys.cli.user.show", "Show one user."),
        "create": ("langkeys.cli.user.create", "Create a user."),
        "set-password": ("langkeys.cli.user.set_password", "Change a user's password."),
        "activate": ("langkeys.cli.user.activate", "Activate a deactivated user."),
        "deactivate": ("langkeys.cli.user.deactivate", "Deactivate a user."),
        "promote": ("langkeys.cli.user.promote", "Make a user a superuser."),
        "demote": ("langkeys.cli.user.demote", "Make a superuser a regular user."),
    }


app = new_app(cls=UserGroup)


@app.callback()
def user() -> None:
    """Create, list and change the users of a Langflow server.

    \b
    Examples:
      langkeys user list
      langkeys user create alice
      langkeys user deactivate alice

    USER is a user name or an id. Users cannot be deleted here, because their flows and projects
    depend on them: delete them in Langflow, or deactivate them instead.
    """
