"""``langkeys secret-key generate``."""

import typer

from langkeys.cli.options import Command, invocation, new_app
from langkeys.crypto.hashes import new_secret_key

app = new_app()


@app.command(cls=Command)
def generate(context: typer.Context) -> None:
    """Print a new secret key: 32 random bytes in 43 characters, as servers generate it.

    The key is not stored. To change the key of an existing database, use rotate.

    \b
    Examples:
      LANGFLOW_SECRET_KEY=$(langkeys secret-key generate)
      (umask 077; langkeys secret-key generate > new-secret-key)
    """
    invocation(context).output.data(f"{new_secret_key()}\n")
