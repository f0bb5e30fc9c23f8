"""``langkeys api-key``: a file a verb, imported when it is called."""

from typing import ClassVar

from langkeys.cli.options import Group, new_app


class ApiKeyGroup(Group):
    """``langkeys api-key`` alone is ``langkeys api-key create``."""

    default = "create"
    members: ClassVar = {
        "create": ("langkeys.cli.api_key.create", "Make an API key; the default."),
        "list": ("langkeys.cli.api_key.list", "List API keys."),
        "show": ("langkeys.cli.api_key.show", "Show one API key."),
        "update": ("langkeys.cli.api_key.update", "Give a key another name or another end."),
        "activate": ("langkeys.cli.api_key.activate", "Let a deactivated key in again."),
        "deactivate": ("langkeys.cli.api_key.deactivate", "Turn a key off until activated."),
        "rotate": ("langkeys.cli.api_key.rotate", "Replace keys by new ones."),
        "prune": ("langkeys.cli.api_key.prune", "Revoke all keys that match filters."),
        "ensure": ("langkeys.cli.api_key.ensure", "Make sure that the key in a file works."),
        "revoke": ("langkeys.cli.api_key.revoke", "Revoke API keys at once."),
        "migrate": ("langkeys.cli.api_key.migrate", "Bring keys at rest into today's form."),
    }


app = new_app(cls=ApiKeyGroup)


@app.callback()
def api_key() -> None:
    """Make, list, rotate and revoke API keys (x-api-key: sk-...).

    Without a command: create. A REF names a key by its id, its exact name, the visible start of
    the key (sk-XXXXX; it takes longer the more keys there are, as each is decrypted for it) or a
    unique start of its id; - reads whole keys from stdin, one a line (which up to Langflow 1.8
    have to be decrypted for, too).
    """
