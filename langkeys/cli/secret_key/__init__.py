"""``langkeys secret-key``: a file a verb, imported when it is called."""

from typing import ClassVar

from langkeys.cli.groups import Group
from langkeys.cli.options import new_app


class SecretKeyGroup(Group):
    """The verbs of ``langkeys secret-key``."""

    members: ClassVar = {
        "generate": ("langkeys.cli.secret_key.generate", "Print a new secret key."),
        "check": (
            "langkeys.cli.secret_key.check",
            "Check that the secret key decrypts every stored value.",
        ),
        "rotate": (
            "langkeys.cli.secret_key.rotate",
            "Re-encrypt the database with a new secret key.",
        ),
    }


app = new_app(cls=SecretKeyGroup)


@app.callback()
def secret_key() -> None:
    """Generate, check and rotate the secret key (LANGFLOW_SECRET_KEY).

    \b
    Examples:
      langkeys secret-key check
      langkeys secret-key rotate --dry-run

    The secret key encrypts stored values. Only generate shows a key. Everywhere else a key is
    identified by a fingerprint of 12 hex digits.
    """
