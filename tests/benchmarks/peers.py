"""``langkeys api-key`` compared with ``langflow api-key``: both create keys in one database."""

import statistics
from pathlib import Path

from processes import LANGKEYS, Run, run
from stores import Store, create_store, tests_module
from tables import Table

RUNS = 2


def installed_langflow() -> Path | None:
    """Return the folder of the Langflow that tests/interop has installed, or None."""
    install = tests_module("interop.langflow_install")
    folder: Path = install.home() / f"langflow-base-{install.DEFAULT_VERSION}"
    return folder if (folder / ".done").exists() else None


def measure(folder: Path) -> None:
    """Print the table, or a line if no Langflow is installed."""
    langflow = installed_langflow()
    if langflow is None:
        print("\n`langflow api-key`: not measured, tests/interop has installed no Langflow here.")
        return
    store = create_store(folder / "store", keys=3, administrator_every=1)
    commands = {
        "langflow api-key": (str(langflow / "bin" / "langflow"), "api-key"),
        "langkeys api-key": (*LANGKEYS, "api-key"),
    }
    # The first start of a server adopts the database, which takes longer.
    for command in commands.values():
        run(command, store.environment, store.folder)
    runs: dict[str, list[Run]] = {label: [] for label in commands}
    lines: dict[str, int] = {}
    keys: dict[str, list[str]] = {label: [] for label in commands}
    for _ in range(RUNS):
        for label, command in commands.items():
            before = _key_ids(store)
            said = store.folder / "stdout"
            runs[label].append(run(command, store.environment, store.folder, stdout=said))
            lines[label] = len(said.read_bytes().splitlines())
            keys[label].append(_change(before, _key_ids(store)))
    table = Table(
        f"Compared with `langflow api-key` {langflow.name.rpartition('-')[2]}, AUTO_LOGIN=true, on"
        f" the same database, alternately: {RUNS} runs each.",
        ("command", "seconds", "lines on stdout", "keys before → after"),
    )
    for label in commands:
        seconds = statistics.median(one.seconds for one in runs[label])
        table.row(f"`{label}`", seconds, lines[label], "; ".join(keys[label]))


def _key_ids(store: Store) -> set[str]:
    return set(store.column("SELECT id FROM apikey"))


def _change(before: set[str], after: set[str]) -> str:
    gone = len(before - after)
    return f"{len(before)} → {len(after)}" + (f" ({gone} deleted)" if gone else "")
