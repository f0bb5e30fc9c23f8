"""What small commands cost beside a Typer program with one empty command: python startup.py.

Prints ratios of whole processes. The aims are 1.7 for create and list (50 keys, decrypted to mask
them) and 1.3 for --help and --version.
"""

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from processes import clean_environment, compared

EMPTY = """\
import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def main() -> None:
    pass


app()
"""

AIMS = {"api-key create": 1.7, "api-key list": 1.7, "--help": 1.3, "--version": 1.3}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = clean_environment(
            folder,
            LANGFLOW_DATABASE_URL=f"sqlite:///{folder}/langflow.db",
            LANGFLOW_SECRET_KEY="S" * 43,
            LANGFLOW_AUTO_LOGIN="true",
            LANGFLOW_SUPERUSER="administrator",
            LANGFLOW_SUPERUSER_PASSWORD="benchmark-password",
        )
        langkeys = [sys.executable, "-m", "langkeys"]
        empty = folder / "empty.py"
        empty.write_text(EMPTY)
        for arguments in (["init"], ["api-key", "create", "--count", "50"]):
            subprocess.run(
                [*langkeys, *arguments],
                env=environment,
                cwd=folder,
                check=True,
                capture_output=True,
            )
        # Written by init: with it, python-dotenv would be measured, too.
        (folder / ".env").unlink(missing_ok=True)
        print(f"Typer {version('typer')}, Python {sys.version.split()[0]}; medians of 15 pairs")
        print(f"{'command':<18}{'seconds':>9}{'empty':>9}{'ratio':>8}{'aim':>7}")
        for command, aim in AIMS.items():
            result = compared(
                [*langkeys, *command.split(), *(["--limit", "50"] if "list" in command else [])],
                [sys.executable, str(empty)],
                environment=environment,
                folder=folder,
            )
            print(
                f"{command:<18}{result.a_seconds:>9.3f}{result.b_seconds:>9.3f}"
                f"{result.ratio:>8.2f}{aim:>7.1f}"
            )


if __name__ == "__main__":
    main()
