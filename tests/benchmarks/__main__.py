"""Measure time and memory of langkeys, as Markdown tables: python tests/benchmarks [PART ...].

The tables show the aims, but a missed aim is no error: the exit code is 0 unless a command fails.
At full size the benchmarks take half an hour, and need 5 GB for temporary files.
"""

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from datetime import date
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import bulk
import engines
import peers
import scale
import startup
import verify
from processes import CommandError
from stores import Store, create_store

PARTS = ("startup", "verify", "scale", "bulk", "engines", "peers")


class Suite:
    """The parts, one method each, and the stores that several parts use, created when needed."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._options = options

    def run(self, part: str) -> bool:
        """Run a part in its own folder; if it fails, print the reason to stderr."""
        folder = self._folder / part
        folder.mkdir()
        started = time.perf_counter()
        print(f"{part} ...", file=sys.stderr)
        try:
            getattr(self, f"_{part}")(folder)
        except CommandError as error:
            print(f"{part} broke off: {error}", file=sys.stderr)
            return False
        print(f"{part}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        return True

    @cached_property
    def _biggest(self) -> Store:
        return self._made("biggest", self._options.keys, self._options.users)

    @cached_property
    def _middle(self) -> Store:
        return self._made("middle", self._options.bulk, max(1, self._options.bulk // 100))

    def _made(self, name: str, keys: int, users: int) -> Store:
        started = time.perf_counter()
        store = create_store(self._folder / name, keys=keys, users=users)
        seconds = time.perf_counter() - started
        print(f"made a store of {keys:,} keys: {seconds:.0f} s", file=sys.stderr)
        return store

    def _startup(self, folder: Path) -> None:
        startup.measure(folder, pairs=2 * self._options.pairs + 1)

    def _verify(self, folder: Path) -> None:
        stores = (create_store(folder / "few", keys=1000, users=10), self._middle, self._biggest)
        verify.measure(folder, stores, pairs=self._options.pairs)

    def _scale(self, folder: Path) -> None:
        scale.measure(folder, self._biggest, users=self._options.users, pairs=self._options.pairs)

    def _bulk(self, folder: Path) -> None:
        bulk.measure(folder, self._middle, pairs=self._options.pairs)

    def _engines(self, folder: Path) -> None:
        engines.measure(
            folder,
            self._middle,
            self._biggest,
            users=self._options.users,
            pairs=self._options.pairs,
        )

    def _peers(self, folder: Path) -> None:
        peers.measure(folder)


def main() -> int:
    """Print the requested tables; return 1 if a command failed."""
    options = _parsed()
    print(_head(), flush=True)
    with tempfile.TemporaryDirectory(prefix="langkeys-benchmarks-") as name:
        suite = Suite(Path(name), options)
        done = [suite.run(part) for part in dict.fromkeys(options.parts or PARTS)]
    return 0 if all(done) else 1


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    for option, default, what in (
        ("keys", 1_000_000, "keys of the biggest store"),
        ("users", 10_000, "its users"),
        ("bulk", 100_000, "keys that bulk commands work on"),
        ("pairs", 7, "runs of a command and of what it is measured against"),
    ):
        parser.add_argument(
            f"--{option}", type=int, default=default, metavar="N", help=f"{what} [{default:,}]"
        )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; else all")
    options = parser.parse_args()
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"there is no part {part!r}")
    return options


def _head() -> str:
    return (
        f"{date.today().isoformat()}: langkeys {version('langkeys')}, Python"  # noqa: DTZ011
        f" {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, cryptography"
        f" {version('cryptography')}, Typer {version('typer')}, {os.cpu_count()} cores."
    )


if __name__ == "__main__":
    sys.exit(main())
