"""``langkeys api-key``: one file for each verb, imported when the verb is called."""

from typing import ClassVar

from langkeys.cli.groups import Group
from langkeys.cli.options import new_app


class ApiKeyGroup(Group):
    """``langkeys api-key`` alone is ``langkeys api-key create``."""

    default = "create"
    members: ClassVar = {
        "create": ("langkeys.cli.api_key.create", "Create an API key (default command)."),
        "list": ("langkeys.cli.api_key.list", "List API keys."),
        "show": ("langkeys.cli.api_key.show", "Show one API key."),
        "update": ("langkeys.cli.api_key.update", "Change a key's name or expiry."),
        "activate": ("langkeys.cli.api_key.activate", "Activate a deactivated key."),
        "deactivate": (
            "langkeys.cli.api_key.deactivate",
            "Deactivate a key until it is activated again.",
        ),
        "rotate": ("langkeys.cli.api_key.rotate", "Replace keys with new ones."),
        "prune": ("langkeys.cli.api_key.prune", "Revoke all keys that match filters."),
        "ensure": ("langkeys.cli.api_key.ensure", "Make sure that a key file holds a working key."),
        "revoke": ("langkeys.cli.api_key.revoke", "Revoke API keys."),
        "migrate": (
            "langkeys.cli.api_key.migrate",
            "Re-encrypt stored keys in the server's current format.",
        ),
    }


app = new_app(cls=ApiKeyGroup)


@app.callback()
def api_key() -> None:
    """Create, list, rotate and revoke API keys (x-api-key: sk-...).

    \b
    Examples:
      langkeys api-key                          create a key and print it
      langkeys api-key list --all-users
      langkeys api-key rotate ci --grace 1h
      langkeys api-key revoke - < leaked.txt

    If no command is given, create runs. REF identifies a key: its id or a unique prefix of it, its
    exact name, the visible start of the key (sk-XXXXX), or - to read whole keys from stdin, one a
    line. Looking up a key by its visible start decrypts every key, so it is slower with many
    keys. On Langflow 1.8 and older, looking up a whole key does, too.
    """
