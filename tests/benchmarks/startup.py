"""Small commands compared with a Typer program that has one empty command.

The aims are 1.7 times its time for create and list (50 keys, decrypted to mask them), and 1.3 times
for --help and --version. create and list cannot do without Typer, sqlite3 and Fernet: compared with
a program that imports these and opens the database, the aim is 1.3 times its processor time.
"""

import sys
from functools import partial
from pathlib import Path

from processes import LANGKEYS, in_turn, run
from stores import create_store
from tables import Table

EMPTY = """\
import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def main() -> None:
    pass


app()
"""

NEEDED = """\
import os
import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def main() -> None:
    import sqlite3

    from cryptography.fernet import Fernet

    Fernet(os.environ["LANGFLOW_SECRET_KEY"] + "=")
    connection = sqlite3.connect(os.environ["LANGFLOW_DATABASE_URL"].removeprefix("sqlite:///"))
    connection.execute("SELECT count(*) FROM apikey").fetchone()
    connection.close()


app()
"""

AIMS = {
    "api-key create": 1.7,
    "api-key list --limit 50": 1.7,
    "--help": 1.3,
    "--version": 1.3,
}


def measure(folder: Path, *, pairs: int) -> None:
    """Print the table; ``folder`` is empty."""
    store = create_store(folder / "store")
    empty = folder / "empty.py"
    empty.write_text(EMPTY)
    run([*LANGKEYS, "api-key", "create", "--count", "50"], store.environment, store.folder)
    table = Table(
        "Small commands compared with an empty Typer program: whole processes, medians of"
        f" {pairs} pairs.",
        ("command", "seconds", "the empty program", "ratio", "aim"),
    )
    for command, aim in AIMS.items():
        ours, bare = [*LANGKEYS, *command.split()], [sys.executable, str(empty)]
        pair = in_turn(
            partial(run, ours, store.environment, store.folder),
            partial(run, bare, store.environment, store.folder),
            pairs,
        )
        table.row(f"`{command}`", pair.a.seconds, pair.b.seconds, pair.seconds_ratio, f"≤ {aim:g}")
    needed = folder / "needed.py"
    needed.write_text(NEEDED)
    table = Table(
        "Compared with a Typer program that imports sqlite3 and Fernet and opens the database:"
        f" processor time of whole processes, medians of {pairs} pairs.",
        ("command", "CPU seconds", "that program", "ratio", "aim"),
    )
    for command in ("api-key create", "api-key list --limit 50"):
        pair = in_turn(
            partial(run, [*LANGKEYS, *command.split()], store.environment, store.folder),
            partial(run, [sys.executable, str(needed)], store.environment, store.folder),
            pairs,
        )
        table.row(f"`{command}`", pair.a.cpu, pair.b.cpu, pair.cpu_ratio, "≤ 1.3")
