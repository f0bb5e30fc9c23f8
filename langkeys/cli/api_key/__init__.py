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
        "revoke": ("langkeys.cli.api_key.revoke", "Revoke API keys at once."),
        "migrate": ("langkeys.cli.api_key.migrate", "Bring keys at rest into today's form."),
    }


app = new_app(cls=ApiKeyGroup)


@app.callback()
def api_key() -> None:
    """Make, list, show and revoke API keys (x-api-key: sk-...).

    Without a command: create. A REF names a key by its id, its exact name, the visible start of
    the key (sk-XXXXX; linear, as keys must be decrypted for it) or a unique start of its id;
    - reads whole keys from stdin, one a line.
    """
