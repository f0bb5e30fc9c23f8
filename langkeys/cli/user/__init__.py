"""``langkeys user``: a file a verb, imported when it is called."""

from typing import ClassVar

from langkeys.cli.options import Group, new_app


class UserGroup(Group):
    """The verbs of ``langkeys user``."""

    members: ClassVar = {
        "list": ("langkeys.cli.user.list", "List users."),
        "show": ("langkeys.cli.user.show", "Show one user."),
        "create": ("langkeys.cli.user.create", "Make a user."),
        "set-password": ("langkeys.cli.user.set_password", "Give a user another password."),
        "activate": ("langkeys.cli.user.activate", "Let a user in again."),
        "deactivate": ("langkeys.cli.user.deactivate", "Keep a user out."),
        "promote": ("langkeys.cli.user.promote", "Make a user a superuser."),
        "demote": ("langkeys.cli.user.demote", "Make a superuser an ordinary user."),
    }


app = new_app(cls=UserGroup)


@app.callback()
def user() -> None:
    """Make, list and change the users of a Langflow server.

    USER is a user name or an id. Users are not deleted here: their flows and projects hang on them,
    and to take those along is Langflow's job. Deactivate them instead.
    """
