"""Compare Langflow releases: python -m tests.interop.compare_release VERSION [--with OTHER].

It starts both releases, one server at a time, and prints the differences as Markdown: the schema,
which requests are accepted, and the facts for langkeys' table of generations, with a new entry.
VERSION and OTHER are versions of langflow-base; the default of OTHER is the newest known version.
It takes some minutes, and a gigabyte for a release that is not installed yet.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from langkeys.store.generations import GENERATIONS, Generation
from langkeys.store.sqlite.store import SqliteStore

from .langflow_install import DEFAULT_VERSION
from .observation import Observation, observe
from .observed_schema import schema_changes, telling_column


def main() -> None:
    parser = argparse.ArgumentParser(prog="compare_release", description=__doc__)
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("--with", dest="other", metavar="OTHER", default=DEFAULT_VERSION)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="langkeys-compare-") as name:
        folder = Path(name)
        seen = {
            version: observe(version, folder / version, lambda said: print(said, file=sys.stderr))
            for version in (options.other, options.version)
        }
        known = {version: known_generation(folder / version) for version in seen}
    for line in report(seen[options.other], seen[options.version], known):
        print(line)


def known_generation(folder: Path) -> Generation:
    """Return the generation that langkeys detects in the release's database."""
    store = SqliteStore(folder / "closed" / "config" / "langflow.db")
    try:
        return store.generation
    finally:
        store.close()


def report(old: Observation, new: Observation, known: Mapping[str, Generation]) -> Iterator[str]:
    """Yield the lines of the report on two releases."""
    yield f"# Langflow {new.version} beside {old.version}"
    yield from _section("Schema", schema_changes(old.schema, new.schema))
    yield from _section("Who is let in", _access_changes(old.access, new.access))
    changes = {
        name: (old.facts.get(name), value)
        for name, value in sorted(new.facts.items())
        if old.facts.get(name) != value
    }
    yield from _section(
        "What it does",
        [f"`{name}`: {before} -> {after}" for name, (before, after) in changes.items()],
    )
    for seen in (old, new):
        generation = known[seen.version]
        note = f" ({generation.note})" if generation.note else ""
        yield from _section(
            f"langkeys takes {seen.version} for {generation.release}{note}, and that is wrong in",
            disagreements(seen.facts, generation),
        )
    base = known[old.version]
    if any(head not in base.heads for head in new.schema.revisions):
        yield ""
        yield "## An entry for `langkeys/store/generations.py`"
        yield ""
        yield from entry(new, old, base)


def disagreements(facts: Mapping[str, Any], generation: Generation) -> list[str]:
    """Return the facts of a generation in langkeys' table that differ from the observed ones."""
    return [
        f"`{name}`: it says {said}, seen was {value}"
        for name, value in sorted(facts.items())
        # None: the releases of the generation differ.
        if (said := getattr(generation, name)) is not None and said != value
    ]


def entry(new: Observation, old: Observation, base: Generation) -> Iterator[str]:
    """Yield the code that adds the new release after the generation of the old one."""
    release = new.version.rpartition(".")[0]
    changes = {name: value for name, value in new.facts.items() if getattr(base, name) != value}
    name, before = (f"_{one.replace('.', '_')}" for one in (release, base.release))
    introduced = telling_column(old.schema, new.schema)
    yield "```python"
    yield f"{name} = _next("
    yield f"    {before},"
    yield f'    "{release}",'
    heads = "".join(f'"{head}", ' for head in new.schema.revisions)
    yield f"    ({heads.strip()}),"
    if introduced is not None:
        yield f'    introduced="{introduced}",'
    yield from (f"    {field}={value}," for field, value in sorted(changes.items()))
    yield ")"
    yield "```"
    if base.release == GENERATIONS[-1].release:
        yield ""
        yield "It goes to the end of `GENERATIONS`, too; a release with nothing but other heads"
        yield f"than {base.release} needs no entry: its heads go to `{before}`."


def _access_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [
        f"{way}: {old.get(way, 'not let in, or not there')}"
        f" -> {new.get(way, 'not let in, or not there')}"
        for way in sorted(old.keys() | new.keys())
        if old.get(way) != new.get(way)
    ]


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield from (f"- {line}" for line in lines or ["nothing"])


if __name__ == "__main__":
    main()
