"""That the contract is whole: every method of the protocol is called by it, on every engine."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from langkeys.store.protocol import KeyBatch, Store

FOLDER = Path(__file__).parent
SUITE = sorted(FOLDER.glob("test_contract*.py"))
STORES = {"writer", "reader", "store", "fresh", "alone", "noting"}
BATCHES = {"batch"}


def members(protocol: Any) -> set[str]:
    """Return what a protocol promises: its methods, properties and attributes."""
    own = {*vars(protocol), *vars(protocol).get("__annotations__", {})}
    return {name for name in own if not name.startswith("_")}


def used(names: set[str]) -> set[str]:
    """Return the attributes that the suite uses of variables with these names."""
    return {
        node.attr
        for path in SUITE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
    }


def test_the_protocols_are_seen() -> None:
    assert {"commit_context", "generation", "transaction", "copy_to"} <= members(Store)
    assert {"add", "find_undeleted"} <= members(KeyBatch)


@pytest.mark.parametrize(("protocol", "names"), [(Store, STORES), (KeyBatch, BATCHES)])
def test_the_suite_calls_everything_that_a_protocol_promises(
    protocol: Any, names: set[str]
) -> None:
    assert members(protocol) - used(names) == set()


def test_the_suite_is_held_against_an_engine_by_its_fixture_alone() -> None:
    for path in SUITE:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = [
            node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        ]
        engines = {"langkeys.store.sqlite", "langkeys.store.postgresql", "sqlite3", "psycopg2"}
        assert not any(module.startswith(tuple(engines)) for module in imported), path.name
