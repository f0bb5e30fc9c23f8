"""``langkeys secret-key``: a file a verb, imported when it is called."""

from typing import ClassVar

from langkeys.cli.options import Group, new_app


class SecretKeyGroup(Group):
    """The verbs about the secret key."""

    members: ClassVar = {
        "generate": ("langkeys.cli.secret_key.generate", "Print a new secret key."),
        "check": ("langkeys.cli.secret_key.check", "Try the secret key on everything encrypted."),
        "rotate": ("langkeys.cli.secret_key.rotate", "Put the database under a new secret key."),
    }


app = new_app(cls=SecretKeyGroup)


@app.callback()
def secret_key() -> None:
    """Make, check and rotate the secret key (LANGFLOW_SECRET_KEY), which encrypts what is stored.

    No key is ever shown but by generate: a fingerprint of 12 hex digits tells them apart.
    """
